namespace Henge.Cluster.Planning;

/// <summary>
/// How many replicas of one shard belong into each zone: spread as evenly as the zones have members for it. A zone is given one replica
/// more only when all others have as many, or have no more members.
/// </summary>
internal sealed class ZoneRule
{
    private readonly int[] _least;
    private readonly int[] _most;

    public ZoneRule(ReadOnlySpan<int> membersByZone, int width)
    {
        int level = 0;
        int room = 0;
        while (room < width)
        {
            level++;
            int more = 0;
            foreach (int members in membersByZone)
            {
                more += members >= level ? 1 : 0;
            }

            if (more == 0)
            {
                break;
            }

            room += more;
        }

        _least = new int[membersByZone.Length];
        _most = new int[membersByZone.Length];
        for (int z = 0; z < membersByZone.Length; z++)
        {
            _least[z] = Math.Min(membersByZone[z], level - 1);
            _most[z] = Math.Min(membersByZone[z], level);
            HasLeast |= _least[z] > 0;
        }
    }

    /// <summary>Whether some zone must have a replica of every shard.</summary>
    public bool HasLeast { get; }

    /// <summary>The fewest that a zone has of one shard when all is well.</summary>
    public int Least(int zone) => _least[zone];

    /// <summary>The most that a zone has of one shard when all is well.</summary>
    public int Most(int zone) => _most[zone];

    /// <summary>What one replica more does: -1 mends something, 0 is well, 1 crowds the zone.</summary>
    public int Entering(int zone, int count) => count < _least[zone] ? -1 : count >= _most[zone] ? 1 : 0;

    /// <summary>What one replica less does: -1 mends something, 0 is well, 1 bares the zone.</summary>
    public int Leaving(int zone, int count) => count > _most[zone] ? -1 : count <= _least[zone] ? 1 : 0;
}
