namespace Henge.Cluster.Planning;

// Where nobody with room can take a replica of the member that has too many, others pass one on each: an augmenting path, as in matchings
// and flows. Rare, since those with most room are always served first.
internal sealed partial class PlanRun
{
    // Searches cost time where they lead nowhere; so many members are looked at in all of them together, and so many for each replica.
    // Plans that need more stay a little less even.
    private const int Looks = 4_000_000;
    private const int LooksPerReplica = 30;
    private long _looks;
    private int[] _pathPlaces = [];
    private int[] _searched = [];
    private int _search;
    private int[] _newcomers = [];
    private int[] _others = [];
    private readonly Queue<int> _pathQueue = new();
    private readonly List<int> _path = [];

    // From whom a search has led nowhere, none begins again before this is called.
    private void BeginPaths()
    {
        _pathPlaces = new int[_members.Count];
        _searched = new int[_members.Count];
        _search = 0;
        _newcomers = [.. _members.Where(m => _isNewcomer[m])];
        _others = [.. _members.Where(m => _members.Holds(m) && _members.Takes(m) && !_isNewcomer[m])];
    }

    /// <summary>
    /// Takes one replica from a member, by a chain of replicas that each go one member further, to one that has room. Members that stay get
    /// nothing of each other's, unless in a rebalance; newcomers take from them only where <paramref name="steals"/>.
    /// </summary>
    private bool TryPath(int giver, bool steals)
    {
        const int LedNowhere = -1;
        long mostLooks = Looks + ((long)_table.Shards * _replicas * LooksPerReplica);
        if (_searched[giver] == LedNowhere)
        {
            return false;
        }

        _search++;
        _searched[giver] = _search;
        _pathQueue.Clear();
        _pathQueue.Enqueue(giver);
        while (_pathQueue.TryDequeue(out int from))
        {
            for (int place = _table.First(from); place >= 0 && _looks < mostLooks; place = _table.Next(place))
            {
                int shard = _table.ShardOf(place);
                bool anybody = _request.Rebalance || MissingAtFirst(shard) > 0;
                int last = Visit(place, from, OriginOf(shard), steals);
                last = last < 0 && (anybody || steals) ? Visit(place, from, _newcomers, steals) : last;
                last = last < 0 && anybody ? Visit(place, from, _others, steals) : last;
                if (last >= 0)
                {
                    // Two steps of a path may be in the same shard, and together crowd a zone; then it is not gone.
                    return TryGo(giver, last, steals);
                }
            }
        }

        for (int m = 0; m < _searched.Length; m++)
        {
            _searched[m] = _searched[m] == _search ? LedNowhere : _searched[m];
        }

        return false;
    }

    // The first of some members that can take a replica and has room; those that can and have none are searched on from.
    private int Visit(int place, int from, ReadOnlySpan<int> candidates, bool steals)
    {
        _looks += candidates.Length;
        foreach (int to in candidates)
        {
            if (to < 0 || _searched[to] == _search || _searched[to] < 0 || !MayGo(place, from, to, steals))
            {
                continue;
            }

            _searched[to] = _search;
            _pathPlaces[to] = place;
            if (_order.Has(to) && _order.RoomOf(to) > 0)
            {
                return to;
            }

            _pathQueue.Enqueue(to);
        }

        return -1;
    }

    // So many replicas of a shard were missing since members went.
    private int MissingAtFirst(int shard)
    {
        int missing = _replicas;
        foreach (int member in OriginOf(shard))
        {
            missing -= member >= 0 ? 1 : 0;
        }

        return Math.Max(0, missing);
    }

    private bool MayGo(int place, int from, int to, bool steals)
    {
        int shard = _table.ShardOf(place);
        if (!_members.Takes(to) || _table.Holds(shard, to) || ZoneChange(shard, _members.ZoneOf(from), _members.ZoneOf(to)) > 0)
        {
            return false;
        }

        ReadOnlySpan<int> origin = OriginOf(shard);
        if (_request.Rebalance || origin.Contains(to))
        {
            return true;
        }

        // As many others may be new to the shard as went, beside what newcomers take.
        int added = Counts(to, steals) - (origin.Contains(from) ? 0 : Counts(from, steals));
        foreach (int member in _table.Row(shard))
        {
            added += member >= 0 && !origin.Contains(member) ? Counts(member, steals) : 0;
        }

        return added <= MissingAtFirst(shard);
    }

    private int Counts(int member, bool steals) => steals && _isNewcomer[member] ? 0 : 1;

    // From the end, so that room is made before it is used. What has been done is taken back when a step cannot be gone any more.
    private bool TryGo(int giver, int last, bool steals)
    {
        _path.Clear();
        for (int to = last; to != giver; to = _table.MemberAt(_pathPlaces[to]))
        {
            _path.Add(to);
        }

        for (int i = 0; i < _path.Count; i++)
        {
            int place = _pathPlaces[_path[i]];
            int from = i + 1 < _path.Count ? _path[i + 1] : giver;
            if (!MayGo(place, from, _path[i], steals))
            {
                for (int back = i - 1; back >= 0; back--)
                {
                    Set(_pathPlaces[_path[back]], _path[back + 1]);
                }

                return false;
            }

            Set(place, _path[i]);
        }

        return true;
    }
}
