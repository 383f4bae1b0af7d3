using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Catalog;

/// <summary>The catalog's shard on this node, as those who read and write single entries of it need it. Thread-safe.</summary>
internal interface ICatalogShard
{
    /// <summary>Hands its worker a write.</summary>
    void Submit(Operation write);

    /// <summary>Says that a part of its state was found damaged.</summary>
    void ReportDamage(HengeException damage);
}
