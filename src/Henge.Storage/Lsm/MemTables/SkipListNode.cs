using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Henge.Storage.Lsm;

/// <summary>
/// One entry of a skip list, in the arena. The tower grows downwards from the node's address, so that the lowest links (those that are
/// followed most) share a cache line with the beginning of the key:
/// <code>
/// next[h-1] … next[1] next[0] | value length u32 | prefix length u32 | internal key | value
///                             ^ node
/// </code>
/// The internal key is kept whole, so that an iterator can hand it out as it lies there. The trailer of 9 bytes behind keyspace and key lets
/// comparisons load whole words without reading outside of the node. Links are addresses: a chunk-and-offset pair would be smaller
/// (5 bytes an entry), but would put one more load into every step of a search (docs/decisions/0020).
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SkipListNode
{
    /// <summary>Bytes of a node before its key.</summary>
    public const int HeaderBytes = 8;

    private readonly uint _valueLength;
    private readonly int _prefixLength;

    public SkipListNode(int prefixLength, int valueLength)
    {
        _prefixLength = prefixLength;
        _valueLength = (uint)valueLength;
    }

    /// <summary>Bytes of keyspace and key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int PrefixLength(SkipListNode* node) => node->_prefixLength;

    /// <summary>The internal key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Key(SkipListNode* node) => (byte*)node + HeaderBytes;

    /// <summary>The internal key.</summary>
    public static ReadOnlySpan<byte> KeySpan(SkipListNode* node) => new(Key(node), node->_prefixLength + InternalKey.TrailerBytes);

    /// <summary>The value, with its expiry when it has one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Value(SkipListNode* node) => Key(node) + node->_prefixLength + InternalKey.TrailerBytes;

    /// <summary>Bytes of the value, with its expiry when it has one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ValueLength(SkipListNode* node) => (int)node->_valueLength;

    /// <summary>The link at a level.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref nint Link(SkipListNode* node, int level) => ref *((nint*)node - 1 - level);

    /// <summary>The next node at a level; what it points to is complete.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SkipListNode* Next(SkipListNode* node, int level) => (SkipListNode*)Volatile.Read(ref Link(node, level));

    /// <summary>
    /// Orders a node against a target of the same form (internal key, with at least 8 readable bytes after its prefix): negative when
    /// the node comes first, 0 when both are the same key, version and kind.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Compare(SkipListNode* node, byte* target, int targetPrefixLength)
    {
        int order = ComparePrefix(Key(node), node->_prefixLength, target, targetPrefixLength);
        return order != 0 ? order : CompareTrailer(Key(node) + node->_prefixLength, target + targetPrefixLength);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int ComparePrefix(byte* a, int aLength, byte* b, int bLength)
    {
        int shorter = Math.Min(aLength, bLength);
        int i = 0;
        for (; i + sizeof(ulong) <= shorter; i += sizeof(ulong))
        {
            ulong x = *(ulong*)(a + i), y = *(ulong*)(b + i);
            if (x != y)
            {
                return BigEndian(x) < BigEndian(y) ? -1 : 1;
            }
        }

        if (i < shorter)
        {
            int drop = 64 - (shorter - i) * 8;
            ulong x = BigEndian(*(ulong*)(a + i)) >> drop, y = BigEndian(*(ulong*)(b + i)) >> drop;
            if (x != y)
            {
                return x < y ? -1 : 1;
            }
        }

        return aLength - bLength;
    }

    private static int CompareTrailer(byte* a, byte* b)
    {
        ulong x = BigEndian(*(ulong*)a), y = BigEndian(*(ulong*)b);
        return x != y ? (x < y ? -1 : 1) : a[sizeof(ulong)] - b[sizeof(ulong)];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong BigEndian(ulong word) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(word) : word;
}
