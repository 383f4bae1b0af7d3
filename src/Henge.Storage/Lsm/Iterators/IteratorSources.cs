using System.Buffers.Binary;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.State;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Lsm.Iterators;

/// <summary>Gathers what an iterator has to merge: sources that cannot hold anything it shows are left out.</summary>
internal static class IteratorSources
{
    public static InternalIterator Create(SuperVersion version, Core.Version at, in IteratorOptions options)
    {
        var children = new List<InternalIterator>();
        try
        {
            AddBuffer(version, version.Active, children);
            foreach (WriteBuffer buffer in version.Sealed)
            {
                AddBuffer(version, buffer, children);
            }

            AddTables(version.Levels, at, options, children);
            return MergingIterator.Create(children);
        }
        catch
        {
            children.ForEach(static child => child.Dispose());
            throw;
        }
    }

    private static void AddBuffer(SuperVersion version, WriteBuffer buffer, List<InternalIterator> children)
    {
        InternalIterator child = buffer.Table.CreateIterator();
        children.Add(version.GetDrops(buffer) is { } drops ? new DropFilterIterator(child, drops, buffer.Epoch) : child);
    }

    private static void AddTables(LevelSet levels, Core.Version at, in IteratorOptions options, List<InternalIterator> children)
    {
        byte[] lower = Bound(options.Keyspace, options.Lower.Span);
        byte[] upper = !options.Upper.IsEmpty ? Bound(options.Keyspace, options.Upper.Span)
            : options.Keyspace == uint.MaxValue ? [] : Bound(options.Keyspace + 1, default);
        Core.Version from = options.AllVersions ? options.From : default;
        var read = new TableReadOptions { FillCache = options.FillCache, From = from, Upper = upper };
        for (int i = 0; i < levels.Levels[0].Length; i++)
        {
            TableHandle table = levels.Levels[0][i];
            if (MayContain(table.Meta, lower, upper, at, from))
            {
                children.Add(DropFilterIterator.Over(table, levels.GetDrops(0, i), read));
            }
        }

        for (int level = 1; level < LevelSet.LevelCount; level++)
        {
            TableHandle[] tables = levels.Levels[level];
            int first = LevelSet.FindTable(tables, lower);
            int end = first;
            bool any = false;
            for (; end < tables.Length && (upper.Length == 0 || tables[end].Meta.SmallestPrefix.SequenceCompareTo(upper) < 0); end++)
            {
                any |= MayContain(tables[end].Meta, lower, upper, at, from);
            }

            if (any)
            {
                bool whole = first == 0 && end == tables.Length;
                children.Add(
                    new LevelIterator(
                        whole ? tables : tables[first..end],
                        whole ? levels.DropsOf?[level] : levels.DropsOf?[level][first..end],
                        read));
            }
        }
    }

    private static bool MayContain(TableMeta table, byte[] lower, byte[] upper, Core.Version at, Core.Version from) =>
        table.MinVersion <= at && table.MaxVersion >= from
        && table.LargestPrefix.SequenceCompareTo(lower) >= 0
        && (upper.Length == 0 || table.SmallestPrefix.SequenceCompareTo(upper) < 0);

    private static byte[] Bound(uint keyspace, ReadOnlySpan<byte> key)
    {
        byte[] prefix = new byte[InternalKey.KeyspaceBytes + key.Length];
        BinaryPrimitives.WriteUInt32BigEndian(prefix, keyspace);
        key.CopyTo(prefix.AsSpan(InternalKey.KeyspaceBytes));
        return prefix;
    }
}
