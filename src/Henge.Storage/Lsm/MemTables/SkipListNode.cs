using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.MemTables;

/// <summary>
/// One entry of a skip list, in the arena. The tower grows downwards from the node's address, so that the lowest links (those that are
/// followed most) share a cache line with the beginning of the key:
/// <code>
/// link[h-1] … link[1] link[0] | value length u32 | prefix length u32 | internal key | value        link: next, hint
///                             ^ node
/// </code>
/// The internal key is kept whole, so that an iterator can hand it out as it lies there. The trailer of 9 bytes behind keyspace and key
/// lets comparisons load whole words without reading outside of the node. Links are addresses: chunk-and-offset pairs would be smaller,
/// but would put one more load into every step of a search (docs/decisions/0020).
/// </summary>
/// <remarks>
/// A link's <b>hint</b> tells where its next node stands without a look at that node, which is a cache miss: how many bytes of prefix it
/// shares with the node that the link belongs to (255 less that, in the highest byte), and the 7 bytes that follow. Of two nodes after one,
/// the nearer has the smaller hint. A hint may be too small, never too large: it is lowered before its link is moved to a nearer node. So a
/// target whose own hint (against the same node) is smaller than the link's is certainly before the next node; otherwise the node must be
/// looked at.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SkipListNode
{
    /// <summary>Bytes of a node before its key.</summary>
    public const int HeaderBytes = 8;

    /// <summary>Bytes of a link.</summary>
    public const int LinkBytes = 16;

    private const int MaxHintedBytes = 254;

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

    /// <summary>The address of the next node at a level.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref nint Link(SkipListNode* node, int level) => ref *(nint*)((byte*)node - ((level + 1) * LinkBytes));

    /// <summary>The hint of a link.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref ulong Hint(SkipListNode* node, int level) => ref *(ulong*)((byte*)node - ((level + 1) * LinkBytes) + sizeof(ulong));

    /// <summary>The next node at a level; what it points to is complete.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SkipListNode* Next(SkipListNode* node, int level) => (SkipListNode*)Volatile.Read(ref Link(node, level));

    /// <summary>
    /// The hint of a key against a node with which it shares <paramref name="common"/> bytes of prefix. <paramref name="beyond"/> fills in
    /// for the bytes where so many are shared that hints can no longer tell: all zeros for a link, all ones for a target.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong HintOf(byte* key, int prefixLength, int common, ulong beyond)
    {
        if (common >= MaxHintedBytes)
        {
            return ((255UL - MaxHintedBytes) << 56) | (beyond >> 8);
        }

        ulong word = BigEndian(*(ulong*)(key + common));
        int rest = prefixLength - common;
        if (rest < sizeof(ulong))
        {
            word = rest == 0 ? 0 : word >> (64 - (rest * 8)) << (64 - (rest * 8));
        }

        return ((255UL - (uint)common) << 56) | (word >> 8);
    }

    /// <summary>
    /// Orders a node against a target of the same form (internal key, with at least 8 readable bytes after its prefix): negative when
    /// the node comes first, 0 when both are the same key, version and kind. <paramref name="common"/> is what their prefixes share.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Compare(SkipListNode* node, byte* target, int targetPrefixLength, out int common)
    {
        byte* key = Key(node);
        int length = node->_prefixLength;
        int shorter = Math.Min(length, targetPrefixLength);
        common = CommonLength(key, target, shorter);
        return common < shorter ? key[common] - target[common]
            : length != targetPrefixLength ? length - targetPrefixLength
            : CompareTrailer(key + length, target + length);
    }

    /// <summary>How many bytes two strings share at their beginnings; both have 8 readable bytes behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int CommonLength(byte* a, byte* b, int length)
    {
        for (int i = 0; i < length; i += sizeof(ulong))
        {
            ulong difference = *(ulong*)(a + i) ^ *(ulong*)(b + i);
            if (difference != 0)
            {
                int bit = BitConverter.IsLittleEndian
                    ? BitOperations.TrailingZeroCount(difference)
                    : BitOperations.LeadingZeroCount(difference);
                return Math.Min(i + (bit >> 3), length);
            }
        }

        return length;
    }

    private static int CompareTrailer(byte* a, byte* b)
    {
        ulong x = BigEndian(*(ulong*)a), y = BigEndian(*(ulong*)b);
        return x != y ? (x < y ? -1 : 1) : a[sizeof(ulong)] - b[sizeof(ulong)];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong BigEndian(ulong word) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(word) : word;
}
