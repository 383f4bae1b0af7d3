using System.Buffers.Binary;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Manifests;

/// <summary>
/// A dropped range: it hides every entry of its range in memtables and tables of an epoch below its own. What is written
/// afterwards, at whatever version, lies in a later epoch and is seen (decision 0031).
/// </summary>
internal sealed class RangeDrop
{
    public RangeDrop(ulong epoch, uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper, ulong logPosition)
    {
        Epoch = epoch;
        Keyspace = keyspace;
        Lower = lower.ToArray();
        Upper = upper.ToArray();
        LogPosition = logPosition;
        LowerPrefix = Prefix(keyspace, lower);
        UpperPrefix = !upper.IsEmpty ? Prefix(keyspace, upper) : keyspace == uint.MaxValue ? [] : Prefix(keyspace + 1, default);
    }

    public ulong Epoch { get; }

    public uint Keyspace { get; }

    public byte[] Lower { get; }

    public byte[] Upper { get; }

    /// <summary>Records of the engine's own log below this position come before the drop; 0 when there is no such log.</summary>
    public ulong LogPosition { get; }

    /// <summary>The first prefix in the range.</summary>
    public byte[] LowerPrefix { get; }

    /// <summary>The first prefix after the range; empty when nothing comes after it.</summary>
    public byte[] UpperPrefix { get; }

    public bool IsWholeKeyspace => Lower.Length == 0 && Upper.Length == 0;

    public bool Contains(ReadOnlySpan<byte> prefix) =>
        prefix.SequenceCompareTo(LowerPrefix) >= 0 && (UpperPrefix.Length == 0 || prefix.SequenceCompareTo(UpperPrefix) < 0);

    /// <summary>True when the drop hides all of a table.</summary>
    public bool Covers(TableMeta table) => table.Epoch < Epoch && Contains(table.SmallestPrefix) && Contains(table.LargestPrefix);

    /// <summary>True when the drop may hide a part of a table.</summary>
    public bool Touches(TableMeta table) =>
        table.Epoch < Epoch
        && table.LargestPrefix.SequenceCompareTo(LowerPrefix) >= 0
        && (UpperPrefix.Length == 0 || table.SmallestPrefix.SequenceCompareTo(UpperPrefix) < 0);

    /// <summary>True when one of the drops hides a prefix in a source of an epoch.</summary>
    public static bool AnyHides(RangeDrop[] drops, ulong epoch, ReadOnlySpan<byte> prefix)
    {
        foreach (RangeDrop drop in drops)
        {
            if (drop.Epoch > epoch && drop.Contains(prefix))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Readable form, for messages and dumps.</summary>
    public override string ToString() =>
        $"drop of {Keyspace}/[{InternalKey.DescribeKey(Lower)}, {(Upper.Length == 0 ? "end" : InternalKey.DescribeKey(Upper))}) before "
            + $"epoch {Epoch}";

    private static byte[] Prefix(uint keyspace, ReadOnlySpan<byte> key)
    {
        byte[] prefix = new byte[InternalKey.KeyspaceBytes + key.Length];
        BinaryPrimitives.WriteUInt32BigEndian(prefix, keyspace);
        key.CopyTo(prefix.AsSpan(InternalKey.KeyspaceBytes));
        return prefix;
    }
}
