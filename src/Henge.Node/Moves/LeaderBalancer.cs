using Henge.Cluster.Leaders;
using Henge.Cluster.Planning;
using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>
/// Whom shards should be led by so that the load is shared, looked at now and then while all is well: first when loads have been heard of
/// for a while, then at intervals, and no shard twice within a time of rest. Used by the thread that ticks on the catalog's leader.
/// </summary>
internal sealed class LeaderBalancer(IClusterSight sight)
{
    /// <summary>Loads must have been heard of for so long.</summary>
    public const long FirstMs = 30_000;

    /// <summary>Between two looks.</summary>
    public const long IntervalMs = 10_000;

    /// <summary>A shard that was given to another leader is left alone for so long.</summary>
    public const long RestMs = 60_000;

    private readonly Dictionary<ShardId, long> _restsUntilMs = [];
    private long? _nextMs;

    /// <summary>Begins anew.</summary>
    public void Clear()
    {
        _restsUntilMs.Clear();
        _nextMs = null;
    }

    /// <summary>Whether loads say more of who should lead than counts do.</summary>
    public bool IsLoaded(TargetPlacement followed, int members)
    {
        double total = 0;
        for (uint s = 0; s < followed.ShardCount; s++)
        {
            total += sight.LoadOf(new ShardId(s));
        }

        return total >= new LeaderBalanceOptions().LeastOperationsPerSecond * Math.Max(1, members);
    }

    /// <summary>The leaders that others should take over from now; none most of the time.</summary>
    /// <param name="followed">Who carries the shards, and who leads.</param>
    /// <param name="members">The members as they are seen.</param>
    /// <param name="nowMs">By the monotonic clock.</param>
    public IReadOnlyList<LeaderTransfer> Find(TargetPlacement followed, IReadOnlyList<PlanMember> members, long nowMs)
    {
        if (_nextMs is not { } next || nowMs < next)
        {
            _nextMs ??= nowMs + FirstMs;
            return [];
        }

        _nextMs = nowMs + IntervalMs;
        HashSet<ShardId> resting = [];
        foreach ((ShardId shard, long until) in _restsUntilMs)
        {
            if (nowMs < until)
            {
                resting.Add(shard);
            }
            else
            {
                _restsUntilMs.Remove(shard);
            }
        }

        LeaderMember[] leading =
        [
            .. members
                .Where(static m => m.State == MemberState.Up && m.DownForMs is null)
                .Select(static m => new LeaderMember(m.Id, m.Weight)),
        ];
        var loads = new ShardLoad[followed.ShardCount];
        for (uint s = 0; s < loads.Length; s++)
        {
            NodeId[] row = followed.ReplicasOf(new ShardId(s)).ToArray();
            loads[s] = new ShardLoad(new ShardId(s), row[0], row, sight.LoadOf(new ShardId(s)));
        }

        IReadOnlyList<LeaderTransfer> transfers =
            LeaderBalance.Plan(loads, leading, new LeaderBalanceOptions { Resting = resting });
        foreach (LeaderTransfer transfer in transfers)
        {
            _restsUntilMs[transfer.Shard] = nowMs + RestMs;
        }

        return transfers;
    }
}
