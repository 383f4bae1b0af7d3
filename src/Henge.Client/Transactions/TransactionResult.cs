namespace Henge.Client;

/// <summary>What a transaction did.</summary>
public sealed record TransactionResult
{
    /// <summary>
    /// True when all comparisons held and <see cref="Transaction.Then"/> was done; false when <see cref="Transaction.Else"/> was.
    /// </summary>
    public required bool Succeeded { get; init; }

    /// <summary>The version of its writes; the version that was read at, where it wrote nothing.</summary>
    public Core.Version Version { get; init; }

    /// <summary>A result for each operation that was done, in order.</summary>
    public required IReadOnlyList<TransactionOperationResult> Results { get; init; }
}
