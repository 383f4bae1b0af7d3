using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>Puts a plan together: lists with leaders, what it costs, and what could not be done.</summary>
internal sealed class PlanResult(
    PlanRequest request, PlanMembers members, ReplicaTable table, ZoneRule rule, int replicas, int[] before, double[] fair)
{
    private readonly TargetPlacement _present = request.Present;
    private readonly List<ShardId> _narrow = [];
    private readonly List<ShardId> _uneven = [];
    private readonly List<ShardId> _leaderless = [];
    private readonly SortedDictionary<NodeId, List<ShardId>> _kept = [];
    private readonly int[] _after = new int[members.Count];
    private readonly int[] _leads = new int[members.Count];
    private int _copies;
    private int _removals;
    private int _leaderChanges;

    public PlacementPlan Make()
    {
        int[] leaders = new LeaderShares(_present, members, table, request.KeepsLeaders).Make();
        List<NodeId> all = new(table.Shards * table.Width);
        var starts = new int[table.Shards + 1];
        List<NodeId> row = [];
        for (int s = 0; s < table.Shards; s++)
        {
            row.Clear();
            MakeRow(s, leaders[s], row);
            all.AddRange(row);
            starts[s + 1] = all.Count;
        }

        TargetPlacement target = new(_present.Generation + 1, request.ReplicationFactor, [.. all], starts);
        bool same = target.HasSameReplicas(_present) && request.ReplicationFactor == _present.ReplicationFactor;
        return new PlacementPlan
        {
            Target = same ? _present : target,
            IsChange = !same,
            Problems = [.. new PlanTexts(request, members).Problems(_narrow, _kept, _leaderless, _uneven)],
            Shares =
            [
                .. members
                    .Where(m => members.Holds(m) || before[m] > 0 || _after[m] > 0)
                    .Select(m => new MemberShare(members.IdOf(m), before[m], _after[m], _leads[m], fair[m])),
            ],
            Copies = _copies,
            Removals = _removals,
            LeaderChanges = _leaderChanges,
        };
    }

    // Those who stay in the order in which they were, then those who come; members that depart only where nobody can take their place.
    private void MakeRow(int shard, int leader, List<NodeId> row)
    {
        ReadOnlySpan<NodeId> present = _present.RowOf(shard);
        ReadOnlySpan<int> placed = table.Row(shard);
        foreach (NodeId id in present)
        {
            int member = members.IndexOf(id);
            if (member >= 0 && placed.Contains(member))
            {
                row.Add(id);
            }
        }

        foreach (int member in placed)
        {
            if (member >= 0 && !present.Contains(members.IdOf(member)))
            {
                row.Add(members.IdOf(member));
                _copies++;
            }
        }

        ShardId number = new((uint)shard);
        foreach (NodeId id in present)
        {
            int member = members.IndexOf(id);
            if (row.Count < request.ReplicationFactor && member >= 0 && members.Departs(member))
            {
                row.Add(id);
                if (!_kept.TryGetValue(id, out List<ShardId>? kept))
                {
                    _kept.Add(id, kept = []);
                }

                kept.Add(number);
            }
        }

        foreach (NodeId id in present)
        {
            _removals += row.Contains(id) ? 0 : 1;
        }

        if (row.Count == 0)
        {
            // Nobody is left at all. What the shard had stays written down: a target is never empty.
            row.AddRange(present);
        }

        Lead(row, leader);
        Note(number, leader, row);
        _leaderChanges += row[0] == present[0] ? 0 : 1;
    }

    private void Lead(List<NodeId> row, int leader)
    {
        if (leader >= 0)
        {
            int at = row.IndexOf(members.IdOf(leader));
            NodeId first = row[at];
            row.RemoveAt(at);
            row.Insert(0, first);
            _leads[leader]++;
        }
    }

    private void Note(ShardId shard, int leader, List<NodeId> row)
    {
        foreach (NodeId id in row)
        {
            int member = members.IndexOf(id);
            if (member >= 0)
            {
                _after[member]++;
            }
        }

        if (row.Count < request.ReplicationFactor)
        {
            _narrow.Add(shard);
        }

        if (leader < 0)
        {
            _leaderless.Add(shard);
        }

        if (members.Zones.Count > 1 && ZonesOf((int)shard.Value) < Math.Min(replicas, ZonesThere()))
        {
            _uneven.Add(shard);
        }
    }

    private int ZonesOf(int shard)
    {
        int zones = 0;
        ReadOnlySpan<int> row = table.Row(shard);
        for (int i = 0; i < row.Length; i++)
        {
            bool known = row[i] < 0;
            for (int j = 0; j < i && !known; j++)
            {
                known = row[j] >= 0 && members.ZoneOf(row[j]) == members.ZoneOf(row[i]);
            }

            zones += known ? 0 : 1;
        }

        return zones;
    }

    private int ZonesThere()
    {
        int zones = 0;
        for (int z = 0; z < members.Zones.Count; z++)
        {
            zones += rule.Most(z) > 0 ? 1 : 0;
        }

        return zones;
    }
}
