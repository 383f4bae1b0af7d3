using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>One plan while it is made.</summary>
internal sealed partial class PlanRun
{
    private readonly PlanRequest _request;
    private readonly PlanMembers _members;
    private readonly TargetPlacement _present;
    private readonly ReplicaTable _table;
    private readonly ZoneRule _rule;
    private readonly double[] _fair;
    private int[] _quotas;
    private readonly int[] _before;
    private readonly bool[] _gained;
    private readonly bool[] _isNewcomer;

    // What those who stay had of each shard, in the layout of the table.
    private readonly int[] _origin;

    // How many replicas a shard can have: as many as are asked for, or as there are members.
    private readonly int _replicas;

    // Shards are gone through with this stride, so that what one member gives is spread over the ring.
    private readonly int _stride;
    private RoomOrder _order;

    public PlanRun(PlanRequest request, PlanMembers members)
    {
        _request = request;
        _members = members;
        _present = request.Present;
        int holders = 0;
        int widest = request.ReplicationFactor;
        var byZone = new int[members.Zones.Count];
        foreach (int member in members.Where(members.Holds))
        {
            holders++;
            byZone[members.ZoneOf(member)]++;
        }

        for (int s = 0; s < _present.ShardCount; s++)
        {
            widest = Math.Max(widest, _present.RowOf(s).Length);
        }

        _replicas = Math.Min(request.ReplicationFactor, holders);
        _rule = new ZoneRule(byZone, _replicas);
        _table = new ReplicaTable(_present.ShardCount, widest, members.Count);
        _stride = Stride(_present.ShardCount);
        _before = new int[members.Count];
        _gained = new bool[members.Count];
        _origin = new int[_present.ShardCount * widest];
        Load();
        _isNewcomer = [.. Enumerable.Range(0, members.Count).Select(m => members.Takes(m) && members.Holds(m) && _before[m] == 0)];
        _fair = new double[members.Count];
        _quotas = Quotas();
        _order = OrderOf(static _ => true, _quotas);
    }

    public PlacementPlan Make()
    {
        bool trimmed = Trim();
        if (trimmed)
        {
            _quotas = Quotas();
            _order = OrderOf(static _ => true, _quotas);
        }

        Array.Clear(_gained);
        Fill();
        Mend(trimmed);
        Shift();
        return new PlanResult(_request, _members, _table, _rule, _replicas, _before, _fair).Make();
    }

    // Those who stay keep what they have.
    private void Load()
    {
        Array.Fill(_origin, ReplicaTable.None);
        for (int i = 0, s = 0; i < _table.Shards; i++, s = Following(s))
        {
            int place = s * _table.Width;
            foreach (NodeId id in _present.RowOf(s))
            {
                int member = _members.IndexOf(id);
                if (member >= 0)
                {
                    _before[member]++;
                    if (_members.Holds(member))
                    {
                        _origin[place] = member;
                        _table.Set(place, member);
                        place++;
                    }
                }
            }
        }
    }

    private int[] Quotas()
    {
        int count = _members.Count;
        double shards = _table.Shards;
        var weights = new double[count];
        var limits = new double[count];
        var least = new double[_members.Zones.Count];
        var most = new double[_members.Zones.Count];
        var zoneShares = new double[_members.Zones.Count];
        var zoneLoads = new int[_members.Zones.Count];
        var kept = new int[_members.Zones.Count];
        for (int m = 0; m < count; m++)
        {
            weights[m] = _members[m].Weight;
            if (_members.Takes(m) && _members.Holds(m))
            {
                limits[m] = shards;
                zoneLoads[_members.ZoneOf(m)] += _table.Loads[m];
            }
            else
            {
                // Who takes nothing goes on carrying what it does; the others share what is left.
                kept[_members.ZoneOf(m)] += _table.Loads[m];
            }
        }

        for (int z = 0; z < least.Length; z++)
        {
            least[z] = Math.Max(0, (shards * _rule.Least(z)) - kept[z]);
            most[z] = Math.Max(0, (shards * _rule.Most(z)) - kept[z]);
        }

        int total = Math.Max(0, (_table.Shards * _replicas) - kept.Sum());
        ReadOnlySpan<int> zones = _members.ZoneOfEach.Span;
        FairShares.Of(total, weights, limits, zones, least, most, _fair, zoneShares);
        int[] wholeZones = FairShares.Round(zoneShares, total, zoneLoads);
        FairShares.Within([.. wholeZones.Select(static w => (double)w)], weights, limits, zones, _fair);
        int[] quotas = _table.Loads.ToArray();
        for (int m = 0; m < count; m++)
        {
            _fair[m] = limits[m] > 0 ? _fair[m] : quotas[m];
        }

        for (int z = 0; z < wholeZones.Length; z++)
        {
            int[] inZone = [.. _members.Where(m => _members.ZoneOf(m) == z && limits[m] > 0)];
            int[] whole = FairShares.Round(
                [.. inZone.Select(m => _fair[m])], wholeZones[z], [.. inZone.Select(m => _table.Loads[m])]);
            for (int i = 0; i < inZone.Length; i++)
            {
                quotas[inZone[i]] = whole[i];
            }
        }

        return quotas;
    }

    private RoomOrder OrderOf(Func<int, bool> who, int[] limits)
    {
        var rooms = new int[_members.Count];
        for (int m = 0; m < rooms.Length; m++)
        {
            rooms[m] = limits[m] - _table.Loads[m];
        }

        return new RoomOrder(
            _members.Where(m => _members.Takes(m) && _members.Holds(m) && who(m)), rooms, _members.ZoneOfEach, _members.Zones.Count);
    }

    private void Set(int place, int member)
    {
        int before = _table.MemberAt(place);
        _table.Set(place, member);
        if (before >= 0)
        {
            _order.OnLoad(before, more: false);
        }

        if (member >= 0)
        {
            _order.OnLoad(member, more: true);
            _gained[member] = true;
        }
    }

    private int ExcessOf(int member) => _table.Loads[member] - _quotas[member];

    private int CountInZone(int shard, int zone)
    {
        int count = 0;
        foreach (int member in _table.Row(shard))
        {
            count += member >= 0 && _members.ZoneOf(member) == zone ? 1 : 0;
        }

        return count;
    }

    // What it does to the zones of a shard when a replica goes from one zone to another: below zero mends, above zero harms.
    private int ZoneChange(int shard, int from, int to) =>
        from == to ? 0 : _rule.Leaving(from, CountInZone(shard, from)) + _rule.Entering(to, CountInZone(shard, to));

    private ReadOnlySpan<int> OriginOf(int shard) => _origin.AsSpan(shard * _table.Width, _table.Width);

    private int Following(int shard)
    {
        int next = shard + _stride;
        return next >= _table.Shards ? next - _table.Shards : next;
    }

    // Coprime to the number of shards, and near the golden section of it.
    private static int Stride(int shards)
    {
        int stride = Math.Max(1, (int)(shards * 0.618));
        while (Gcd(stride, shards) != 1)
        {
            stride++;
        }

        return stride % Math.Max(1, shards);
    }

    private static int Gcd(int a, int b) => b == 0 ? a : Gcd(b, a % b);

    // Spreads numbers that lie side by side.
    private static uint Mix(int shard) => ((uint)shard * 0x9E37_79B9u) ^ (((uint)shard * 0x9E37_79B9u) >> 15);
}
