namespace Henge.Cluster.Planning;

/// <summary>
/// Members that can take replicas, zone by zone, those with most room first. A change by one costs a search in the zone. Not thread-safe.
/// </summary>
internal sealed class RoomOrder
{
    private readonly int[] _order;
    private readonly int[] _places;
    private readonly int[] _starts;
    private readonly int[] _rooms;
    private readonly ReadOnlyMemory<int> _zones;

    /// <summary>Puts members in order.</summary>
    /// <param name="members">Those who can take replicas, in the order of their numbers.</param>
    /// <param name="rooms">How many more each member shall carry; below zero for too many. By member.</param>
    /// <param name="zones">The zone of each member.</param>
    /// <param name="zoneCount">How many zones there are.</param>
    public RoomOrder(IEnumerable<int> members, int[] rooms, ReadOnlyMemory<int> zones, int zoneCount)
    {
        _rooms = rooms;
        _zones = zones;
        _order = [.. members.OrderBy(m => zones.Span[m]).ThenByDescending(m => rooms[m]).ThenBy(static m => m)];
        _places = new int[rooms.Length];
        Array.Fill(_places, -1);
        _starts = new int[zoneCount + 1];
        for (int i = 0; i < _order.Length; i++)
        {
            _places[_order[i]] = i;
            _starts[zones.Span[_order[i]] + 1] = i + 1;
            Wanted += Math.Max(0, rooms[_order[i]]);
        }

        for (int z = 1; z <= zoneCount; z++)
        {
            _starts[z] = Math.Max(_starts[z], _starts[z - 1]);
        }
    }

    /// <summary>How many replicas all of them together have room for.</summary>
    public long Wanted { get; private set; }

    public bool Has(int member) => _places[member] >= 0;

    public int RoomOf(int member) => _rooms[member];

    /// <summary>
    /// The member of a zone with most room that a shard is not on yet; -1 when there is none. Among equals the shard's number decides, so
    /// that what one member carried is spread over many.
    /// </summary>
    public int Best(int zone, ReadOnlySpan<int> row, uint mix)
    {
        int start = _starts[zone];
        int end = _starts[zone + 1];
        while (start < end)
        {
            int equals = EndOfEquals(start, end) - start;
            int first = (int)(mix % (uint)equals);
            for (int i = 0; i < equals; i++)
            {
                int at = first + i;
                int member = _order[start + (at < equals ? at : at - equals)];
                if (!row.Contains(member))
                {
                    return member;
                }
            }

            start += equals;
        }

        return -1;
    }

    /// <summary>A member has got one replica more, or one less.</summary>
    public void OnLoad(int member, bool more)
    {
        int place = _places[member];
        if (place < 0)
        {
            _rooms[member] += more ? -1 : 1;
            return;
        }

        int zone = _zones.Span[member];
        if (more)
        {
            Wanted -= _rooms[member] > 0 ? 1 : 0;
            Swap(place, EndOfEquals(place, _starts[zone + 1]) - 1);
            _rooms[member]--;
        }
        else
        {
            Swap(place, StartOfEquals(place, _starts[zone]));
            _rooms[member]++;
            Wanted += _rooms[member] > 0 ? 1 : 0;
        }
    }

    private void Swap(int a, int b)
    {
        (_order[a], _order[b]) = (_order[b], _order[a]);
        _places[_order[a]] = a;
        _places[_order[b]] = b;
    }

    private int EndOfEquals(int low, int high)
    {
        int room = _rooms[_order[low]];
        for (low++; low < high;)
        {
            int middle = (low + high) >>> 1;
            (low, high) = _rooms[_order[middle]] == room ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private int StartOfEquals(int at, int low)
    {
        int room = _rooms[_order[at]];
        int high = at;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            (low, high) = _rooms[_order[middle]] == room ? (low, middle) : (middle + 1, high);
        }

        return low;
    }
}
