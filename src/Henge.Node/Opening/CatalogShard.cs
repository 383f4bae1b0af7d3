using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.StateMachine;
using Henge.Node.Workers;

namespace Henge.Node.Opening;

/// <summary>The catalog's shard. Its state machine is there once the node is put together; it is not used before.</summary>
internal sealed class CatalogShard(Worker worker) : ICatalogShard
{
    /// <summary>Its state machine.</summary>
    public ShardStateMachine? Machine { get; set; }

    /// <inheritdoc/>
    public LogIndex Applied => Machine?.AppliedIndex ?? default;

    /// <inheritdoc/>
    public Core.Version LastVersion => Machine?.LastVersion ?? default;

    /// <inheritdoc/>
    public int Epoch => Machine?.Epoch ?? 1;

    /// <inheritdoc/>
    public void Submit(Operation write) => worker.Submit(write);

    /// <inheritdoc/>
    public void ReportDamage(HengeException damage) => Machine?.ReportDamage(damage);
}
