using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Node.Catalog;

/// <summary>What whoever wants to change the catalog has to do next, given what this node has applied of it.</summary>
internal readonly record struct CatalogStep
{
    /// <summary>Nothing any more: what was wanted is so.</summary>
    public static CatalogStep Done => default;

    /// <summary>It cannot be had: why.</summary>
    public HengeException? Refusal { get; private init; }

    /// <summary>To be written, on the conditions in it.</summary>
    public TxnBuilder? Transaction { get; private init; }

    /// <summary>It cannot be had.</summary>
    public static CatalogStep Refuse(ErrorCode code, string message) => new() { Refusal = new HengeException(code, message) };

    /// <summary>Something is to be written. Whether it was shows in what is applied next.</summary>
    public static CatalogStep Write(TxnBuilder transaction) => new() { Transaction = transaction };
}
