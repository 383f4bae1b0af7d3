using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Server.Operations;

/// <summary>
/// A node as the doors see it: what comes in is checked first, by the one rule there is (<see cref="AccessCheck"/>), when the cluster
/// checks access. An operation whose door has not said who asks is refused then: a door that forgets it lets nobody in. Thread-safe.
/// </summary>
internal sealed class GuardedNode(IHengeNode inner, IAccessControl access) : IHengeNode
{
    /// <inheritdoc/>
    public event Action? TopologyChanged
    {
        add => inner.TopologyChanged += value;
        remove => inner.TopologyChanged -= value;
    }

    /// <inheritdoc/>
    public NodeLimits Limits => inner.Limits;

    /// <inheritdoc/>
    public long MonotonicMs => inner.MonotonicMs;

    /// <inheritdoc/>
    public Core.Version Now => inner.Now;

    /// <inheritdoc/>
    public Core.Version OldestVersion => inner.OldestVersion;

    /// <inheritdoc/>
    public IClusterRecovery Recovery => inner.Recovery;

    /// <inheritdoc/>
    public void Submit(Operation operation)
    {
        AccessView view = access.Access;
        if (view.IsEnabled && AccessCheck.Check(view, operation.User, operation) is { } problem)
        {
            operation.Fail(problem.Code, problem.Message);
            return;
        }

        inner.Submit(operation);
    }

    /// <inheritdoc/>
    public void Submit(ReadOnlySpan<Operation> operations)
    {
        AccessView view = access.Access;
        if (!view.IsEnabled)
        {
            inner.Submit(operations);
            return;
        }

        // What may go in between two that may not goes together, and all keep their order.
        int begun = 0;
        for (int i = 0; i < operations.Length; i++)
        {
            if (AccessCheck.Check(view, operations[i].User, operations[i]) is not { } problem)
            {
                continue;
            }

            if (i > begun)
            {
                inner.Submit(operations[begun..i]);
            }

            begun = i + 1;
            operations[i].Fail(problem.Code, problem.Message);
        }

        if (begun < operations.Length)
        {
            inner.Submit(operations[begun..]);
        }
    }

    /// <inheritdoc/>
    /// <remarks>Only of what was submitted and let through.</remarks>
    public bool TryRead(Operation get, out PinnedValue value) => inner.TryRead(get, out value);

    /// <inheritdoc/>
    /// <remarks>Only of a page that was submitted and let through.</remarks>
    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver) => inner.Scan(query, receiver);

    /// <inheritdoc/>
    /// <remarks>Only of a page that was submitted and let through.</remarks>
    public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver) =>
        inner.History(key, newest, limit, receiver);

    /// <inheritdoc/>
    public bool HasAllShardsAt(Core.Version version) => inner.HasAllShardsAt(version);

    /// <inheritdoc/>
    /// <remarks>Only of a page that was submitted and let through.</remarks>
    public ScanEnd ReadPage(PageFetch page, IScanReceiver receiver) => inner.ReadPage(page, receiver);

    /// <inheritdoc/>
    public IWatch OpenWatch(WatchQuery query, Action onAvailable)
    {
        var watch = new GuardedWatch(access, query, onAvailable);
        watch.Open(inner);
        return watch;
    }

    /// <inheritdoc/>
    public NodeStatus GetStatus() => inner.GetStatus();

    /// <inheritdoc/>
    public Topology GetTopology() => inner.GetTopology();

    /// <inheritdoc/>
    public PlacementStatus GetPlacement() => inner.GetPlacement();

    /// <inheritdoc/>
    public void Join(JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered) =>
        inner.Join(request, deadlineMs, answered);

    /// <inheritdoc/>
    public void Change(ClusterChange change, long deadlineMs, Action<ClusterChangeAnswer?, HengeException?> answered) =>
        inner.Change(change, deadlineMs, answered);

    /// <inheritdoc/>
    public void TransferLeader(ShardId shard, NodeId to) => inner.TransferLeader(shard, to);
}
