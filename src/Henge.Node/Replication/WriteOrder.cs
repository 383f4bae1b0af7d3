using System.IO.Hashing;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Node.Replication;

/// <summary>
/// The order in which a node was given the writes of one shard. Each write has a place; what comes back undone returns to its place. A read
/// of a pipeline finds here which writes it has to wait for. Belongs to the shard's worker. Allocates only while it grows: a bit for each
/// place from the lowest open one on.
/// </summary>
internal sealed class WriteOrder
{
    private const int SlotBits = 11;
    private const ulong AnyKey = 0x5851_F42D_4C95_7F2D;
    private ulong[] _ended = new ulong[16];
    private Slot[]? _slots;
    private ulong _lowestOpen = 1;

    /// <summary>The place last given.</summary>
    public ulong Last { get; private set; }

    /// <summary>Gives a write its place, behind all others.</summary>
    public void Begin(Operation write)
    {
        write.Order = ++Last;
        if (Last - _lowestOpen >= (ulong)_ended.Length * 64)
        {
            Grow();
        }

        write.OrderSlot = -1;
        if (write.Pipeline != 0)
        {
            _slots ??= new Slot[1 << SlotBits];
            int slot = SlotOf(write.Pipeline, HasManyKeys(write) ? AnyKey : XxHash64.HashToUInt64(write.Key.Span));
            _slots[slot].Open++;
            _slots[slot].Last = Last;
            write.OrderSlot = slot;
        }
    }

    /// <summary>A write has ended, in whatever way. Before its caller is told: the caller may use it for something else at once.</summary>
    public void End(Operation write)
    {
        if (write.OrderSlot >= 0)
        {
            _slots![write.OrderSlot].Open--;
        }

        _ended[Word(write.Order)] |= 1UL << (int)(write.Order & 63);
        while (_lowestOpen <= Last && (_ended[Word(_lowestOpen)] >> (int)(_lowestOpen & 63) & 1) != 0)
        {
            _ended[Word(_lowestOpen)] &= ~(1UL << (int)(_lowestOpen & 63));
            _lowestOpen++;
        }
    }

    /// <summary>True when a read has to wait for earlier writes of its pipeline; then it is marked with the place up to which.</summary>
    public bool MustWait(Operation read)
    {
        if (read.Phase != BarrierPhase.None)
        {
            // A scan: which keys the pipeline has written here is not known, so it waits for all that came before it.
            read.Order = Last;
            return IsOpenUpTo(Last);
        }

        if (_slots is null)
        {
            return false;
        }

        ref Slot own = ref _slots[SlotOf(read.Pipeline, XxHash64.HashToUInt64(read.Key.Span))];
        ref Slot any = ref _slots[SlotOf(read.Pipeline, AnyKey)];
        read.Order = Math.Max(own.Open > 0 ? own.Last : 0, any.Open > 0 ? any.Last : 0);
        return IsOpenUpTo(read.Order);
    }

    /// <summary>True while a read that was marked by <see cref="MustWait"/> still has to wait.</summary>
    public bool MustStillWait(Operation read)
    {
        if (!IsOpenUpTo(read.Order))
        {
            return false;
        }

        // Later writes may keep the first from being seen to have ended, and the lowest open one may be somebody else's: either sign is
        // enough.
        return read.Phase != BarrierPhase.None
            || _slots![SlotOf(read.Pipeline, XxHash64.HashToUInt64(read.Key.Span))].Open > 0
            || _slots[SlotOf(read.Pipeline, AnyKey)].Open > 0;
    }

    private bool IsOpenUpTo(ulong place) => _lowestOpen <= place;

    private static bool HasManyKeys(Operation write) =>
        !write.Command.IsEmpty && (CommandKind)write.Command.Span[0] is CommandKind.Txn or CommandKind.MultiPut or CommandKind.MultiDelete;

    private static int SlotOf(ulong pipeline, ulong hash) => (int)((hash ^ pipeline) * 0x9E37_79B9_7F4A_7C15 >> (64 - SlotBits));

    private int Word(ulong place) => (int)(place >> 6 & (ulong)(_ended.Length - 1));

    private void Grow()
    {
        var bigger = new ulong[_ended.Length * 2];
        for (ulong place = _lowestOpen; place < Last; place++)
        {
            bigger[place >> 6 & (ulong)(bigger.Length - 1)] |= _ended[Word(place)] & (1UL << (int)(place & 63));
        }

        _ended = bigger;
    }

    private struct Slot
    {
        /// <summary>Writes that have not ended.</summary>
        public int Open;

        /// <summary>The place of the last one.</summary>
        public ulong Last;
    }
}
