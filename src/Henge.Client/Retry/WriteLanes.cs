using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Henge.Client.Retry;

/// <summary>The number under which the cluster remembers a write.</summary>
/// <param name="Lane">Where it is from; null: nowhere.</param>
/// <param name="Sequence">The number itself.</param>
/// <param name="Continues">True when the cluster had answered in this lane before the number was given.</param>
internal readonly record struct WriteNumber(WriteLane? Lane, ulong Sequence, bool Continues)
{
    /// <summary>An earlier attempt of the request may have been done.</summary>
    public const uint RetryFlag = 1;

    /// <summary>What the first attempt says of the session.</summary>
    public uint Flags => Continues ? 2u : 0;

    /// <summary>The cluster has answered: it knows the session.</summary>
    public void OnAnswered() => Lane?.OnAnswered();

    /// <summary>The client id that it belongs to.</summary>
    public ulong ClientId => Lane?.ClientId ?? 0;
}

/// <summary>
/// Numbers for writes, so that a retry takes effect at most once (Raft thesis, section 6.3). Each lane is a client id of its own with
/// rising numbers, and gives none that is <see cref="WriteLane.Span"/> or more above the oldest of its writes under way: so a write that is
/// retried is overtaken by few of its own id, whatever the others do, and the cluster still remembers it (docs/decisions/0060). Writes to
/// different shards use different lanes, so that a shard hears of few ids (docs/decisions/0120). Thread-safe.
/// </summary>
internal sealed class WriteLanes
{
    private const int MaxGroups = 256;

    private readonly LaneGroup?[] _groups = new LaneGroup?[MaxGroups];

    /// <summary>Lanes that have been made.</summary>
    public int Count => _groups.Sum(static g => g?.Count ?? 0);

    /// <summary>
    /// Takes a number for one write to a shard. Which shard is only a hint: numbers of any lane are good for every shard, so it may be
    /// wrong, or 0 when it is not known.
    /// </summary>
    public WriteNumber Rent(int shard)
    {
        ref LaneGroup? slot = ref _groups[shard % MaxGroups];
        LaneGroup group = Volatile.Read(ref slot) ?? Interlocked.CompareExchange(ref slot, new LaneGroup(), null) ?? slot!;
        return group.Rent();
    }

    /// <summary>Gives a number back once its write has ended, however it ended. Once for each number.</summary>
    public void Return(WriteNumber number) => number.Lane?.Group.Return(number.Lane, number.Sequence);
}

/// <summary>The lanes of one shard: see <see cref="WriteLanes"/>. Thread-safe.</summary>
internal sealed class LaneGroup
{
    private readonly Lock _lock = new();

    // The lane that was used last is used next: few lanes, and those warm.
    private readonly Stack<WriteLane> _lanesWithRoom = [];
    private int _count;

    /// <summary>Lanes that have been made.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Takes a number for one write.</summary>
    public WriteNumber Rent()
    {
        lock (_lock)
        {
            if (!_lanesWithRoom.TryPeek(out WriteLane? lane))
            {
                lane = new WriteLane(this, NewClientId());
                _count++;
                _lanesWithRoom.Push(lane);
            }

            ulong sequence = lane.Take();
            if (!lane.HasRoom)
            {
                _lanesWithRoom.Pop();
            }

            return new WriteNumber(lane, sequence, lane.IsAnswered);
        }
    }

    /// <summary>Gives a number of one of its lanes back.</summary>
    public void Return(WriteLane lane, ulong sequence)
    {
        lock (_lock)
        {
            bool had = lane.HasRoom;
            lane.End(sequence);
            if (!had && lane.HasRoom)
            {
                _lanesWithRoom.Push(lane);
            }
        }
    }

    /// <summary>See <see cref="WriteLane.Keep"/>.</summary>
    public void Keep(WriteLane lane, ulong sequence)
    {
        lock (_lock)
        {
            lane.MarkKept(sequence);
        }
    }

    private static ulong NewClientId()
    {
        Span<byte> random = stackalloc byte[8];
        ulong id;
        do
        {
            RandomNumberGenerator.Fill(random);
            id = BinaryPrimitives.ReadUInt64LittleEndian(random);
        }
        while (id == 0);
        return id;
    }
}

/// <summary>One lane: see <see cref="WriteLanes"/>. Its group's lock guards it.</summary>
internal sealed class WriteLane(LaneGroup group, ulong clientId)
{
    /// <summary>
    /// How far the newest number may be above the oldest under way: as many results as the cluster keeps of an id at the very least.
    /// </summary>
    public const int Span = 16;

    // Bit i: the number _oldest + i is under way. The lowest bit is set whenever any is.
    private uint _underWay;

    // A number that is never given back: from then on the lane gives those that fit above it, and no more.
    private ulong _kept;
    private ulong _oldest = 1;
    private ulong _next = 1;

    private volatile bool _isAnswered;

    /// <summary>
    /// True once the cluster has answered a write of this lane, so that a shard that does not know it has forgotten it. Thread-safe.
    /// </summary>
    public bool IsAnswered => _isAnswered;

    /// <summary>The cluster has answered. Thread-safe.</summary>
    public void OnAnswered()
    {
        if (!_isAnswered)
        {
            _isAnswered = true;
        }
    }

    /// <summary>Whose it is.</summary>
    public LaneGroup Group => group;

    /// <summary>The id under which the cluster remembers it; random, never 0.</summary>
    public ulong ClientId => clientId;

    /// <summary>True when it can give another number.</summary>
    public bool HasRoom => _next - _oldest < Span;

    /// <summary>Gives the next number.</summary>
    public ulong Take()
    {
        _underWay |= 1u << (int)(_next - _oldest);
        return _next++;
    }

    /// <summary>
    /// Has a number under way count as under way for good: its write's outcome is not known, and what the cluster remembers of it must not
    /// make room for later ones. Of several the lowest counts. Thread-safe.
    /// </summary>
    public void Keep(ulong sequence) => group.Keep(this, sequence);

    /// <summary>Under the group's lock: see <see cref="Keep"/>.</summary>
    public void MarkKept(ulong sequence) => _kept = _kept == 0 || sequence < _kept ? sequence : _kept;

    /// <summary>A number's write has ended.</summary>
    public void End(ulong sequence)
    {
        if (_kept != 0 && sequence >= _kept)
        {
            // It makes no room any more: the lane ends with what it has.
            return;
        }

        _underWay &= ~(1u << (int)(sequence - _oldest));
        while (_oldest < _next && (_underWay & 1) == 0)
        {
            _underWay >>= 1;
            _oldest++;
        }
    }
}
