using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Storage;

namespace Henge.Server.Operations;

/// <summary>
/// A node as the doors see it: what comes in is checked first, by the one rule there is (<see cref="AccessCheck"/>), when the cluster
/// checks access. An operation whose door has not said who asks is refused then: a door that forgets it lets nobody in. Thread-safe.
/// </summary>
/// <param name="inner">The node behind it.</param>
/// <param name="access">Who may do what.</param>
/// <param name="caller">Who asks for all that comes this way; null: each operation says it itself, and nothing else is let in.</param>
internal sealed class GuardedNode(IHengeNode inner, IAccessControl access, Caller? caller = null) : IHengeNode
{
    /// <summary>Whether the cluster checks access now.</summary>
    public bool IsChecking => access.Access.IsEnabled;

    /// <summary>Who may do what, as the node knows it.</summary>
    public AccessView View => access.Access;

    /// <summary>The same node, for one caller.</summary>
    public GuardedNode For(Caller who) => new(inner, access, who);

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
        operation.CheckedAt = view.Revision;
        if (view.IsEnabled && AccessCheck.Check(view, Identify(view, operation), operation) is { } problem)
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
        foreach (Operation operation in operations)
        {
            operation.CheckedAt = view.Revision;
        }

        if (!view.IsEnabled)
        {
            inner.Submit(operations);
            return;
        }

        // What may go in between two that may not goes together, and all keep their order.
        int begun = 0;
        for (int i = 0; i < operations.Length; i++)
        {
            if (AccessCheck.Check(view, Identify(view, operations[i]), operations[i]) is not { } problem)
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
    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver)
    {
        CheckPage(PageFetch.OfScan(query));
        return inner.Scan(query, receiver);
    }

    /// <inheritdoc/>
    public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver)
    {
        CheckPage(PageFetch.OfHistory(key, newest, limit, 1, isStale: true));
        return inner.History(key, newest, limit, receiver);
    }

    /// <inheritdoc/>
    public bool HasAllShardsAt(Core.Version version) => inner.HasAllShardsAt(version);

    /// <inheritdoc/>
    /// <remarks>A page that the node has all of is read without having been submitted.</remarks>
    public ScanEnd ReadPage(PageFetch page, IScanReceiver receiver)
    {
        CheckPage(page);
        return inner.ReadPage(page, receiver);
    }

    /// <inheritdoc/>
    public IWatch OpenWatch(WatchQuery query, Action onAvailable)
    {
        var watch = new GuardedWatch(access, query, onAvailable, caller);
        watch.Open(inner);
        return watch;
    }

    // Who has logged in here counts, whatever an operation says.
    private string? Identify(AccessView view, Operation operation) =>
        caller is null ? operation.User : caller.Sign(operation, view);

    private void CheckPage(PageFetch page)
    {
        AccessView view = access.Access;
        if (view.IsEnabled && AccessCheck.CheckPage(view, caller?.UserIn(view), page) is { } problem)
        {
            throw problem;
        }
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
