using Henge.Core;
using Henge.Node.Catalog;
using Henge.Node.Context;
using Henge.Node.Replication;
using Henge.Node.StateMachine;

namespace Henge.Node.Opening;

/// <summary>
/// What a node does now and then as a whole: lets old history go, and looks into the catalog. Called on the thread that ticks.
/// </summary>
internal sealed class NodeUpkeep(NodeParts parts)
{
    private readonly NodeContext _node = parts.Context;

    /// <summary>Does it.</summary>
    public void Run()
    {
        parts.Incarnations.Refresh();
        parts.Cluster.Refresh(mayWrite: _node.Identity.Joined is null);
        parts.Members.Run();
        FollowPlacement();
        parts.Keeper.Run(parts.Planner.Lost);
        parts.Reports.Run();
        parts.Clocks.Tick();
        AdvanceHistory();
    }

    private void FollowPlacement()
    {
        if (parts.Members.View is { } view && parts.Placements.Read() is { } state)
        {
            _node.DownAfterMs = state.DownAfterMs;
            _node.MoveRate.BytesPerSecond = state.MoveBytesPerSecond;
            if (view.Placements.ContainsKey(CatalogKeys.Placement))
            {
                _node.Followed = state.Followed;
            }
        }

        if (_node.Options.MovesShards)
        {
            parts.Planner.Run(_node.MonotonicMs);
        }
    }

    /// <summary>Goes on with changes of the catalog that wait, and with a recovery. Called at each tick.</summary>
    public void GoOn()
    {
        parts.Recovery.Tick();
        if (parts.Members.Changes.Any)
        {
            parts.Members.Run();
        }
    }

    /// <summary>Tells replicas of damage that others have met. Called at each tick; most often there is none.</summary>
    public void LookForDamage() => _node.Engine.TakeDamage(OnDamage);

    // Whoever has met it, a compaction perhaps, or a neighbour that has keys in the same block: every shard with something in there is to
    // be rebuilt, or the table would never go.
    private void OnDamage(uint keyspace, HengeException damage)
    {
        foreach (ShardReplica replica in parts.Hosted.All)
        {
            if (keyspace == SystemKeys.UserKeyspace(replica.Shard) || keyspace == SystemKeys.SystemKeyspace(replica.Shard))
            {
                replica.Machine.ReportDamage(damage);
            }
        }
    }

    // Not above what any shard has applied: a replica that still has older commands to apply must see the same history as the others did.
    private void AdvanceHistory()
    {
        if (!_node.Clock.IsKnown)
        {
            return;
        }

        Core.Version now = _node.Clock.Now;
        Core.Version floor = Core.Version.FromMilliseconds(now.Milliseconds - _node.Options.HistoryMs);
        foreach (ShardReplica replica in parts.Hosted.All)
        {
            Core.Version applied = replica.AppliedVersion;
            long keptMs = applied.Milliseconds - HistoryWindow.AlwaysKeptMs;
            if (!replica.Shard.IsCatalog && keptMs < floor.Milliseconds)
            {
                floor = keptMs > 0 ? Core.Version.FromMilliseconds(keptMs) : default;
            }

            if (applied.Milliseconds - now.Milliseconds > _node.Clock.MaxSkewMs)
            {
                parts.Clocks.OnLead(replica.Shard, TimeSpan.FromMilliseconds(applied.Milliseconds - now.Milliseconds));
            }
        }

        _node.History.Advance(floor);
    }
}
