using System.Buffers.Binary;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// Which blocks of a table hold nothing that range drops leave: told by the index alone, so that a compaction gets past a damaged one
/// without reading it. Immutable.
/// </summary>
/// <param name="table">What the manifest knows of the table.</param>
/// <param name="index">Its index.</param>
/// <param name="drops">All drops; those of the table's epoch or earlier hide nothing in it.</param>
/// <param name="keyspaces">The only keyspaces that there are, in order; null when that is not known.</param>
internal sealed class HiddenBlocks(TableMeta table, TableIndex index, RangeDrop[] drops, uint[]? keyspaces)
{
    /// <summary>True when nothing in a block is to be seen.</summary>
    public bool Contains(int block)
    {
        byte[]? at = block == 0 ? table.SmallestPrefix.ToArray() : AtOrAfter(index.Separator(block).ToArray(), keyspaces);
        bool isLast = block + 1 == index.Count;
        ReadOnlySpan<byte> end = isLast ? table.LargestPrefix : index.Separator(block + 1);
        if (at is null)
        {
            return false;
        }

        while (at is not null)
        {
            if (FindEnd(at) is not { } after)
            {
                return false;
            }

            // Keys of a block are below the next separator, or at it when versions of one key lie in both.
            if (
                after.Length == 0
                || end.SequenceCompareTo(after) < 0
                || (!isLast && end.SequenceEqual(after) && !index.IsWithinKey(block + 1)))
            {
                return true;
            }

            at = AtOrAfter(after, keyspaces);
            if (at is not null && end.SequenceCompareTo(at) < 0)
            {
                return true;
            }
        }

        return true;
    }

    /// <summary>The first prefix at or after one that is in a keyspace that there is; null when there is none.</summary>
    public static byte[]? AtOrAfter(byte[] prefix, uint[]? keyspaces)
    {
        if (keyspaces is null)
        {
            return prefix;
        }

        Span<byte> padded = stackalloc byte[InternalKey.KeyspaceBytes];
        padded.Clear();
        prefix.AsSpan(0, Math.Min(prefix.Length, padded.Length)).CopyTo(padded);
        int at = Array.BinarySearch(keyspaces, BinaryPrimitives.ReadUInt32BigEndian(padded));
        if (at >= 0)
        {
            return prefix.Length >= padded.Length ? prefix : padded.ToArray();
        }

        if (~at == keyspaces.Length)
        {
            return null;
        }

        byte[] next = new byte[InternalKey.KeyspaceBytes];
        BinaryPrimitives.WriteUInt32BigEndian(next, keyspaces[~at]);
        return next;
    }

    private byte[]? FindEnd(byte[] prefix)
    {
        foreach (RangeDrop drop in drops)
        {
            if (drop.Epoch > table.Epoch && drop.Contains(prefix))
            {
                return drop.UpperPrefix;
            }
        }

        return null;
    }
}
