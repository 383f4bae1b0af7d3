using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>
/// What another node has read of a page: entries in the order of the scan. Each is <c>kind u8 | key length u32 | value length u32 | version
/// u64 | expiry i64 | key | value</c>, little-endian. Immutable.
/// </summary>
internal sealed class RemotePage
{
    private const int EntryHeaderBytes = 25;

    private RemotePage()
    {
    }

    /// <summary>Whose entries they are.</summary>
    public required IReadOnlyCollection<ShardId> Shards { get; init; }

    /// <summary>The entries.</summary>
    public required ReadOnlyMemory<byte> Entries { get; init; }

    /// <summary>How many there are.</summary>
    public required int Count { get; init; }

    /// <summary>There is more behind them.</summary>
    public required bool HasMore { get; init; }

    /// <summary>
    /// Where that begins: the first key that is not here, or, of a reverse scan, the last one that is. Empty for the history of a key.
    /// </summary>
    public required ReadOnlyMemory<byte> NextKey { get; init; }

    /// <summary>For the history of a key: whatever was written up to this version was seen.</summary>
    public Core.Version Applied { get; init; }

    /// <summary>Bytes of an entry.</summary>
    public static int SizeOf(int keyBytes, int valueBytes) => EntryHeaderBytes + keyBytes + valueBytes;

    /// <summary>Writes an entry.</summary>
    public static void WriteEntry(
        Span<byte> span,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> value,
        Core.Version version,
        EntryKind kind,
        long expiresAtMs)
    {
        span[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(span[1..], key.Length);
        BinaryPrimitives.WriteInt32LittleEndian(span[5..], value.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(span[9..], version.Value);
        BinaryPrimitives.WriteInt64LittleEndian(span[17..], expiresAtMs);
        key.CopyTo(span[EntryHeaderBytes..]);
        value.CopyTo(span[(EntryHeaderBytes + key.Length)..]);
    }

    /// <summary>Makes a page of entries that another node has sent; null when they make no sense.</summary>
    public static RemotePage? TryCreate(
        IReadOnlyCollection<ShardId> shards,
        ReadOnlyMemory<byte> entries,
        int count,
        bool hasMore,
        ReadOnlyMemory<byte> nextKey,
        Core.Version applied)
    {
        int at = 0, found = 0;
        ReadOnlySpan<byte> bytes = entries.Span;
        for (; at < bytes.Length; found++)
        {
            if (
                !TryReadHeader(bytes[at..], out int size)
                || (EntryKind)bytes[at] is not (EntryKind.Put or EntryKind.Delete or EntryKind.PutExpiring or EntryKind.PutTyped))
            {
                return null;
            }

            at += size;
        }

        return found != count
            ? null
            : new RemotePage
            {
                Shards = shards,
                Entries = entries,
                Count = count,
                HasMore = hasMore,
                NextKey = nextKey,
                Applied = applied,
            };
    }

    /// <summary>Walks the entries within the bounds of a page.</summary>
    public EngineIterator Iterate(ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper) => new Iterator(Entries, lower, upper);

    private static bool TryReadHeader(ReadOnlySpan<byte> bytes, out int size)
    {
        size = 0;
        if (bytes.Length < EntryHeaderBytes)
        {
            return false;
        }

        uint key = BinaryPrimitives.ReadUInt32LittleEndian(bytes[1..]), value = BinaryPrimitives.ReadUInt32LittleEndian(bytes[5..]);
        if ((ulong)key + value > (ulong)(bytes.Length - EntryHeaderBytes) || BinaryPrimitives.ReadInt64LittleEndian(bytes[17..]) < 0)
        {
            return false;
        }

        size = EntryHeaderBytes + (int)(key + value);
        return true;
    }

    // The entries are in the order of the scan already: to either end, and on, is the same.
    private sealed class Iterator(ReadOnlyMemory<byte> entries, ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper) : EngineIterator
    {
        private int _at;
        private int _size;
        private int _keyBytes;

        public override bool Valid =>
            _size > 0 && Key.SequenceCompareTo(lower.Span) >= 0 && (upper.IsEmpty || Key.SequenceCompareTo(upper.Span) < 0);

        public override ReadOnlySpan<byte> Key => entries.Span.Slice(_at + EntryHeaderBytes, _keyBytes);

        public override ReadOnlySpan<byte> Value => entries.Span[(_at + EntryHeaderBytes + _keyBytes)..(_at + _size)];

        public override Core.Version Version => new(BinaryPrimitives.ReadUInt64LittleEndian(entries.Span[(_at + 9)..]));

        public override EntryKind Kind => (EntryKind)entries.Span[_at];

        public override long ExpiresAtMs => BinaryPrimitives.ReadInt64LittleEndian(entries.Span[(_at + 17)..]);

        public override DataType Type => Kind == EntryKind.PutTyped ? DataType.Hash : DataType.Bytes;

        public override void SeekToFirst() => MoveTo(0);

        public override void SeekToLast() => MoveTo(0);

        public override void Next() => MoveTo(_at + _size);

        public override void Prev() => MoveTo(_at + _size);

        public override void Seek(ReadOnlySpan<byte> key) => throw new NotSupportedException();

        public override void SeekForPrev(ReadOnlySpan<byte> key) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
        }

        private void MoveTo(int at)
        {
            _at = at;
            if (!TryReadHeader(entries.Span[at..], out _size))
            {
                _size = 0;
                return;
            }

            _keyBytes = BinaryPrimitives.ReadInt32LittleEndian(entries.Span[(at + 1)..]);
        }
    }
}
