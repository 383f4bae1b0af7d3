using Henge.Core;

namespace Henge.Node.Context;

/// <summary>What a node knows of a peer's wall clock.</summary>
/// <param name="IsKnown">False before the first answer.</param>
/// <param name="AheadMs">How far it is ahead of this node's wall clock; negative: behind.</param>
/// <param name="UncertaintyMs">By how much that may be wrong: half of the time that the answer took.</param>
internal readonly record struct PeerClock(bool IsKnown, long AheadMs, long UncertaintyMs);

/// <summary>
/// The time by which a node gives versions and judges what has expired. It is the node's own wall clock as long as that is within
/// <see cref="NodeOptions.MaxClockSkewMs"/> of what a majority of the members' clocks say, and otherwise what they say: no single clock
/// moves versions (docs/decisions/0133). Thread-safe.
/// </summary>
/// <remarks>
/// "What a majority says" is the latest moment that the clocks of a majority of all members have reached; clocks that are not known count
/// as not having reached it. With three members whose clocks are all known it is the median. Peers' clocks are kept as distances from this
/// node's monotonic clock, so that a jump of its wall clock does not move them.
/// </remarks>
internal sealed class ClusterClock
{
    // A better measurement of a peer's clock is kept for so long; after that any newer one is taken, since the clock may have drifted
    // meanwhile.
    private const long KeepMs = 3_000;

    // Two measurements that are further apart than both may be wrong by, and this for drift, are of a clock that was set in between: the
    // newer one counts at once.
    private const long DriftMs = 10;
    private readonly TimeProvider _time;
    private readonly long _startTimestamp;
    private readonly NodeId _self;
    private readonly bool _trustsOwnClock;
    private readonly Lock _gate = new();
    private readonly MemberMap<Sample> _samples = new();
    private NodeId[] _members = [];
    private volatile bool _usesOwnClock;

    // Distances from the monotonic clock: the majority's time is the own clock, but no later than the first and no earlier than the second.
    // MaxValue: the first is not known, and so is no majority.
    private long _latest = long.MaxValue;
    private long _earliest = long.MinValue;

    /// <summary>Creates the clock of a member.</summary>
    /// <param name="time">The node's clocks.</param>
    /// <param name="startTimestamp">From when its monotonic clock is counted.</param>
    /// <param name="members">Whose clocks count.</param>
    /// <param name="self">This node.</param>
    /// <param name="options">The node's settings.</param>
    public ClusterClock(TimeProvider time, long startTimestamp, IReadOnlyList<NodeId> members, NodeId self, NodeOptions options)
    {
        _time = time;
        _startTimestamp = startTimestamp;
        _self = self;
        _trustsOwnClock = options.Bugs.TrustsOwnClock;
        MaxSkewMs = options.MaxClockSkewMs;
        SetMembers(members);
    }

    /// <summary>How far the own clock may be from the majority's and still be used, in milliseconds.</summary>
    public long MaxSkewMs { get; }

    /// <summary>True when this node's clock is the only one there is, or is taken for that.</summary>
    public bool IsAlone => _usesOwnClock;

    /// <summary>False until the clocks of a majority are known. A leader gives no versions before that.</summary>
    public bool IsKnown => _usesOwnClock || Volatile.Read(ref _latest) != long.MaxValue;

    /// <summary>
    /// True while clocks that are not known yet could move the majority's time by more than <see cref="MaxSkewMs"/>: of those that are
    /// known, some are that far apart. A shard without versions does not begin then: what has a version goes on from there, but a first
    /// version that lies in the past stays there (docs/decisions/0133). False while <see cref="IsKnown"/> is.
    /// </summary>
    public bool IsContested
    {
        get
        {
            if (_usesOwnClock)
            {
                return false;
            }

            lock (_gate)
            {
                Span<long> known = _members.Length <= 128 ? stackalloc long[_members.Length] : new long[_members.Length];
                int count = 0;
                foreach (NodeId member in _members)
                {
                    if (member == _self)
                    {
                        known[count++] = OwnWallMs - MonotonicMs;
                    }
                    else if (_samples[member] is { IsKnown: true } sample)
                    {
                        known[count++] = sample.AheadOfMonotonicMs;
                    }
                }

                int majority = _members.Length / 2, unknown = _members.Length - count;
                known = known[..count];
                known.Sort(static (a, b) => b.CompareTo(a));
                return count > majority && known[Math.Max(0, majority - unknown)] - known[majority] > MaxSkewMs;
            }
        }
    }

    /// <summary>The version of this moment; <see cref="Core.Version.First"/> while <see cref="IsKnown"/> is false.</summary>
    public Core.Version Now
    {
        get
        {
            long wallMs = OwnWallMs;
            return _usesOwnClock ? Core.Version.FromMilliseconds(wallMs)
                : Volatile.Read(ref _latest) is var latest && latest != long.MaxValue ? Core.Version.FromMilliseconds(Pick(wallMs, latest))
                : Core.Version.First;
        }
    }

    /// <summary>
    /// How far the own clock is ahead of the majority's, in milliseconds; 0 while that is not known, and in a cluster of one.
    /// </summary>
    public long SkewMs
    {
        get
        {
            long latest = Volatile.Read(ref _latest), wallMs = OwnWallMs;
            return latest == long.MaxValue ? 0 : wallMs - OfMajority(wallMs, latest);
        }
    }

    /// <summary>True while the majority's time is used in place of the own clock's.</summary>
    public bool IsOverruled => !_usesOwnClock && Math.Abs(SkewMs) > MaxSkewMs;

