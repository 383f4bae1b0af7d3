namespace Henge.Client;

/// <summary>What one operation of a transaction did; the member that belongs to its kind is not null.</summary>
public sealed record TransactionOperationResult
{
    /// <summary>Of a get.</summary>
    public GetResult? Get { get; init; }

    /// <summary>Of a put.</summary>
    public PutResult? Put { get; init; }

    /// <summary>Of a delete.</summary>
    public DeleteResult? Delete { get; init; }
}
