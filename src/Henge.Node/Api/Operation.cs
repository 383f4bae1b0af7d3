using Henge.Core;

namespace Henge.Node.Api;

/// <summary>
/// One operation on its way through a node. The caller fills in the request part, hands it to <see cref="IHengeNode.Submit(Operation)"/>,
/// and gets exactly one call of <see cref="OnCompleted"/>, on whichever thread finished it; there it must only hand the operation over to
/// its own loop. Reusable after <see cref="Reset"/>: doors pool them, so that an operation allocates nothing.
/// </summary>
public abstract class Operation
{
    // ---- request ----

    /// <summary>What is asked.</summary>
    public OperationKind Kind { get; set; }

    /// <summary>The key that decides the shard. The memory must not change before completion.</summary>
    public ReadOnlyMemory<byte> Key { get; set; }

    /// <summary>For writes: the encoded command (see CommandEncoder). The memory must not change before completion.</summary>
    public ReadOnlyMemory<byte> Command { get; set; }

    /// <summary>For reads: how it is made sure of.</summary>
    public ReadConsistency Consistency { get; set; }

    /// <summary>For reads: the version to read at; zero means now.</summary>
    public Core.Version ReadVersion { get; set; }

    /// <summary>For barriers: all shards, not only that of <see cref="Key"/>.</summary>
    public bool AllShards { get; set; }

    /// <summary>True: fail with <see cref="ErrorCode.NotLeader"/> instead of forwarding.</summary>
    public bool LeaderOnly { get; set; }

    /// <summary>
    /// The pipeline that it came by (a session's stream); 0 for none. A read of a pipeline waits for what the same pipeline submitted
    /// before it to write its key, so that it sees it. (Writes to one shard keep the order in which they were submitted to a node in any
    /// case.)
    /// </summary>
    public ulong Pipeline { get; set; }

    /// <summary>When to give up, on the node's monotonic clock (<see cref="IHengeNode.MonotonicMs"/>); 0: the node's default.</summary>
    public long DeadlineMs { get; set; }

    /// <summary>For pages: which one.</summary>
    public PageFetch? Page { get; set; }

    /// <summary>
    /// Who asks, and by what a guard has let it through. Of no account to the node that takes it in: the guard in front of it goes by it
    /// (AccessCheck). Another node that is to do it, and knows newer users and roles, checks it again (docs/decisions/0212).
    /// </summary>
    public Asker Asker { get; set; }

    /// <summary>Is told as it ends, before whoever submitted it; null: nobody else is.</summary>
    public IOperationObserver? Observer { get; set; }

    // ---- outcome ----

    /// <summary>What went wrong; <see cref="ErrorCode.None"/> when nothing did.</summary>
    public ErrorCode Error { get; set; }

    /// <summary>A message for the user, when there is an error.</summary>
    public string? ErrorMessage { get; set; }

    /// <summary>
    /// Address of the shard's leader, when known and not this node: of whom to ask on an error, of who did it when it was forwarded.
    /// </summary>
    public string? LeaderHint { get; set; }

    /// <summary>The term in which the node of <see cref="LeaderHint"/> leads; zero when that is not known.</summary>
    public Term LeaderTerm { get; set; }

    /// <summary>
    /// For writes: the version of the write. For barriers: the version to read at. For gets: the version as of which is read.
    /// </summary>
    public Core.Version Version { get; set; }

    /// <summary>For writes: the encoded result (see CommandResult), owned by the operation until <see cref="Reset"/>.</summary>
    public ReadOnlyMemory<byte> Result { get; set; }

    // ---- the node's own ----

    /// <summary>Links the operation into the intrusive queue that it is in now.</summary>
    internal Operation? Next { get; set; }

    /// <summary>The shard, once routed.</summary>
    internal ShardId Shard { get; set; }

    /// <summary>
    /// For writes: its place among the writes of its shard on this node. For reads that wait for such: up to which place.
    /// </summary>
    internal ulong Order { get; set; }

    /// <summary>For writes of a pipeline: where <see cref="Replication.WriteOrder"/> counts it; else -1.</summary>
    internal int OrderSlot { get; set; } = -1;

    /// <summary>A number of the holder's own (read request, index in a batch…).</summary>
    internal ulong Tag { get; set; }

    /// <summary>For a read that was granted by a lease: the tick of the node's clock with which that ends; 0 for other reads.</summary>
    internal ulong LeaseEndsAtTick { get; set; }

    /// <summary>For a part of a barrier over several shards: what it asks of its shard.</summary>
    internal BarrierPhase Phase { get; set; }

    /// <summary>True when another node has sent it here: it is not sent on.</summary>
    internal virtual bool IsForwarded => false;

    /// <summary>For a read that another node has answered: what it found.</summary>
    internal RemoteValue? Remote { get; set; }

    /// <summary>Anything of the holder's own.</summary>
    internal object? State { get; set; }

    /// <summary>Makes it ready for use again.</summary>
    public virtual void Reset()
    {
        Key = default;
        Command = default;
        Consistency = default;
        ReadVersion = default;
        AllShards = false;
        Page = null;
        Asker = default;
        Observer = null;
        LeaderOnly = false;
        Pipeline = 0;
        DeadlineMs = 0;
        Error = ErrorCode.None;
        ErrorMessage = null;
        LeaderHint = null;
        LeaderTerm = default;
        Version = default;
        Result = default;
        Next = null;
        State = null;
        Tag = 0;
        LeaseEndsAtTick = 0;
        Phase = BarrierPhase.None;
        Remote = null;
        Order = 0;
        OrderSlot = -1;
    }

    /// <summary>Completes it with an error.</summary>
    public void Fail(ErrorCode error, string message, string? leaderHint = null)
    {
        Error = error;
        ErrorMessage = message;
        LeaderHint = leaderHint;
        Complete();
    }

    /// <summary>Completes it.</summary>
    public void Complete()
    {
        Observer?.OnCompleting(this);
        OnCompleted();
    }

    /// <summary>
    /// Called exactly once for each submission, on any thread, maybe before Submit returns. Must be quick and must not throw.
    /// </summary>
    protected abstract void OnCompleted();
}
