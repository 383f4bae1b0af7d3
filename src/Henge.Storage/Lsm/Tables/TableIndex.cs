using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Henge.Core;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>What the index knows of a data block.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IndexedBlock
{
    /// <summary>Where it lies in the file.</summary>
    public long Offset;

    /// <summary>The largest version in it.</summary>
    public ulong MaxVersion;

    /// <summary>Bytes of its stored payload.</summary>
    public int Length;

    /// <summary>Where its separator begins.</summary>
    public int SeparatorOffset;

    /// <summary>Entries in it.</summary>
    public int EntryCount;

    private readonly int _padding;

    /// <summary>Its handle.</summary>
    public readonly BlockHandle Handle => new(Offset, Length);
}

/// <summary>
/// A table's index in off-heap memory. A search compares words: of each separator, the 8 bytes behind what all separators have in common.
/// They lie together, 8 of them in a cache line, and only where they are equal are separators compared as a whole. Immutable.
/// </summary>
internal sealed unsafe class TableIndex
{
    private const int SlackBytes = 16;
    private readonly byte* _memory;
    private readonly long _memoryBytes;
    private readonly ulong* _words;
    private readonly IndexedBlock* _blocks;
    private readonly byte* _separators;
    private readonly int _commonLength;

    private TableIndex(byte* memory, long memoryBytes, int count, int separatorBytes)
    {
        _memory = memory;
        _memoryBytes = memoryBytes;
        Count = count;
        _words = (ulong*)memory;
        _blocks = (IndexedBlock*)(_words + count);
        _separators = (byte*)(_blocks + count);
        SeparatorsEnd = separatorBytes;
        _commonLength = count > 1 ? CommonSeparator() : 0;
        for (int i = 1; i < count; i++)
        {
            _words[i] = WordAt(_separators + _blocks[i].SeparatorOffset + _commonLength, SeparatorLength(i) - _commonLength);
        }

        _words[0] = 0;
    }

    /// <summary>Data blocks.</summary>
    public int Count { get; }

    /// <summary>Bytes of memory.</summary>
    public long Bytes => _memoryBytes;

    private int SeparatorsEnd { get; }

    /// <summary>A data block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref IndexedBlock Block(int block) => ref _blocks[block];

    /// <summary>What divides a block from the one before, as bytes of keyspace and key; empty for the first.</summary>
    public ReadOnlySpan<byte> Separator(int block) => new(_separators + _blocks[block].SeparatorOffset, SeparatorLength(block));

    /// <summary>True when a block begins with an older version of the key that the one before ends with.</summary>
    public bool IsWithinKey(int block) =>
        new ReadOnlySpan<byte>(
            _separators + _blocks[block].SeparatorOffset + SeparatorLength(block),
            InternalKey.TrailerBytes
        ).ContainsAnyExcept((byte)0);

    /// <summary>
    /// Decodes an index block. <paramref name="dataEnd"/> is where data blocks end in the file; what is wrong is told by
    /// <paramref name="error"/>, and the result is null then.
    /// </summary>
    public static TableIndex? Decode(ReadOnlySpan<byte> encoded, long dataEnd, out string? error)
    {
        error = "the index makes no sense";
        if (encoded.Length < sizeof(int))
        {
            return null;
        }

        int count = BinaryPrimitives.ReadInt32LittleEndian(encoded);
        if (count < 1 || count > encoded.Length / 6 || !TryMeasure(encoded[sizeof(int)..], count, out long separatorBytes))
        {
            return null;
        }

        long bytes = ((long)count * (sizeof(ulong) + sizeof(IndexedBlock))) + separatorBytes + SlackBytes;
        byte* memory = OffHeap.AllocateAligned(bytes);
        NativeMemory.Clear(memory + bytes - SlackBytes, SlackBytes);
        IndexedBlock* blocks = (IndexedBlock*)(memory + ((long)count * sizeof(ulong)));
        error = Fill(encoded[sizeof(int)..], count, blocks, (byte*)(blocks + count), dataEnd);
        if (error is null)
        {
            return new TableIndex(memory, bytes, count, (int)separatorBytes);
        }

        OffHeap.FreeAligned(memory, bytes);
        return null;
    }

