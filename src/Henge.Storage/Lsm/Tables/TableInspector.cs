using System.Buffers.Binary;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>Looks at a whole table: checks it, or writes it out readably.</summary>
internal static unsafe class TableInspector
{
    private const int ReadBytes = 1 << 20;

    /// <summary>Reads everything, past the cache, and checks checksums, order, counts and filter; throws at the first damage.</summary>
    public static void Verify(TableReader table)
    {
        TableIndex index = table.Index;
        TableProperties properties = table.Properties;
        byte[] last = [];
        int lastLength = 0;
        long entries = 0, tombstones = 0, expiring = 0, garbage = 0;
        BlockCursor cursor = new();
        try
        {
            for (int i = 0; i < index.Count; i++)
            {
                IndexedBlock indexed = index.Block(i);
                PinnedBlock block = table.Load(i, fillCache: false);
                try
                {
                    int count = 0;
                    ulong maxVersion = 0;
                    cursor.Open(block.Data);
                    for (cursor.SeekToFirst(); cursor.Valid; cursor.Next(), count++)
                    {
                        ReadOnlySpan<byte> key = cursor.Key;
                        Check(
                            table,
                            entries + count == 0 || InternalKey.Compare(last.AsSpan(0, lastLength), key) < 0,
                            indexed.Offset,
                            "keys do not rise");
                        Check(table, table.FindBlock(key) == i, indexed.Offset, "the index does not lead to an entry of this block");
                        Check(
                            table,
                            table.MayContain(BloomFilter.Hash(InternalKey.GetPrefix(key))),
                            indexed.Offset,
                            "the filter does not know a key of this block");
                        Check(
                            table,
                            InternalKey.GetVersion(key) >= properties.MinVersion && InternalKey.GetVersion(key) <= properties.MaxVersion,
                            indexed.Offset,
                            "a version is outside of what the properties say");
                        maxVersion = Math.Max(maxVersion, InternalKey.GetVersion(key).Value);
                        tombstones += InternalKey.GetKind(key) == EntryKind.Delete ? 1 : 0;
                        expiring +=
                            EntryHeader.IsIn(InternalKey.GetKind(key))
                            && EntryHeader.ExpiresAtMs(BinaryPrimitives.ReadInt64LittleEndian(cursor.Value)) != 0
                                ? 1
                                : 0;
                        garbage += entries + count > 0 && InternalKey.SamePrefix(last.AsSpan(0, lastLength), key) ? 1 : 0;
                        Check(
                            table,
                            entries + count > 0 || key.SequenceEqual(properties.SmallestKey),
                            indexed.Offset,
                            "the first key is not what the properties say");
                        last = last.Length < key.Length ? new byte[key.Length * 2] : last;
                        key.CopyTo(last);
                        lastLength = key.Length;
                    }

                    entries += count;
                    Check(
                        table,
                        count == indexed.EntryCount && maxVersion == indexed.MaxVersion,
                        indexed.Offset,
                        "a block does not hold what the index says");
                }
                finally
                {
                    cursor.Close();
                    block.Unpin();
                }
            }
        }
        finally
        {
            cursor.Free();
        }

        Check(table, last.AsSpan(0, lastLength).SequenceEqual(properties.LargestKey), 0, "the last key is not what the properties say");
        Check(
            table,
            entries == properties.EntryCount
                && tombstones == properties.TombstoneCount
                && expiring == properties.ExpiringCount
                && garbage == properties.GarbageCount,
            0,
            $"{entries} entries, {tombstones} tombstones, {expiring} expiring, {garbage} not the newest are not the counts in the "
                + $"properties");
    }

    private static void Check(TableReader table, bool holds, long offset, string what)
    {
        if (!holds)
        {
            throw TableFormat.Damaged(table.Path, offset, what);
        }
    }

    /// <summary>Writes properties, index and entries readably.</summary>
    public static void Dump(TableReader table, TextWriter output)
    {
        TableProperties p = table.Properties;
        output.WriteLine(
            $"table {table.Path}: format {TableFormat.FormatVersion}, {p.FileBytes} bytes, {p.BlockCount} blocks, filter "
                + $"{table.FilterHandle.Length} bytes");
        output.WriteLine(
            $"keys {InternalKey.Describe(p.SmallestKey)} to {InternalKey.Describe(p.LargestKey)}, versions {p.MinVersion} to {p.MaxVersion}"
        );
        output.WriteLine(
            $"{p.EntryCount} entries: {p.TombstoneCount} tombstones, {p.ExpiringCount} expiring, {p.GarbageCount} not the newest of their "
                + $"key; raw {p.RawKeyBytes} bytes of keys, {p.RawValueBytes} of values");
        for (int i = 0; i < table.Index.Count; i++)
        {
            IndexedBlock block = table.Index.Block(i);
            output.WriteLine(
                $"block {i} at {block.Offset}: {block.Length} bytes, {block.EntryCount} entries, versions up to {block.MaxVersion}, from "
                    + $"0x{Convert.ToHexString(table.Index.Separator(i))}");
        }

        using InternalIterator entries = table.CreateIterator(new TableReadOptions { Sequential = true, ReadaheadBytes = ReadBytes });
        for (entries.SeekToFirst(); entries.Valid; entries.Next())
        {
            output.WriteLine($"{InternalKey.Describe(entries.Key)} = {InternalKey.DescribeKey(entries.Value)}");
        }
    }
}
