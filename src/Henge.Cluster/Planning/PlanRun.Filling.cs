namespace Henge.Cluster.Planning;

// Replicas that are too many go; those that are missing are placed.
internal sealed partial class PlanRun
{
    // True when something went.
    private bool Trim()
    {
        bool any = false;
        for (int i = 0, s = 0; i < _table.Shards; i++, s = Following(s))
        {
            for (int count = _table.CountOf(s); count > _replicas; count--)
            {
                Set(WorstPlace(s), ReplicaTable.None);
                any = true;
            }
        }

        return any;
    }

    // Whose zone can spare it, who is down, who carries most over its share; the last of equals, since the first leads.
    private int WorstPlace(int shard)
    {
        int worst = ReplicaTable.None;
        (int, int, int) worstOrder = default;
        for (int place = shard * _table.Width; place < (shard + 1) * _table.Width; place++)
        {
            int member = _table.MemberAt(place);
            if (member < 0)
            {
                continue;
            }

            int zone = _members.ZoneOf(member);
            (int, int, int) order = (
                -_rule.Leaving(zone, CountInZone(shard, zone)), _members[member].DownForMs is null ? 0 : 1, ExcessOf(member));
            if (worst < 0 || order.CompareTo(worstOrder) >= 0)
            {
                (worst, worstOrder) = (place, order);
            }
        }

        return worst;
    }

    private void Fill()
    {
        for (int i = 0, s = 0; i < _table.Shards; i++, s = Following(s))
        {
            for (int count = _table.CountOf(s); count < _replicas; count++)
            {
                int member = BestFor(s);
                if (member < 0)
                {
                    break;
                }

                Set(_table.FreePlace(s), member);
            }
        }
    }

    // Where it does most for the spread over zones, and among those, who has most room.
    private int BestFor(int shard)
    {
        int best = -1;
        (int Zones, int Room) bestOrder = default;
        for (int z = 0; z < _members.Zones.Count; z++)
        {
            int member = _order.Best(z, _table.Row(shard), Mix(shard));
            if (member >= 0)
            {
                (int Zones, int Room) order = (-_rule.Entering(z, CountInZone(shard, z)), Blurred(_order.RoomOf(member), shard, z));
                if (best < 0 || order.CompareTo(bestOrder) > 0)
                {
                    (best, bestOrder) = (member, order);
                }
            }
        }

        return best < 0 || _order.RoomOf(best) > 0 ? best : LeastOver(shard, -bestOrder.Zones);
    }

    // Were it always the zone with most room, zones would stand together in pairs; and when one of a pair is lost, the other could take
    // nothing of it.
    private static int Blurred(int room, int shard, int zone) =>
        room <= 0 ? room : room - (int)(Mix(shard ^ (int)Mix(zone + 1)) % (uint)((room / 4) + 1));

    // All who could take it have what they shall have: then whoever is least above its share before that is rounded.
    private int LeastOver(int shard, int entering)
    {
        int least = -1;
        for (int m = 0; m < _members.Count; m++)
        {
            int zone = _members.ZoneOf(m);
            if (_order.Has(m) && !_table.Holds(shard, m) && _rule.Entering(zone, CountInZone(shard, zone)) == entering
                && (least < 0 || _table.Loads[m] - _fair[m] < _table.Loads[least] - _fair[least]))
            {
                least = m;
            }
        }

        return least;
    }

    // The last replicas that were placed may have found all members that have room in their shards already. What is newly placed goes
    // elsewhere then; what has been there stays. Of no use to who has got nothing, unless others have given what he could have.
    private void Mend(bool all)
    {
        BeginPaths();
        foreach (int member in _members.Where(m => (all || _gained[m]) && ExcessOf(m) > 0))
        {
            while (ExcessOf(member) > 0 && TryPath(member, steals: false))
            {
            }
        }
    }
}
