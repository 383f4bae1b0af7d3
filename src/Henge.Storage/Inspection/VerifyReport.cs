namespace Henge.Storage.Inspection;

/// <summary>What a verification found.</summary>
public sealed record VerifyReport
{
    /// <summary>Damage, each with file and, where one can be named, offset; empty when all is well.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>What is no damage, but worth knowing: torn tails, files that nothing lists.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Tables checked.</summary>
    public required int Tables { get; init; }

    /// <summary>Entries in tables.</summary>
    public required long Entries { get; init; }

    /// <summary>Bytes of tables.</summary>
    public required long TableBytes { get; init; }

    /// <summary>Records in the engine's own log.</summary>
    public required long LogRecords { get; init; }
}
