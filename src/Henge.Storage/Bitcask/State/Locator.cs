using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// What the index keeps in place of a value: <c>length u32 | 0 to 7 bytes | address u64</c>. The bytes between put the address on a
/// multiple of 8, where a merge replaces it by one store, while readers read it by one load. The length stays: merges copy entries as they
/// are.
/// </summary>
internal static unsafe class Locator
{
    /// <summary>The most bytes of a locator.</summary>
    public const int MaxBytes = sizeof(uint) + 7 + sizeof(ulong);

    /// <summary>Writes a locator for a node of the skip list whose prefix has so many bytes, and returns its length.</summary>
    public static int Write(Span<byte> destination, int prefixLength, EntryKind kind, int length, EntryAddress address)
    {
        int before = SkipListNode.HeaderBytes + prefixLength + InternalKey.TrailerBytes
            + (EntryHeader.IsIn(kind) ? EntryHeader.Bytes : 0) + sizeof(uint);
        int gap = -before & 7;
        BinaryPrimitives.WriteUInt32LittleEndian(destination, (uint)length);
        destination.Slice(sizeof(uint), gap).Clear();
        BitConverter.TryWriteBytes(destination[(sizeof(uint) + gap)..], address.Value);
        return sizeof(uint) + gap + sizeof(ulong);
    }

    /// <summary>Bytes of the entry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int LengthOf(byte* locator) => BinaryPrimitives.ReadInt32LittleEndian(new ReadOnlySpan<byte>(locator, sizeof(int)));

    /// <summary>Where the entry lies now.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static EntryAddress AddressOf(byte* locator, int locatorLength) =>
        new(Volatile.Read(ref *(ulong*)(locator + locatorLength - sizeof(ulong))));

    /// <summary>Where the entry of a node lies now.</summary>
    public static EntryAddress AddressOf(SkipListNode* node) =>
        new(Volatile.Read(ref *(ulong*)(SkipListNode.Value(node) + SkipListNode.ValueLength(node) - sizeof(ulong))));

    /// <summary>Says where the entry of a node lies from now on.</summary>
    public static void Replace(SkipListNode* node, EntryAddress address) =>
        Volatile.Write(ref *(ulong*)(SkipListNode.Value(node) + SkipListNode.ValueLength(node) - sizeof(ulong)), address.Value);

    /// <summary>The header of a node's entry; 0 for kinds without.</summary>
    public static long HeaderOf(SkipListNode* node, EntryKind kind) => EntryHeader.IsIn(kind)
        ? BinaryPrimitives.ReadInt64LittleEndian(new ReadOnlySpan<byte>(SkipListNode.Value(node), EntryHeader.Bytes))
        : 0;

    /// <summary>Bytes of a node's entry in its segment.</summary>
    public static int LengthOf(SkipListNode* node, EntryKind kind) =>
        LengthOf(SkipListNode.Value(node) + (EntryHeader.IsIn(kind) ? EntryHeader.Bytes : 0));
}
