using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// The first bytes of a data block; restart points follow, then keys, then values. All little-endian, as it lies in the file.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = Bytes)]
internal unsafe struct BlockHeader
{
    /// <summary>Bytes of the header.</summary>
    public const int Bytes = 24;

    /// <summary>Bytes of a restart point: offsets of a key and of its value, u32 each, from the block's beginning.</summary>
    public const int RestartBytes = 8;

    /// <summary>The smallest version in the block; entries hold what theirs are above it.</summary>
    public ulong BaseVersion;

    /// <summary>Where keys end and values begin.</summary>
    public int ValuesOffset;

    /// <summary>Entries.</summary>
    public int EntryCount;

    /// <summary>Restart points.</summary>
    public int RestartCount;

    /// <summary>Bytes of version and kind in each entry, 1 to 7.</summary>
    public int MetaBytes;

    /// <summary>Writes the header.</summary>
    public readonly void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(target, BaseVersion);
        BinaryPrimitives.WriteInt32LittleEndian(target[8..], ValuesOffset);
        BinaryPrimitives.WriteInt32LittleEndian(target[12..], EntryCount);
        BinaryPrimitives.WriteInt32LittleEndian(target[16..], RestartCount);
        BinaryPrimitives.WriteInt32LittleEndian(target[20..], MetaBytes);
    }
}
