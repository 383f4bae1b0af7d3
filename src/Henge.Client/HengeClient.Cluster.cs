using Henge.Client.Settings;
using Henge.Client.Transport;
using Wire = Henge.Protocol.V1;

namespace Henge.Client;

// What operators ask of the cluster.
public sealed partial class HengeClient
{
    /// <summary>The state of one node: of the one at <paramref name="address"/>, or of any that answers.</summary>
    public Task<Wire.StatusResponse> NodeStatusAsync(string? address = null, CancellationToken cancellationToken = default) =>
        AskAsync(NodeCalls.Status, new Wire.StatusRequest(), address, cancellationToken);

    /// <summary>The state of every node, asked by one of them.</summary>
    public Task<Wire.ClusterStatusResponse> ClusterStatusAsync(CancellationToken cancellationToken = default) =>
        AskAsync(NodeCalls.ClusterStatus, new Wire.ClusterStatusRequest(), null, cancellationToken);

    /// <summary>Where shards are and who leads them, as the asked node knows it.</summary>
    public Task<Wire.TopologyResponse> TopologyAsync(string? address = null, CancellationToken cancellationToken = default) =>
        AskAsync(NodeCalls.Topology, new Wire.TopologyRequest(), address, cancellationToken);

    /// <summary>Where replicas are to be, and how shards get there.</summary>
    public Task<Wire.PlacementResponse> PlacementAsync(CancellationToken cancellationToken = default) =>
        AskAsync(NodeCalls.Placement, new Wire.PlacementRequest(), null, cancellationToken);

    /// <summary>
    /// Changes members or settings of the cluster, by any of its nodes; or says what that would come to (<c>dry_run</c>).
    /// </summary>
    public Task<Wire.ChangeResponse> ChangeClusterAsync(Wire.ChangeRequest change, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();

        // Each change says how the cluster is to be: asked for again it finds that it is so, and a rebalance finds nothing to do.
        NodeCall<Wire.ChangeRequest, Wire.ChangeResponse> call = change.DryRun ? NodeCalls.Preview : NodeCalls.Change;
        return _runner.RunAsync(call, change, default, repeatable: true, deadline: null, cancellationToken);
    }

    /// <summary>
    /// After majorities are lost for ever: plans how the cluster goes on from the nodes that are left, or carries a plan out that was shown
    /// (<c>apply_plan_id</c>), and with it loses what only the others had. Any node that is left is asked, and asks the others.
    /// </summary>
    public Task<Wire.RecoverResponse> RecoverAsync(
        Wire.RecoverRequest request, TimeSpan? deadline = null, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();

        // A plan that was begun is gone on with when it is asked for again.
        return _runner.RunAsync(NodeCalls.Recover, request, default, repeatable: true, deadline, cancellationToken);
    }

    /// <summary>
    /// Asks the node at <paramref name="address"/> to hand shards that it leads over to another node; no shards: all that it leads.
    /// </summary>
    public Task<Wire.TransferLeaderResponse> TransferLeaderAsync(
        string address, string toNodeId, IEnumerable<int>? shards = null, CancellationToken cancellationToken = default)
    {
        Wire.TransferLeaderRequest request = new() { ToNodeId = toNodeId };
        request.Shards.AddRange((shards ?? []).Select(s => (uint)s));
        return AskAsync(NodeCalls.TransferLeader, request, address, cancellationToken);
    }

    private Task<TResponse> AskAsync<TRequest, TResponse>(
        NodeCall<TRequest, TResponse> call, TRequest request, string? address, CancellationToken cancellationToken)
        where TRequest : class, Google.Protobuf.IMessage
        where TResponse : class
    {
        ThrowIfDisposed();
        string? parsed = address is null ? null : PeerAddress.Parse(address);
        return _runner.RunAsync(call, request, default, repeatable: false, deadline: null, cancellationToken, parsed);
    }
}