    private static bool TryMeasure(ReadOnlySpan<byte> rest, int count, out long separatorBytes)
    {
        separatorBytes = 0;
        int previous = 0;
        for (int i = 0; i < count; i++)
        {
            if (!TryTake(ref rest, out int shared) || !TryTake(ref rest, out int suffix) || shared > previous || suffix > rest.Length)
            {
                return false;
            }

            previous = shared + suffix;
            separatorBytes += previous + InternalKey.TrailerBytes;
            rest = rest[suffix..];
            if (rest.IsEmpty || rest[0] > 1 || rest.Length < 1 + (rest[0] * InternalKey.TrailerBytes))
            {
                return false;
            }

            rest = rest[(1 + (rest[0] * InternalKey.TrailerBytes))..];
            if (!TryTake(ref rest, out _) || !TryTake(ref rest, out _) || !Varint.TryRead(rest, out _, out int size))
            {
                return false;
            }

            rest = rest[size..];
        }

        return rest.IsEmpty && separatorBytes < TableFormat.MaxBlockBytes;
    }

    private static string? Fill(ReadOnlySpan<byte> rest, int count, IndexedBlock* blocks, byte* separators, long dataEnd)
    {
        long offset = TableFormat.HeaderBytes;
        int at = 0, previous = 0;
        for (int i = 0; i < count; i++)
        {
            _ = TryTake(ref rest, out int shared);
            _ = TryTake(ref rest, out int suffix);
            blocks[i].SeparatorOffset = at;
            new ReadOnlySpan<byte>(separators + previous, shared).CopyTo(new Span<byte>(separators + at, shared));
            rest[..suffix].CopyTo(new Span<byte>(separators + at + shared, suffix));
            previous = at;
            at += shared + suffix;
            rest = rest[suffix..];
            bool withTrailer = rest[0] == 1;
            Span<byte> trailer = new(separators + at, InternalKey.TrailerBytes);
            trailer.Clear();
            rest = rest[1..];
            if (withTrailer)
            {
                rest[..InternalKey.TrailerBytes].CopyTo(trailer);
                rest = rest[InternalKey.TrailerBytes..];
            }

            at += InternalKey.TrailerBytes;
            _ = TryTake(ref rest, out blocks[i].Length);
            _ = TryTake(ref rest, out blocks[i].EntryCount);
            _ = Varint.TryRead(rest, out blocks[i].MaxVersion, out int size);
            rest = rest[size..];
            blocks[i].Offset = offset;
            offset = blocks[i].Handle.End;
            bool rises = i == 0 ? at == InternalKey.TrailerBytes : Rises(separators, blocks, i, at);
            if (
                !rises
                || blocks[i].Length < 1
                || blocks[i].EntryCount < 1
                || blocks[i].MaxVersion > Core.Version.MaxValue
                || offset > dataEnd)
            {
                return $"entry {i} of the index makes no sense";
            }
        }

        return offset == dataEnd ? null : "the index does not cover all data blocks";
    }

    private static bool Rises(byte* separators, IndexedBlock* blocks, int block, int end)
    {
        ReadOnlySpan<byte> before = new(
            separators + blocks[block - 1].SeparatorOffset,
            blocks[block].SeparatorOffset - blocks[block - 1].SeparatorOffset);
        ReadOnlySpan<byte> here = new(separators + blocks[block].SeparatorOffset, end - blocks[block].SeparatorOffset);
        return here.Length > InternalKey.TrailerBytes && InternalKey.Compare(before, here) < 0;
    }

    private static bool TryTake(ref ReadOnlySpan<byte> rest, out int number)
    {
        bool complete = Varint.TryRead(rest, out ulong value, out int size) && value < TableFormat.MaxBlockBytes;
        number = complete ? (int)value : 0;
        rest = complete ? rest[size..] : rest;
        return complete;
    }