    private long OwnWallMs => _time.GetUtcNow().ToUnixTimeMilliseconds() - Core.Version.EpochUnixMs;

    private long MonotonicMs => (long)_time.GetElapsedTime(_startTimestamp).TotalMilliseconds;

    /// <summary>The version for the next write after <paramref name="last"/>: the clock's, or one more on the counter.</summary>
    public Core.Version NextAfter(Core.Version last)
    {
        Core.Version now = Now;
        return now > last ? now : last.Next;
    }

    /// <summary>
    /// The highest version that another node may ask a shard to close its history at whose log ends with <paramref name="last"/>.
    /// </summary>
    public Core.Version LimitFor(Core.Version last)
    {
        if (_usesOwnClock)
        {
            return Core.Version.LastUsable;
        }

        Core.Version now = Now;
        var limit = Core.Version.FromMilliseconds((now > last ? now : last).Milliseconds + MaxSkewMs + 1);
        return limit < Core.Version.LastUsable ? limit : Core.Version.LastUsable;
    }

    /// <summary>
    /// Other members' clocks count from now on. What is known of any clock is kept, so that the time is known without a pause when those
    /// that come were asked before. Versions never go back, whatever the time does (<see cref="NextAfter"/>).
    /// </summary>
    public void SetMembers(IReadOnlyList<NodeId> members)
    {
        lock (_gate)
        {
            _members = [.. members];
            FindMajority();
        }
    }

    /// <summary>What is known of a peer's clock.</summary>
    public PeerClock Of(NodeId peer)
    {
        Sample sample;
        lock (_gate)
        {
            sample = _samples[peer];
        }

        return sample.IsKnown ? new PeerClock(true, sample.AheadOfMonotonicMs + MonotonicMs - OwnWallMs, sample.UncertaintyMs) : default;
    }

    /// <summary>True once a peer has told its clock.</summary>
    public bool Knows(NodeId peer)
    {
        lock (_gate)
        {
            return _samples[peer].IsKnown;
        }
    }

    /// <summary>
    /// A peer has told its wall clock (Cristian, 1989): it was read between two moments of this node's monotonic clock. An answer that took
    /// too long to tell anything is left out.
    /// </summary>
    /// <param name="peer">The peer.</param>
    /// <param name="wallUnixMs">Its clock.</param>
    /// <param name="askedAt">Timestamp of the question.</param>
    public void OnAnswer(NodeId peer, long wallUnixMs, long askedAt)
    {
        long now = _time.GetTimestamp();
        long tookMs = (long)_time.GetElapsedTime(askedAt, now).TotalMilliseconds;
        if (now < askedAt || tookMs > 2 * Math.Max(1, MaxSkewMs) || wallUnixMs is < 0 or > 253_402_300_799_999)
        {
            return;
        }

        long middleMs = (long)_time.GetElapsedTime(_startTimestamp, now).TotalMilliseconds - (tookMs / 2);
        var sample = new Sample(true, wallUnixMs - Core.Version.EpochUnixMs - middleMs, (tookMs / 2) + 1, middleMs);
        lock (_gate)
        {
            Sample last = _samples[peer];
            if (
                !last.IsKnown
                || sample.UncertaintyMs <= last.UncertaintyMs
                || sample.AtMs - last.AtMs >= KeepMs
                || WasSetBetween(last, sample))
            {
                _samples[peer] = sample;
                FindMajority();
            }
        }
    }

    private static bool WasSetBetween(in Sample last, in Sample next) =>
        Math.Abs(next.AheadOfMonotonicMs - last.AheadOfMonotonicMs) > last.UncertaintyMs + next.UncertaintyMs + DriftMs;

    // The k-th latest of all clocks, k being a majority, as a function of the own one: that one itself, between the k-th and the (k-1)-th
    // latest of the others. For a node whose own clock does not count it is the k-th latest of the others.
    private void FindMajority()
    {
        bool counts = Array.IndexOf(_members, _self) >= 0;
        _usesOwnClock = _trustsOwnClock || (counts && _members.Length == 1);
        Span<long> known = _members.Length <= 128 ? stackalloc long[_members.Length] : new long[_members.Length];
        int count = 0;
        foreach (NodeId member in _members)
        {
            if (member != _self && _samples[member] is { IsKnown: true } sample)
            {
                known[count++] = sample.AheadOfMonotonicMs;
            }
        }

        known = known[..count];
        known.Sort(static (a, b) => b.CompareTo(a));
        int earliest = _members.Length / 2;
        int latest = counts ? earliest - 1 : earliest;
        Volatile.Write(ref _earliest, count > earliest ? known[earliest] : long.MinValue);
        Volatile.Write(ref _latest, latest >= 0 && count > latest ? known[latest] : long.MaxValue);
    }

    private long Pick(long wallMs, long latest)
    {
        long majority = OfMajority(wallMs, latest);
        return Math.Abs(wallMs - majority) <= MaxSkewMs ? wallMs : majority;
    }

    private long OfMajority(long wallMs, long latest)
    {
        long nowMs = MonotonicMs;
        long earliest = Volatile.Read(ref _earliest);
        return Math.Min(earliest == long.MinValue ? wallMs : Math.Max(wallMs, earliest + nowMs), latest + nowMs);
    }

    private readonly record struct Sample(bool IsKnown, long AheadOfMonotonicMs, long UncertaintyMs, long AtMs);
}
