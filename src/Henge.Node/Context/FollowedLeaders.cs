using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// Which shards this node leads in which terms, as a peer that carries them should see it, and which it follows each peer in: as one sum
/// for each peer. When the sum that a peer leads by and the sum that this node follows it by are equal, so are the sets behind them, and
/// one heartbeat speaks for all of them (decision 0114). Thread-safe; replicas keep it up to date before any message of theirs leaves that
/// was made in another state.
/// </summary>
/// <remarks>
/// A sum is of well-mixed 64-bit numbers, one for each shard and term: that two different sets have equal sums is a matter of 1 in 2^64.
/// </remarks>
/// <param name="workers">Workers of this node; a shard belongs to the worker that its number leads to.</param>
/// <param name="timeoutTicks">For so many ticks after its last run a worker is taken to be alive, when this node speaks for what the
/// worker leads.</param>
/// <param name="answerTicks">The same, when this node answers for what the worker follows a peer in.</param>
/// <param name="bugs">Deliberate bugs.</param>
internal sealed class FollowedLeaders(int workers, ulong timeoutTicks, ulong answerTicks, NodeBugs bugs)
{
    // By worker.
    private readonly MemberMap<ulong>[] _leadSums = [.. Enumerable.Range(0, workers).Select(static _ => new MemberMap<ulong>())];
    private readonly ulong[] _lastRunTick = new ulong[workers];
    private readonly MemberMap<ulong>[] _followSums = [.. Enumerable.Range(0, workers).Select(static _ => new MemberMap<ulong>())];
    private readonly MemberMap<ulong> _lastHeardTick = new();

    /// <summary>
    /// The sum of what this node leads and a peer carries, without the shards of workers that have not run for a while: nobody may vouch
    /// for them, so that their shards find other leaders (decision 0140). The peer does not agree with such a sum until they have, so that
    /// the groups of the other workers speak for themselves meanwhile.
    /// </summary>
    public ulong LedFor(NodeId peer, int asker, ulong nowTick)
    {
        ulong sum = 0;
        for (int worker = 0; worker < workers; worker++)
        {
            if (worker == asker || Volatile.Read(ref _lastRunTick[worker]) + timeoutTicks >= nowTick || bugs.VouchesForHungWorkers)
            {
                sum += Volatile.Read(ref _leadSums[worker][peer]);
            }
        }

        return sum;
    }

    /// <summary>A worker has run, in a tick.</summary>
    public void Ran(int worker, ulong tick) => Volatile.Write(ref _lastRunTick[worker], tick);

    /// <summary>
    /// Whether this node follows a peer in exactly those shards and terms, and every worker that follows it in any has run lately. A worker
    /// that stands still takes no entries, so nobody may answer for it: the peer would count this node as one that helps it to commit
    /// (decision 0169). When this node does not agree, the peer's groups ask one by one, and those of workers that run answer.
    /// </summary>
    public bool Agrees(NodeId leader, ulong led, ulong nowTick)
    {
        ulong sum = 0;
        bool runs = true;
        for (int worker = 0; worker < workers; worker++)
        {
            ulong followed = Volatile.Read(ref _followSums[worker][leader]);
            sum += followed;
            runs &= followed == 0 || Volatile.Read(ref _lastRunTick[worker]) + answerTicks >= nowTick || bugs.AnswersForHungWorkers;
        }

        return (sum == led && runs) || bugs.AgreesWithAnyLeader;
    }

    /// <summary>A peer's heartbeat has come in a tick, and this node agrees with it.</summary>
    public void Heard(NodeId leader, ulong tick) => Volatile.Write(ref _lastHeardTick[leader], tick);

    /// <summary>The tick that <see cref="Heard"/> was last given; 0 for never.</summary>
    public ulong HeardTick(NodeId leader) => Volatile.Read(ref _lastHeardTick[leader]);

    /// <summary>Takes a shard that this node leads in a term in, for a peer, or out.</summary>
    public void Lead(NodeId peer, ShardId shard, Term term, bool add) => Add(ref _leadSums[WorkerOf(shard)][peer], shard, term, add);

    /// <summary>Takes a shard in which this node follows a leader in a term in, or out.</summary>
    public void Follow(NodeId leader, ShardId shard, Term term, bool add) =>
        Add(ref _followSums[WorkerOf(shard)][leader], shard, term, add);

    private int WorkerOf(ShardId shard) => (int)(shard.Value % (uint)workers);

    private static void Add(ref ulong sum, ShardId shard, Term term, bool add)
    {
        ulong number = Mix(Mix(shard.Value + 0x9E37_79B9_7F4A_7C15) ^ term.Value);
        Interlocked.Add(ref sum, add ? number : 0 - number);
    }

    // The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
    private static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9;
        value = (value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB;
        return value ^ (value >> 31);
    }
}
