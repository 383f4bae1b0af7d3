using System.Collections.Concurrent;
using Grpc.Core;
using Grpc.Net.Client;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Access;
using Henge.Server.Tls;

namespace Henge.Server.Cluster;

/// <summary>Asks other nodes for their status, as any client would, but as a node. Thread-safe.</summary>
internal sealed class PeerStatus(TlsConnector? tls, Tokens? tokens = null) : IDisposable
{
    private readonly ConcurrentDictionary<string, GrpcChannel> _channels = new(StringComparer.Ordinal);
    private readonly SocketsHttpHandler _http = NodeHttp.CreateHandler(tls, TimeSpan.FromSeconds(1));

    /// <summary>The status of the node at an address. Throws <see cref="RpcException"/>.</summary>
    public async Task<StatusResponse> GetAsync(string address, string clusterId, TimeSpan timeout, CancellationToken cancellation) =>
        await new KVStore.KVStoreClient(ChannelTo(address)).NodeStatusAsync(
            new StatusRequest(),
            HeadersOf(clusterId),
            DateTime.UtcNow + timeout,
            cancellation);

    /// <summary>
    /// Where the node at an address has it that replicas are to be, and how its shards get there. Throws <see cref="RpcException"/>.
    /// </summary>
    public async Task<PlacementResponse> PlacementAsync(
        string address,
        string clusterId,
        TimeSpan timeout,
        CancellationToken cancellation) =>
        await new Protocol.V1.Cluster.ClusterClient(ChannelTo(address)).PlacementAsync(
            new PlacementRequest { OwnOnly = true },
            HeadersOf(clusterId),
            DateTime.UtcNow + timeout,
            cancellation);

    /// <summary>What the node at an address has of each shard. Throws <see cref="RpcException"/>.</summary>
    public async Task<string> ReportRemainsAsync(string address, string clusterId, TimeSpan timeout, CancellationToken cancellation) =>
        (await new Protocol.V1.Cluster.ClusterClient(ChannelTo(address)).ReportRemainsAsync(
            new ReportRemainsRequest(),
            HeadersOf(clusterId),
            DateTime.UtcNow + timeout,
            cancellation)).Report;

    /// <summary>Has the node at an address do a part of a recovery. Throws <see cref="RpcException"/>.</summary>
    public async Task AdoptRecoveryAsync(
        string address,
        string clusterId,
        AdoptRecoveryRequest request,
        TimeSpan timeout,
        CancellationToken cancellation) =>
        await new Protocol.V1.Cluster.ClusterClient(ChannelTo(address)).AdoptRecoveryAsync(
            request,
            HeadersOf(clusterId),
            DateTime.UtcNow + timeout,
            cancellation);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (GrpcChannel channel in _channels.Values)
        {
            channel.Dispose();
        }

        _http.Dispose();
    }

    // Without TLS nodes know each other by a key that all of them have.
    private Metadata HeadersOf(string clusterId)
    {
        Metadata headers = new() { { GrpcHeaders.HengeCluster, clusterId } };
        if (tokens?.CreateForNode() is { } token)
        {
            headers.Add("authorization", "Bearer " + token);
        }

        return headers;
    }

    private GrpcChannel ChannelTo(string address) => _channels.GetOrAdd(address, a => NodeHttp.Open(a, _http));
}
