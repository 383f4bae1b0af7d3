using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Calls;

namespace Henge.Server.Cluster;

/// <summary>
/// What operators ask of a cluster that changes. Any node answers: it has the catalog, and asks the others for what only they know: who
/// answers, and how the shards that they lead get on. Thread-safe.
/// </summary>
internal sealed class OperatorCalls(IHengeNode node, PeerStatus peers)
{
    private static readonly TimeSpan PeerTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LongestChange = TimeSpan.FromSeconds(10);

    /// <summary>Where replicas are to be, and how shards get there.</summary>
    public async Task<PlacementResponse> ReadAsync(bool ownOnly, CancellationToken cancellation)
    {
        PlacementStatus status = node.GetPlacement();
        if (!status.IsKnown)
        {
            throw new HengeException(ErrorCode.Unavailable, "This node has read nothing of its cluster's catalog yet. Try again.");
        }

        string self = node.GetStatus().Name;
        PlacementResponse response = PlacementMapper.ToMessage(status, self);
        if (ownOnly)
        {
            return response;
        }

        foreach ((NodeEntry entry, PlacementResponse? answer) in await AskOthersAsync(status, cancellation))
        {
            if (answer is null)
            {
                response.Unreachable.Add(entry.Name);
                continue;
            }

            response.Moves.AddRange(answer.Moves);
            response.Problems.AddRange(answer.Problems);
        }

        // Two may think for a moment that they lead a shard.
        ShardMove[] moves = [.. response.Moves.DistinctBy(static m => m.Shard).OrderBy(static m => m.Shard)];
        response.Moves.Clear();
        response.Moves.AddRange(moves);
        return response;
    }

    /// <summary>Makes a change.</summary>
    public async Task<ChangeResponse> ChangeAsync(ChangeRequest request, CallTerms terms)
    {
        PlacementStatus status = node.GetPlacement();
        (NodeEntry Node, PlacementResponse? Answer)[] others = await AskOthersAsync(status, terms.Cancellation);
        TaskCompletionSource<ClusterChangeAnswer> answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ClusterChange change = new()
        {
            Kind = (ClusterChangeKind)request.Kind,
            Node = request.NodeId,
            Successor = request.SuccessorId,
            Setting = request.Setting,
            Value = request.Value,
            IsDryRun = request.DryRun,
            IsForced = request.Force,
            Unreachable = [.. others.Where(static o => o.Answer is null).Select(static o => o.Node.Id)],
        };
        long deadlineMs = terms.HasDeadline ? terms.DeadlineMs : node.MonotonicMs + (long)LongestChange.TotalMilliseconds;
        node.Change(change, deadlineMs, (answer, problem) =>
        {
            if (answer is null)
            {
                answered.SetException(problem!);
            }
            else
            {
                answered.SetResult(answer);
            }
        });
        return PlacementMapper.ToMessage(await answered.Task.WaitAsync(terms.Cancellation), node.GetPlacement().Members);
    }

    private async Task<(NodeEntry Node, PlacementResponse? Answer)[]> AskOthersAsync(
        PlacementStatus status,
        CancellationToken cancellation)
    {
        string clusterId = node.GetTopology().ClusterId;
        NodeId self = node.GetStatus().Id;
        return await Task.WhenAll(
            status.Members
                .Where(m => m.Id != self && m.State != MemberState.Left)
                .Select(m => AskAsync(m, clusterId, cancellation)));
    }

    private async Task<(NodeEntry Node, PlacementResponse? Answer)> AskAsync(
        NodeEntry entry,
        string clusterId,
        CancellationToken cancellation)
    {
        try
        {
            return (entry, await peers.PlacementAsync(entry.Address, clusterId, PeerTimeout, cancellation));
        }
        catch (RpcException)
        {
            cancellation.ThrowIfCancellationRequested();
            return (entry, null);
        }
    }
}
