using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>
/// Whom the shards are to be led by: one of their replicas whose member takes part fully, such that each member leads its part by weight.
/// Who leads stays so where that fits. Another leader moves no data.
/// </summary>
internal sealed class LeaderShares
{
    private const int MaxRounds = 8;

    private readonly TargetPlacement _present;
    private readonly PlanMembers _members;
    private readonly ReplicaTable _replicas;
    private readonly ReplicaTable _leaders;
    private readonly int[] _quotas;
    private readonly int[] _via;
    private readonly bool _keepsLeaders;
    private readonly Queue<int> _queue = new();

    public LeaderShares(TargetPlacement present, PlanMembers members, ReplicaTable replicas, bool keepsLeaders = false)
    {
        _keepsLeaders = keepsLeaders;
        _present = present;
        _members = members;
        _replicas = replicas;
        _leaders = new ReplicaTable(replicas.Shards, 1, members.Count);
        _via = new int[members.Count];
        _quotas = new int[members.Count];
    }

    /// <summary>The leader of each shard, counted from 0; -1 where none of its replicas can lead.</summary>
    public int[] Make()
    {
        int led = KeepLeaders();
        SetQuotas(led);
        for (int s = 0; s < _leaders.Shards; s++)
        {
            if (_leaders.MemberAt(s) < 0)
            {
                _leaders.Set(s, Least(s));
            }
        }

        if (!_keepsLeaders)
        {
            ShareOut(led);
        }

        int[] result = new int[_leaders.Shards];
        for (int s = 0; s < result.Length; s++)
        {
            result[s] = _leaders.MemberAt(s);
        }

        return result;
    }

    private void ShareOut(int led)
    {
        for (int m = 0; m < _members.Count; m++)
        {
            HandOver(m);
        }

        // Where shares cannot be met as they were rounded, they may be when they are rounded by what there is now. A plan that is followed
        // is to be the end of it, so that is tried at once.
        for (int round = 0; (Balance() | SetQuotas(led)) && round < MaxRounds; round++)
        {
        }
    }

    private bool CanLead(int member) => _members.Takes(member) && _members.Holds(member);

    // What a member leads too much goes to other replicas that have room, as far as there are any.
    private void HandOver(int giver)
    {
        for (int shard = _leaders.First(giver); shard >= 0 && RoomOf(giver) < 0;)
        {
            int next = _leaders.Next(shard);
            int to = Least(shard);
            if (RoomOf(to) > 0)
            {
                _leaders.Set(shard, to);
            }

            shard = next;
        }
    }

    private bool Balance()
    {
        bool changed = false;
        for (int m = 0; m < _members.Count; m++)
        {
            while (_leaders.Loads[m] > _quotas[m] && TryHandOn(m))
            {
                changed = true;
            }
        }

        return changed;
    }

    // How many shards can be led at all.
    private int KeepLeaders()
    {
        int led = 0;
        for (int s = 0; s < _leaders.Shards; s++)
        {
            int first = _members.IndexOf(_present.RowOf(s)[0]);
            if (first >= 0 && CanLead(first) && _replicas.Holds(s, first))
            {
                _leaders.Set(s, first);
            }

            foreach (int member in _replicas.Row(s))
            {
                if (member >= 0 && CanLead(member))
                {
                    led++;
                    break;
                }
            }
        }

        return led;
    }

    // True when they are others than before.
    private bool SetQuotas(int total)
    {
        int[] who = [.. _members.Where(CanLead)];
        var shares = new double[who.Length];
        FairShares.Of(
            total,
            [.. who.Select(m => (double)_members[m].Weight)],
            [.. who.Select(m => (double)_replicas.Loads[m])],
            new int[who.Length],
            [0],
            [total],
            shares,
            new double[1]);
        int[] whole = FairShares.Round(shares, total, [.. who.Select(m => _leaders.Loads[m])]);
        bool changed = false;
        for (int i = 0; i < who.Length; i++)
        {
            changed |= _quotas[who[i]] != whole[i];
            _quotas[who[i]] = whole[i];
        }

        return changed;
    }

    private int Least(int shard)
    {
        int least = ReplicaTable.None;
        foreach (int member in _replicas.Row(shard))
        {
            if (member >= 0 && CanLead(member) && (least < 0 || RoomOf(member) > RoomOf(least)))
            {
                least = member;
            }
        }

        return least;
    }

    private int RoomOf(int member) => _quotas[member] - _leaders.Loads[member];

    // Along the shortest chain of members that each hand one shard to another of its replicas, to one that leads too few.
    private bool TryHandOn(int giver)
    {
        Array.Fill(_via, ReplicaTable.None);
        _queue.Clear();
        _queue.Enqueue(giver);
        while (_queue.TryDequeue(out int from))
        {
            for (int shard = _leaders.First(from); shard >= 0; shard = _leaders.Next(shard))
            {
                foreach (int to in _replicas.Row(shard))
                {
                    if (to < 0 || to == giver || _via[to] >= 0 || !CanLead(to))
                    {
                        continue;
                    }

                    _via[to] = shard;
                    if (RoomOf(to) > 0)
                    {
                        HandOn(giver, to);
                        return true;
                    }

                    _queue.Enqueue(to);
                }
            }
        }

        return false;
    }

    private void HandOn(int giver, int last)
    {
        for (int to = last; to != giver;)
        {
            int shard = _via[to];
            int from = _leaders.MemberAt(shard);
            _leaders.Set(shard, to);
            to = from;
        }
    }
}
