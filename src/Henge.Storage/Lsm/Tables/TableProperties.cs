using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Lsm.Tables;

/// <summary>What a table says about itself (docs/formats.md).</summary>
internal sealed record TableProperties
{
    /// <summary>The first internal key.</summary>
    public required byte[] SmallestKey { get; init; }

    /// <summary>The last internal key.</summary>
    public required byte[] LargestKey { get; init; }

    /// <summary>The smallest version.</summary>
    public required Core.Version MinVersion { get; init; }

    /// <summary>The largest version.</summary>
    public required Core.Version MaxVersion { get; init; }

    /// <summary>Entries.</summary>
    public required long EntryCount { get; init; }

    /// <summary>Tombstones among them.</summary>
    public required long TombstoneCount { get; init; }

    /// <summary>Values with an expiry among them.</summary>
    public required long ExpiringCount { get; init; }

    /// <summary>Entries that are not the newest of their key in this table.</summary>
    public required long GarbageCount { get; init; }

    /// <summary>
    /// The earliest expiry in milliseconds since the epoch of versions; <see cref="long.MaxValue"/> when nothing expires.
    /// </summary>
    public required long MinExpiresAtMs { get; init; }

    /// <summary>Bytes of internal keys before compression.</summary>
    public required long RawKeyBytes { get; init; }

    /// <summary>Bytes of values.</summary>
    public required long RawValueBytes { get; init; }

    /// <summary>Data blocks.</summary>
    public required int BlockCount { get; init; }

    /// <summary>Bytes of the file.</summary>
    public required long FileBytes { get; init; }

    /// <summary>What the manifest is to know of the table.</summary>
    public TableMeta ToMeta(ulong number, ulong epoch, long maxExpiresAtMs) => new()
    {
        Number = number,
        Bytes = FileBytes,
        Smallest = SmallestKey,
        Largest = LargestKey,
        MinVersion = MinVersion,
        MaxVersion = MaxVersion,
        Entries = EntryCount,
        Tombstones = TombstoneCount,
        Garbage = GarbageCount,
        Expiring = ExpiringCount,
        MaxExpiresAtMs = maxExpiresAtMs,
        Epoch = epoch,
    };
}
