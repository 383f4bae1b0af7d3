using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Catalog;

/// <summary>The catalog's shard on this node, as those who read and write single entries of it need it. Thread-safe.</summary>
internal interface ICatalogShard
{
    /// <summary>Up to where it is applied here.</summary>
    LogIndex Applied { get; }

    /// <summary>The highest version that is applied here.</summary>
    Core.Version LastVersion { get; }

    /// <summary>Rises when the state begins to be replaced, to an odd number, and again when it has been.</summary>
    int Epoch { get; }

    /// <summary>Hands its worker a write.</summary>
    void Submit(Operation write);

    /// <summary>Says that a part of its state was found damaged.</summary>
    void ReportDamage(HengeException damage);
}