    /// <summary>
    /// The block that a target belongs to: where it is if it is in the table. The target has 8 readable bytes after its prefix.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Find(byte* target, int targetLength, ulong targetVersion, byte targetKind)
    {
        int common = _commonLength;
        if (Count == 1)
        {
            return 0;
        }

        if (common != 0)
        {
            byte* shared = _separators + _blocks[1].SeparatorOffset;
            int shorter = Math.Min(common, targetLength);
            int equal = BlockFormat.CommonLength(shared, target, shorter);
            if (equal < common)
            {
                return equal == targetLength || target[equal] < shared[equal] ? 0 : Count - 1;
            }
        }

        ulong word = WordAt(target + common, targetLength - common);

        // How many separators' words are at or below the target's, without a branch that could be predicted wrongly.
        ulong* first = _words + 1;
        nint left = Count - 1;
        while (left > 1)
        {
            nint half = left >> 1;
            first += half & -(nint)(first[half - 1] <= word ? 1 : 0);
            left -= half;
        }

        int block = (int)(first - _words) - (*first <= word ? 0 : 1);
        return _words[block] == word && block != 0 ? FindAmongEqual(block, word, target, targetLength, targetVersion, targetKind) : block;
    }

    /// <summary>How many blocks may have entries of a keyspace.</summary>
    public int CountBlocksOf(uint keyspace)
    {
        Span<byte> prefix = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(prefix, keyspace);

        // From the last block that begins before the keyspace to the last one that begins in it; the first block begins before all.
        int first = CountBefore(prefix, 1) - 1;
        int end = Count;
        if (keyspace != uint.MaxValue)
        {
            BinaryPrimitives.WriteUInt32BigEndian(prefix, keyspace + 1);
            end = CountBefore(prefix, first + 1);
        }

        return end - first;
    }

    // How many blocks have a separator below some bytes; so many at least.
    private int CountBefore(ReadOnlySpan<byte> bytes, int least)
    {
        int low = least, high = Count;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            if (Separator(middle).SequenceCompareTo(bytes) < 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    private int FindAmongEqual(int block, ulong word, byte* target, int targetLength, ulong targetVersion, byte targetKind)
    {
        // The lowest block whose word is this one, less one: its separator is before the target for certain.
        int low = 0, high = block;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            if (middle != 0 && _words[middle] >= word)
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        low--;
        high = block;
        while (low < high)
        {
            int middle = (low + high + 1) >> 1;
            if (IsAtOrBefore(middle, target, targetLength, targetVersion, targetKind))
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low;
    }

    private bool IsAtOrBefore(int block, byte* target, int targetLength, ulong targetVersion, byte targetKind)
    {
        byte* separator = _separators + _blocks[block].SeparatorOffset;
        int length = SeparatorLength(block);
        int order = new ReadOnlySpan<byte>(separator, length).SequenceCompareTo(new ReadOnlySpan<byte>(target, targetLength));
        if (order != 0)
        {
            return order < 0;
        }

        ulong inverted = BinaryPrimitives.ReadUInt64BigEndian(new ReadOnlySpan<byte>(separator + length, sizeof(ulong)));
        return inverted < ~targetVersion || (inverted == ~targetVersion && separator[length + sizeof(ulong)] <= targetKind);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong WordAt(byte* bytes, int length)
    {
        ulong word = Unsafe.ReadUnaligned<ulong>(bytes);
        word = BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(word) : word;
        int unused = 64 - (Math.Min(length, sizeof(ulong)) * 8);
        return unused == 64 ? 0 : word >> unused << unused;
    }

    private int SeparatorLength(int block)
    {
        int end = block + 1 < Count ? _blocks[block + 1].SeparatorOffset : SeparatorsEnd;
        return end - _blocks[block].SeparatorOffset - InternalKey.TrailerBytes;
    }

    private int CommonSeparator() => Separator(1).CommonPrefixLength(Separator(Count - 1));

    /// <summary>Frees the memory.</summary>
    public void Free() => OffHeap.FreeAligned(_memory, _memoryBytes);
}
