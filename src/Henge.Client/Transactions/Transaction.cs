namespace Henge.Client;

/// <summary>
/// A transaction under construction: compares, then does the one list of operations or the other, atomically, on keys of one shard (use a
/// common part in braces, as in <c>{order:7}:total</c>, to keep keys on one shard). Not thread-safe; begin with
/// <see cref="HengeClient.Transaction"/>.
/// </summary>
public sealed class Transaction
{
    private readonly Committing _commit;
    private readonly List<Compare> _compares = [];
    private readonly List<TransactionOperation> _then = [];
    private readonly List<TransactionOperation> _else = [];

    internal Transaction(Committing commit) => _commit = commit;

    /// <summary>Does a transaction.</summary>
    internal delegate Task<TransactionResult> Committing(Transaction transaction, TimeSpan? deadline, CancellationToken cancellationToken);

    internal IReadOnlyList<Compare> Compares => _compares;

    internal IReadOnlyList<TransactionOperation> ThenOperations => _then;

    internal IReadOnlyList<TransactionOperation> ElseOperations => _else;

    /// <summary>Adds comparisons; all must hold for <see cref="Then"/> to be done. Without any, it always is.</summary>
    public Transaction When(params ReadOnlySpan<Compare> comparisons)
    {
        _compares.AddRange(comparisons);
        return this;
    }

    /// <summary>Adds operations that are done when all comparisons hold.</summary>
    public Transaction Then(params ReadOnlySpan<TransactionOperation> operations)
    {
        _then.AddRange(operations);
        return this;
    }

    /// <summary>Adds operations that are done when a comparison does not hold.</summary>
    public Transaction Else(params ReadOnlySpan<TransactionOperation> operations)
    {
        _else.AddRange(operations);
        return this;
    }

    /// <summary>Does it, at most once, retries included.</summary>
    /// <exception cref="CrossShardException">The keys lie on different shards.</exception>
    /// <exception cref="UnknownOutcomeException">It may or may not have taken effect.</exception>
    public Task<TransactionResult> CommitAsync(TimeSpan? deadline = null, CancellationToken cancellationToken = default) =>
        _commit(this, deadline, cancellationToken);
}
