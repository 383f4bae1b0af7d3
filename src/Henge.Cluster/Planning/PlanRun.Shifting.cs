namespace Henge.Cluster.Planning;

// Replicas go from members that have too many to those that are new, and in a rebalance to all that have too few.
internal sealed partial class PlanRun
{
    private bool _overgiven;

    private void Shift()
    {
        _order = _request.Rebalance ? OrderOf(static _ => true, _quotas) : OrderOf(m => _isNewcomer[m], JoinLimits());
        if (_order.Wanted == 0 && !_request.Rebalance)
        {
            return;
        }

        SpreadOverZones();
        ShiftExcess();
        if (_overgiven)
        {
            // Where another could have given in the place of who has given too much for the sake of zones, it does.
            _order = OrderOf(static _ => true, _quotas);
            Mend(all: true);
        }
    }

    // The part of all replicas that goes to a newcomer for its weight, and one more.
    private int[] JoinLimits()
    {
        double weights = _members
            .Where(m => _members.Holds(m) && (_members.Takes(m) || _before[m] > 0))
            .Sum(m => (double)_members[m].Weight);
        return
        [
            .. Enumerable
                .Range(0, _members.Count)
                .Select(m => Math.Min(_quotas[m], (int)((double)_table.Shards * _replicas * _members[m].Weight / weights) + 1)),
        ];
    }

    private void SpreadOverZones()
    {
        if (_members.Zones.Count < 2)
        {
            return;
        }

        for (int i = 0, s = 0; i < _table.Shards; i++, s = Following(s))
        {
            // Each turn mends something, so this ends.
            while (IsUneven(s) && TrySpread(s))
            {
            }
        }
    }

    private bool IsUneven(int shard)
    {
        foreach (int member in _table.Row(shard))
        {
            if (member >= 0)
            {
                int zone = _members.ZoneOf(member);
                if (CountInZone(shard, zone) > _rule.Most(zone))
                {
                    return true;
                }
            }
        }

        if (_rule.HasLeast)
        {
            for (int z = 0; z < _members.Zones.Count; z++)
            {
                if (CountInZone(shard, z) < _rule.Least(z))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private bool TrySpread(int shard)
    {
        int bestPlace = ReplicaTable.None;
        int bestMember = -1;
        (int Zones, int Loads) bestOrder = (0, 0);
        for (int z = 0; z < _members.Zones.Count; z++)
        {
            int taker = _order.Best(z, _table.Row(shard), Mix(shard));
            if (taker < 0 || (!_request.Rebalance && _order.RoomOf(taker) <= 0))
            {
                continue;
            }

            for (int place = shard * _table.Width; place < (shard + 1) * _table.Width; place++)
            {
                int giver = _table.MemberAt(place);
                if (giver < 0 || !_members.Takes(giver) || (!_request.Rebalance && ExcessOf(giver) < 0))
                {
                    continue;
                }

                (int Zones, int Loads) order = (
                    -ZoneChange(shard, _members.ZoneOf(giver), z), _order.RoomOf(taker) + ExcessOf(giver));
                if (order.Zones > 0 && order.CompareTo(bestOrder) > 0)
                {
                    (bestPlace, bestMember, bestOrder) = (place, taker, order);
                }
            }
        }

        if (bestPlace < 0)
        {
            return false;
        }

        _overgiven |= !_request.Rebalance && ExcessOf(_table.MemberAt(bestPlace)) <= 0;
        Set(bestPlace, bestMember);
        return true;
    }

    // Always from whoever has most too many, so that all end near the same where there is not enough to take from all.
    private void ShiftExcess()
    {
        var places = new Queue<int>[_members.Count];
        PriorityQueue<int, (int, int)> givers = new();
        List<int> stuck = [];
        foreach (int member in _members.Where(m => _members.Holds(m) && ExcessOf(m) > 0))
        {
            places[member] = PlacesOf(member);
            givers.Enqueue(member, (-ExcessOf(member), member));
        }

        while (_order.Wanted > 0 && givers.TryDequeue(out int giver, out _))
        {
            if (!TryGive(giver, places[giver]))
            {
                stuck.Add(giver);
            }
            else if (ExcessOf(giver) > 0)
            {
                givers.Enqueue(giver, (-ExcessOf(giver), giver));
            }
        }

        BeginPaths();
        foreach (int giver in stuck.OrderByDescending(ExcessOf).ThenBy(static m => m))
        {
            while (_order.Wanted > 0 && ExcessOf(giver) > 0 && TryPath(giver, steals: true))
            {
            }
        }
    }

    // In an order that is each member's own. Were it the same for all, two that share shards would give away others than those, and in the
    // end have all in common; then neither could take over from the other.
    private Queue<int> PlacesOf(int member)
    {
        var places = new (uint Order, int Place)[_table.Loads[member]];
        int count = 0;
        for (int place = _table.First(member); place >= 0; place = _table.Next(place))
        {
            places[count++] = (Mix(_table.ShardOf(place) ^ (int)Mix(member + 1)), place);
        }

        Array.Sort(places);
        return new Queue<int>(places.Select(static p => p.Place));
    }

    // Gives one replica to whoever has most room. Each place is looked at once: who could not take it has no more room later.
    private bool TryGive(int giver, Queue<int> places)
    {
        int from = _members.ZoneOf(giver);
        while (places.TryDequeue(out int place))
        {
            int shard = _table.ShardOf(place);
            int best = -1;
            for (int z = 0; z < _members.Zones.Count; z++)
            {
                int taker = _order.Best(z, _table.Row(shard), Mix(shard));
                if (taker >= 0 && _order.RoomOf(taker) > (best < 0 ? 0 : _order.RoomOf(best)) && ZoneChange(shard, from, z) <= 0)
                {
                    best = taker;
                }
            }

            if (best >= 0)
            {
                Set(place, best);
                return true;
            }
        }

        return false;
    }
}
