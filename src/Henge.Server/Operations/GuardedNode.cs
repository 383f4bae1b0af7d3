using System.Net;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Audit;
using Henge.Storage;

namespace Henge.Server.Operations;

/// <summary>
/// A node as the doors see it: what comes in is checked first, by the one rule there is (<see cref="AccessCheck"/>), when the cluster
/// checks access. An operation whose door has not said who asks is refused then: a door that forgets it lets nobody in. And who used which
/// keys is told from here, where that is audited. Thread-safe.
/// </summary>
/// <param name="inner">The node behind it.</param>
/// <param name="access">Who may do what.</param>
/// <param name="caller">Who asks for all that comes this way; null: each operation says it itself, and nothing else is let in.</param>
/// <param name="audit">Tells who used which keys; null: nobody does.</param>
/// <param name="audited">The caller as it is told of; null: each operation says it itself, or it is not known.</param>
internal sealed class GuardedNode(
    IHengeNode inner,
    IAccessControl access,
    Caller? caller = null,
    KeyAudit? audit = null,
    AuditedCaller? audited = null) : IHengeNode
{
    // What a door that says nothing of its callers does is told of all the same.
    private readonly AuditedCaller? _audited = audited ?? (audit is null ? null : new AuditedCaller(audit, "unknown", null));

    /// <summary>Whether the cluster checks access now.</summary>
    public bool IsChecking => access.Access.IsEnabled;

    /// <summary>Who may do what, as the node knows it.</summary>
    public AccessView View => access.Access;

    /// <summary>Whether it is told who used which keys.</summary>
    public bool IsAudited => audit is not null;

    /// <summary>The same node, for one caller.</summary>
    /// <param name="who">Who it is.</param>
    /// <param name="door">The door that it came by.</param>
    /// <param name="from">Where it is.</param>
    public GuardedNode For(Caller who, string door, EndPoint? from) => new(inner, access, who, audit, Audited(door, from));

    /// <summary>A caller as it is told of; null: nobody is.</summary>
    public AuditedCaller? Audited(string door, EndPoint? from) => audit is null ? null : new AuditedCaller(audit, door, from);

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
        if (_audited is not null)
        {
            operation.Observer ??= _audited;
        }

        AccessView view = access.Access;
        Identify(view, operation);
        if (view.IsEnabled && AccessCheck.Check(view, operation.Asker.User, operation) is { } problem)
        {
            operation.Fail(problem.Code, problem.Message);
            return;
        }

        inner.Submit(operation);
    }

    /// <inheritdoc/>
    public void Submit(ReadOnlySpan<Operation> operations)
    {
        if (_audited is not null)
        {
            foreach (Operation operation in operations)
            {
                operation.Observer ??= _audited;
            }
        }

        AccessView view = access.Access;
        foreach (Operation operation in operations)
        {
            Identify(view, operation);
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
            if (AccessCheck.Check(view, operations[i].Asker.User, operations[i]) is not { } problem)
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
    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver) =>
        Read(PageFetch.OfScan(query), receiver, static (inner, page, receiver) => inner.Scan(page.Query, receiver));

    /// <inheritdoc/>
    public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver) =>
        Read(
            PageFetch.OfHistory(key, newest, limit, 1, isStale: true),
            receiver,
            static (inner, page, receiver) =>
                inner.History(page.Query.Lower, page.Query.Version, page.Query.LimitItems, receiver));

    /// <inheritdoc/>
    public bool HasAllShardsAt(Core.Version version) => inner.HasAllShardsAt(version);

    /// <inheritdoc/>
    /// <remarks>A page that the node has all of is read without having been submitted.</remarks>
    public ScanEnd ReadPage(PageFetch page, IScanReceiver receiver) =>
        Read(page, receiver, static (inner, page, receiver) => inner.ReadPage(page, receiver));

    /// <inheritdoc/>
    public IWatch OpenWatch(WatchQuery query, Action onAvailable)
    {
        var watch = new GuardedWatch(access, query, onAvailable, caller, _audited);
        watch.Open(inner);
        return watch;
    }

    // Who has logged in here counts, whatever an operation says. By which users and roles it is let through goes with it in any case.
    private void Identify(AccessView view, Operation operation) => operation.Asker =
        !view.IsEnabled ? new Asker(null, null, view.Revision)
        : caller is not null ? caller.ToAsker(view)
        : operation.Asker with { CheckedAt = view.Revision };

    private ScanEnd Read(PageFetch page, IScanReceiver receiver, Func<IHengeNode, PageFetch, IScanReceiver, ScanEnd> read)
    {
        AccessView view = access.Access;
        string? user = view.IsEnabled ? caller?.UserIn(view) : null;
        ErrorCode outcome = ErrorCode.Internal;
        try
        {
            if (view.IsEnabled && AccessCheck.CheckPage(view, user, page) is { } problem)
            {
                throw problem;
            }

            ScanEnd end = read(inner, page, receiver);
            outcome = ErrorCode.None;
            return end;
        }
        catch (HengeException e)
        {
            outcome = e.Code;
            throw;
        }
        finally
        {
            _audited?.OnPage(user, page, outcome);
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
