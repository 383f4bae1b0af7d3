using System.Buffers.Binary;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Node.Watch;

/// <summary>
/// The latest events of a shard in one array of bytes, oldest evicted first, all events of a version together. Positions only ever rise.
/// Not thread-safe. Record: <c>length u32 | reason u8 | by reference u8 | version u64 | expiry i64 | key length u32 | key | value</c>,
/// never split at the array's end.
/// </summary>
internal sealed class EventRing(int capacityBytes)
{
    internal const int HeaderBytes = 26;
    private const uint Wrap = uint.MaxValue;

    private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(Math.Max(capacityBytes, 256));
    private long _head;
    private long _tail;

    /// <summary>All events with this version and later are here.</summary>
    public Core.Version From { get; private set; }

    /// <summary>Where the next event will be.</summary>
    public long Head => _head;

    /// <summary>Where the oldest event is.</summary>
    public long Tail => _tail;

    /// <summary>Forgets all events; those with this version and later will be here.</summary>
    public void Clear(Core.Version from)
    {
        _tail = _head;
        From = from;
    }

    /// <summary>
    /// Adds an event; versions never fall. One that does not fit even into an empty ring moves <see cref="From"/> behind its version.
    /// </summary>
    public void Add(
        WatchReason reason,
        Core.Version version,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> value,
        long expiresAtMs,
        bool byReference)
    {
        if (version < From)
        {
            // An earlier event of this version did not fit.
            return;
        }

        int length = HeaderBytes + key.Length + value.Length;
        if (!MakeRoom(length, version))
        {
            Clear(version.Next);
            return;
        }

        Span<byte> record = _bytes.AsSpan(Offset(_head), length);
        BinaryPrimitives.WriteUInt32LittleEndian(record, (uint)length);
        record[4] = (byte)reason;
        record[5] = byReference ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt64LittleEndian(record[6..], version.Value);
        BinaryPrimitives.WriteInt64LittleEndian(record[14..], expiresAtMs);
        BinaryPrimitives.WriteUInt32LittleEndian(record[22..], (uint)key.Length);
        key.CopyTo(record[HeaderBytes..]);
        value.CopyTo(record[(HeaderBytes + key.Length)..]);
        _head += length;
    }

    /// <summary>The record at a position (at or after <see cref="Tail"/>), moving the position behind it; false at the head.</summary>
    public bool TryRead(ref long position, out ReadOnlySpan<byte> record)
    {
        record = default;
        position = SkipWrap(position);
        if (position >= _head)
        {
            return false;
        }

        int offset = Offset(position);
        int length = (int)BinaryPrimitives.ReadUInt32LittleEndian(_bytes.AsSpan(offset));
        record = _bytes.AsSpan(offset, length);
        position += length;
        return true;
    }

    private int Offset(long position) => (int)(position % _bytes.Length);

    private long SkipWrap(long position)
    {
        if (position >= _head)
        {
            return position;
        }

        int offset = Offset(position);
        int left = _bytes.Length - offset;
        return left < 4 || BinaryPrimitives.ReadUInt32LittleEndian(_bytes.AsSpan(offset)) == Wrap ? position + left : position;
    }

    // False when the record cannot fit beside what must stay of its own version.
    private bool MakeRoom(int length, Core.Version version)
    {
        if (length > _bytes.Length)
        {
            return false;
        }

        int left = _bytes.Length - Offset(_head);
        int skip = length > left ? left : 0;
        while (_head + skip + length - _tail > _bytes.Length)
        {
            long at = SkipWrap(_tail);
            if (at >= _head)
            {
                _tail = _head;
                break;
            }

            if (!EvictVersion(at, version))
            {
                return false;
            }
        }

        if (skip > 0)
        {
            if (left >= 4)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(Offset(_head)), Wrap);
            }

            // An empty ring must not begin with the gap, or the room computed above would not be there.
            _tail = _tail == _head ? _head + skip : _tail;
            _head += skip;
        }

        return _head + length - _tail <= _bytes.Length;
    }

    private bool EvictVersion(long at, Core.Version adding)
    {
        Core.Version oldest = EventRecord.Version(_bytes.AsSpan(Offset(at)));
        if (oldest == adding)
        {
            return false;
        }

        From = oldest.Next;
        _tail = at;
        long position = at;
        while (TryRead(ref position, out ReadOnlySpan<byte> record) && EventRecord.Version(record) == oldest)
        {
            _tail = position;
        }

        return true;
    }
}

/// <summary>Reads fields of a record of an <see cref="EventRing"/>.</summary>
internal static class EventRecord
{
    public static WatchReason Reason(ReadOnlySpan<byte> record) => (WatchReason)record[4];

    public static bool ByReference(ReadOnlySpan<byte> record) => record[5] != 0;

    public static Core.Version Version(ReadOnlySpan<byte> record) => new(BinaryPrimitives.ReadUInt64LittleEndian(record[6..]));

    public static long ExpiresAtMs(ReadOnlySpan<byte> record) =>
        EntryHeader.ExpiresAtMs(BinaryPrimitives.ReadInt64LittleEndian(record[14..]));

    public static DataType Type(ReadOnlySpan<byte> record) => EntryHeader.Type(BinaryPrimitives.ReadInt64LittleEndian(record[14..]));

    public static ReadOnlySpan<byte> Key(ReadOnlySpan<byte> record) => record.Slice(EventRing.HeaderBytes, KeyLength(record));

    public static ReadOnlySpan<byte> Value(ReadOnlySpan<byte> record) => record[(EventRing.HeaderBytes + KeyLength(record))..];

    private static int KeyLength(ReadOnlySpan<byte> record) => (int)BinaryPrimitives.ReadUInt32LittleEndian(record[22..]);
}
