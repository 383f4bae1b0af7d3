using System.Buffers.Binary;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.State;

/// <summary>Copies entries of one index into another. Nobody may replace addresses in the source meanwhile. Pure functions.</summary>
internal static class IndexCopy
{
    /// <summary>Adds the entry that an iterator stands on.</summary>
    public static void Add(MemTable target, InternalIterator source)
    {
        InternalKey.Split(
            source.Key,
            out uint keyspace,
            out ReadOnlySpan<byte> key,
            out Core.Version version,
            out EntryKind kind);
        ReadOnlySpan<byte> locator = source.Value;
        long header = 0;
        if (EntryHeader.IsIn(kind))
        {
            header = BinaryPrimitives.ReadInt64LittleEndian(locator);
            locator = locator[EntryHeader.Bytes..];
        }

        target.Add(kind, keyspace, key, version, locator, header);
    }
}
