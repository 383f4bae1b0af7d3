namespace Henge.Cluster.Planning;

/// <summary>
/// Who carries what while a plan is made: for each shard a row of places, for each member a list of its places. Members are counted from 0.
/// All in arrays, so that a plan of hundreds of thousands of replicas takes megabytes. Not thread-safe.
/// </summary>
internal sealed class ReplicaTable
{
    /// <summary>No member, or no place.</summary>
    public const int None = -1;

    private readonly int[] _members;
    private readonly int[] _next;
    private readonly int[] _previous;
    private readonly int[] _first;
    private readonly int[] _loads;

    public ReplicaTable(int shards, int width, int members)
    {
        Shards = shards;
        Width = width;
        _members = new int[shards * width];
        _next = new int[shards * width];
        _previous = new int[shards * width];
        _first = new int[members];
        _loads = new int[members];
        Array.Fill(_members, None);
        Array.Fill(_first, None);
    }

    public int Shards { get; }

    /// <summary>Places in a row.</summary>
    public int Width { get; }

    /// <summary>How many replicas each member carries.</summary>
    public ReadOnlySpan<int> Loads => _loads;

    /// <summary>The members of a shard; <see cref="None"/> where a place is free.</summary>
    public ReadOnlySpan<int> Row(int shard) => _members.AsSpan(shard * Width, Width);

    public int MemberAt(int place) => _members[place];

    public int ShardOf(int place) => place / Width;

    public bool Holds(int shard, int member) => Row(shard).Contains(member);

    /// <summary>How many replicas a shard has.</summary>
    public int CountOf(int shard)
    {
        int count = 0;
        foreach (int member in Row(shard))
        {
            count += member >= 0 ? 1 : 0;
        }

        return count;
    }

    /// <summary>The first place of a member's; <see cref="None"/> when there is none.</summary>
    public int First(int member) => _first[member];

    /// <summary>The next place of the same member's.</summary>
    public int Next(int place) => _next[place];

    /// <summary>The first free place of a shard.</summary>
    public int FreePlace(int shard) => (shard * Width) + Row(shard).IndexOf(None);

    /// <summary>Gives a place to a member, or frees it with <see cref="None"/>.</summary>
    public void Set(int place, int member)
    {
        int before = _members[place];
        if (before >= 0)
        {
            Unlink(place, before);
        }

        _members[place] = member;
        if (member >= 0)
        {
            int first = _first[member];
            _next[place] = first;
            _previous[place] = None;
            _first[member] = place;
            _loads[member]++;
            if (first >= 0)
            {
                _previous[first] = place;
            }
        }
    }

    private void Unlink(int place, int member)
    {
        int next = _next[place];
        int previous = _previous[place];
        if (previous >= 0)
        {
            _next[previous] = next;
        }
        else
        {
            _first[member] = next;
        }

        if (next >= 0)
        {
            _previous[next] = previous;
        }

        _loads[member]--;
    }
}
