using System.Diagnostics.CodeAnalysis;
using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Node.Replication;

/// <summary>
/// The replicas that there are on this node: those of shards in order, then the catalog's. They come and go while the node runs.
/// Thread-safe.
/// </summary>
internal sealed class HostedShards
{
    private readonly Lock _gate = new();
    private readonly ShardReplica?[] _byShard;
    private ShardReplica? _catalog;
    private ShardReplica[]? _all;
    private int _serving;

    /// <summary>Creates it without replicas.</summary>
    public HostedShards(int shards) => _byShard = new ShardReplica?[shards];

    /// <summary>All there are at the moment.</summary>
    public IReadOnlyList<ShardReplica> All
    {
        get
        {
            if (Volatile.Read(ref _all) is { } all)
            {
                return all;
            }

            lock (_gate)
            {
                ShardReplica[] made = [.. _byShard.OfType<ShardReplica>()];
                Volatile.Write(ref _all, _catalog is { } catalog ? [.. made, catalog] : made);
                return _all!;
            }
        }
    }

    /// <summary>The replica of a shard that is here for sure: for tests and the simulator.</summary>
    public ShardReplica this[ShardId shard] =>
        TryGet(shard, out ShardReplica? replica) ? replica : throw new HengeException(ErrorCode.Unavailable, $"{shard} is not here.");

    /// <summary>The replica of a shard; false when there is none here.</summary>
    public bool TryGet(ShardId shard, [NotNullWhen(true)] out ShardReplica? replica)
    {
        replica = shard.IsCatalog ? Volatile.Read(ref _catalog)
            : shard.Value < (uint)_byShard.Length ? Volatile.Read(ref _byShard[shard.Value])
            : null;
        return replica is not null;
    }

    /// <summary>The state machine of a shard; null when there is none here.</summary>
    public ShardStateMachine? MachineOf(ShardId shard) => TryGet(shard, out ShardReplica? replica) ? replica.Machine : null;

    /// <summary>The same; null also when it is not to be served, or not yet.</summary>
    public ShardStateMachine? ServingMachineOf(ShardId shard) => MachineOf(shard) is { IsWithheld: false } machine ? machine : null;

    /// <summary>True when a shard has a replica here that serves operations.</summary>
    public bool Serves(ShardId shard) => TryGet(shard, out ShardReplica? replica) && replica.Serves;

    /// <summary>
    /// The same, and has come to a version: a replica that has just begun here may be behind what a barrier saw elsewhere.
    /// </summary>
    public bool ServesAt(ShardId shard, Core.Version version) =>
        TryGet(shard, out ShardReplica? replica) && replica.Serves && replica.Machine.LastVersion >= version;

    /// <summary>True when every shard is served here and has come to a version.</summary>
    public bool ServesAllAt(Core.Version version)
    {
        if (Volatile.Read(ref _serving) != _byShard.Length)
        {
            return false;
        }

        for (uint s = 0; s < _byShard.Length; s++)
        {
            if (!ServesAt(new ShardId(s), version))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A replica begins to serve operations, or ceases to. Once for each change.</summary>
    public void OnServing(ShardReplica replica)
    {
        if (!replica.Shard.IsCatalog)
        {
            Interlocked.Add(ref _serving, replica.Serves ? 1 : -1);
        }
    }

    /// <summary>A replica comes.</summary>
    public void Add(ShardReplica replica) => Set(replica.Shard, replica);

    /// <summary>A replica goes.</summary>
    public void Remove(ShardReplica replica) => Set(replica.Shard, null);

    private void Set(ShardId shard, ShardReplica? replica)
    {
        lock (_gate)
        {
            if (shard.IsCatalog)
            {
                Volatile.Write(ref _catalog, replica);
            }
            else
            {
                Volatile.Write(ref _byShard[shard.Value], replica);
            }

            Volatile.Write(ref _all, null);
        }
    }
}
