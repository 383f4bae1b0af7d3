using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Manifests;

/// <summary>What the manifest knows of a table.</summary>
internal sealed record TableMeta
{
    public required ulong Number { get; init; }

    public required long Bytes { get; init; }

    /// <summary>The first internal key.</summary>
    public required byte[] Smallest { get; init; }

    /// <summary>The last internal key.</summary>
    public required byte[] Largest { get; init; }

    public required Core.Version MinVersion { get; init; }

    public required Core.Version MaxVersion { get; init; }

    public required long Entries { get; init; }

    public required long Tombstones { get; init; }

    /// <summary>Entries that are not the newest of their key in this table.</summary>
    public required long Garbage { get; init; }

    /// <summary>Values with an expiry.</summary>
    public required long Expiring { get; init; }

    /// <summary>The last expiry; 0 when nothing expires.</summary>
    public required long MaxExpiresAtMs { get; init; }

    /// <summary>Range drops with a higher epoch hide what lies in their range here (decision 0031).</summary>
    public required ulong Epoch { get; init; }

    public ReadOnlySpan<byte> SmallestPrefix => InternalKey.GetPrefix(Smallest);

    public ReadOnlySpan<byte> LargestPrefix => InternalKey.GetPrefix(Largest);

    /// <summary>True when the two tables have a prefix (keyspace and key) in common, or could have.</summary>
    public bool Overlaps(TableMeta other) => Overlaps(other.SmallestPrefix, other.LargestPrefix);

    /// <summary>True when the table could hold a prefix between the two, both inclusive.</summary>
    public bool Overlaps(ReadOnlySpan<byte> smallestPrefix, ReadOnlySpan<byte> largestPrefix) =>
        SmallestPrefix.SequenceCompareTo(largestPrefix) <= 0 && LargestPrefix.SequenceCompareTo(smallestPrefix) >= 0;

    /// <summary>Readable form, for messages and dumps.</summary>
    public override string ToString() =>
        $"{EngineFiles.Table(Number)} {Bytes} bytes, {Entries} entries ({Tombstones} tombstones, {Garbage} old, {Expiring} expiring), "
            + $"versions {MinVersion}..{MaxVersion}, epoch {Epoch}, "
        + $"{InternalKey.Describe(Smallest)} .. {InternalKey.Describe(Largest)}";
}
