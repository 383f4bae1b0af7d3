using Grpc.Core;
using Grpc.Net.Client;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Calls;
using Henge.Server.Tls;
using JoinRequest = Henge.Node.Api.JoinRequest;

namespace Henge.Server.Cluster;

/// <summary>Both ends of <c>henge.v1.Cluster/Join</c>: messages, and the call that a node makes before it starts.</summary>
internal static class JoinCall
{
    /// <summary>
    /// Asks the member at an address to take a node in. Throws <see cref="HengeException"/> with what the cluster says, or Unavailable when
    /// nobody answers.
    /// </summary>
    public static async Task<JoinAnswer> AskAsync(
        string address,
        JoinRequest request,
        TlsConnector? tls,
        TimeSpan timeout,
        CancellationToken cancellation)
    {
        using SocketsHttpHandler http = NodeHttp.CreateHandler(tls, TimeSpan.FromSeconds(2));
        using GrpcChannel channel = NodeHttp.Open(address, http);
        try
        {
            JoinResponse response = await new Protocol.V1.Cluster.ClusterClient(channel).JoinAsync(
                new Protocol.V1.JoinRequest
                {
                    NodeId = request.Name,
                    Address = request.Address,
                    Incarnation = request.Incarnation,
                    Zone = request.Zone,
                    Weight = (uint)request.Weight,
                    FormatLevel = (uint)request.FormatLevel,
                    Token = request.Token,
                },
                deadline: DateTime.UtcNow + timeout,
                cancellationToken: cancellation);
            return new JoinAnswer
            {
                Id = new NodeId(response.Number),
                ClusterId = response.ClusterId,
                Founding = response.Founding,
                Members = [.. response.Members.Select(static m => new NodeEntry(new NodeId(m.Number), m.NodeId, m.Address))],
            };
        }
        catch (RpcException e)
        {
            cancellation.ThrowIfCancellationRequested();
            string? trailer = e.Trailers.GetValue(GrpcHeaders.HengeError);
            if (e.StatusCode == StatusCode.Unimplemented && trailer is null)
            {
                throw new HengeException(
                    ErrorCode.UnsupportedFormat,
                    $"The node at {address} is of an older release, which takes no nodes in. Upgrade the cluster first.",
                    e);
            }

            ErrorCode code = GrpcErrors.ToErrorCode((GrpcStatusCode)(int)e.StatusCode, trailer);
            throw new HengeException(trailer is null ? ErrorCode.Unavailable : code, e.Status.Detail, e);
        }
    }

    /// <summary>What a node asks, from its message. Throws <see cref="HengeException"/> (InvalidArgument).</summary>
    public static JoinRequest FromMessage(Protocol.V1.JoinRequest message) =>
        message.Weight > int.MaxValue || message.FormatLevel > int.MaxValue
            ? throw new HengeException(ErrorCode.InvalidArgument, "A number of the request is out of its range.")
            : new JoinRequest
            {
                Name = message.NodeId,
                Address = message.Address,
                Incarnation = message.Incarnation,
                Zone = message.Zone,
                Weight = (int)message.Weight,
                FormatLevel = (int)message.FormatLevel,
                Token = message.Token,
            };

    /// <summary>The answer's message.</summary>
    public static JoinResponse ToMessage(JoinAnswer answer)
    {
        JoinResponse response = new() { Number = answer.Id.Value, ClusterId = answer.ClusterId, Founding = answer.Founding };
        response.Members.AddRange(answer.Members.Select(StatusMapper.ToMessage));
        return response;
    }
}
