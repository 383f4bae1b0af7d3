using Henge.Core;

namespace Henge.Cluster;

/// <summary>
/// Which members carry which shards. A replica list begins with the preferred leader. Made by <see cref="Create"/> for a new cluster and by
/// <see cref="Change"/> when members come or go; both are pure functions, so all nodes compute the same. Immutable.
/// </summary>
/// <remarks>
/// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2016): a shard goes to the first members clockwise of its arc's
/// start that do not yet carry their fair share, <c>ceil(shards × replicas / members)</c>. A change moves only what the members that came
/// or went make necessary: nothing moves between two members that stay.
/// </remarks>
public sealed class Placement
{
    /// <summary>
    /// The version of the rule by which <see cref="Create"/> places shards. Nodes of one cluster compute the placement each for itself, so
    /// they must go by the same rule: raise it with any change of what Create gives for some input, of the ring, or of where keys stand on
    /// it. Older rules stay, since a node computes the founding placement of its cluster at each start, by the rule of that time.
    /// </summary>
    /// <remarks>Rule 1: no member has more than its fair share, rounded up. Rule 2: nor less than its fair share, rounded down.</remarks>
    public const int RuleVersion = 2;

    private readonly string[][] _replicas;

    private Placement(string[][] replicas) => _replicas = replicas;

    /// <summary>How many shards there are.</summary>
    public int ShardCount => _replicas.Length;

    /// <summary>The members that carry a shard; the first is its preferred leader.</summary>
    public IReadOnlyList<string> ReplicasOf(ShardId shard) => _replicas[shard.Value];

    /// <summary>Takes over a placement that was computed before (from the catalog). The lists are copied.</summary>
    public static Placement From(IReadOnlyList<IReadOnlyList<string>> replicas) => new([.. replicas.Select(static r => r.ToArray())]);

    /// <summary>
    /// Places the shards of a new cluster. With fewer members than <paramref name="replicas"/>, each shard gets all of them.
    /// </summary>
    /// <param name="shards">The shards.</param>
    /// <param name="ring">The members.</param>
    /// <param name="replicas">How many replicas each shard has, 1 or more.</param>
    /// <param name="rule">The rule that the cluster was made by: 1 to <see cref="RuleVersion"/>.</param>
    public static Placement Create(ShardMap shards, HashRing ring, int replicas, int rule = RuleVersion)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rule, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rule, RuleVersion);
        int width = Width(ring, replicas);
        int share = Ceiling(shards.Count * width, ring.Members.Count);
        var load = new Dictionary<string, int>(StringComparer.Ordinal);
        var lists = new List<string>[shards.Count];
        for (uint s = 0; s < shards.Count; s++)
        {
            lists[s] = new List<string>(width);
            Fill(lists[s], ring.Clockwise(shards.ArcStart(new ShardId(s))), width, share, load);
        }

        // Filling stops at the share, so what is left over falls on whoever stands last on the ring, up to a quarter too little.
        if (rule >= 2)
        {
            foreach (string member in ring.Members)
            {
                Give(member, shards, ring, lists, width, load);
            }
        }

        string[][] result = Array.ConvertAll(lists, static l => l.ToArray());
        BalanceLeaders(result, ring.Members);
        return new Placement(result);
    }

    /// <summary>
    /// The placement after members came or went (<paramref name="ring"/> holds those who are there now). Members that went are replaced
    /// clockwise within the fair share; members that came take replicas from the most loaded, those first where the ring puts them nearest.
    /// </summary>
    public Placement Change(ShardMap shards, HashRing ring, int replicas)
    {
        if (shards.Count != ShardCount)
        {
            throw new ArgumentException(
                $"The placement is of {ShardCount} shards, not {shards.Count}: their number is fixed when a cluster is made.",
                nameof(shards));
        }

        int width = Width(ring, replicas);
        var present = new HashSet<string>(ring.Members, StringComparer.Ordinal);
        var before = new HashSet<string>(_replicas.SelectMany(static r => r), StringComparer.Ordinal);
        var lists = new List<string>[ShardCount];
        var load = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int s = 0; s < ShardCount; s++)
        {
            lists[s] = [.. _replicas[s].Where(present.Contains).Take(width)];
            lists[s].ForEach(m => load[m] = load.GetValueOrDefault(m) + 1);
        }

        int share = Ceiling(ShardCount * width, ring.Members.Count);
        for (uint s = 0; s < ShardCount; s++)
        {
            Fill(lists[s], ring.Clockwise(shards.ArcStart(new ShardId(s))), width, share, load);
        }

        foreach (string member in ring.Members.Where(m => !before.Contains(m)))
        {
            Give(member, shards, ring, lists, width, load);
        }

        string[][] result = Array.ConvertAll(lists, static l => l.ToArray());
        BalanceLeaders(result, ring.Members);
        return new Placement(result);
    }

    private static int Width(HashRing ring, int replicas)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        return ring.Members.Count == 0
            ? throw new HengeException(ErrorCode.InvalidArgument, "A cluster without nodes cannot carry shards.")
            : Math.Min(replicas, ring.Members.Count);
    }

    private static int Ceiling(int a, int b) => (a + b - 1) / b;

    // Adds members clockwise to a list until it is wide enough; those with their fair share are taken only when no others are left.
    private static void Fill(List<string> list, IReadOnlyList<string> clockwise, int width, int share, Dictionary<string, int> load)
    {
        for (int pass = 0; pass < 2; pass++)
        {
            IEnumerable<string> order = pass == 0 ? clockwise : clockwise.OrderBy(m => load.GetValueOrDefault(m));
            foreach (string member in order)
            {
                if (list.Count == width)
                {
                    return;
                }

                if (!list.Contains(member) && (pass == 1 || load.GetValueOrDefault(member) < share))
                {
                    list.Add(member);
                    load[member] = load.GetValueOrDefault(member) + 1;
                }
            }
        }
    }

    // Gives a member that has less its fair share, rounded down, from those that have more than that.
    private static void Give(string member, ShardMap shards, HashRing ring, List<string>[] lists, int width, Dictionary<string, int> load)
    {
        int wanted = lists.Length * width / ring.Members.Count;
        uint[] byNearness =
        [
            .. Enumerable.Range(0, lists.Length).Select(static s => (uint)s)
                .OrderBy(s => Rank(ring.Clockwise(shards.ArcStart(new ShardId(s))), member)).ThenBy(static s => s),
        ];
        int limit = load.Count == 0 ? 0 : load.Values.Max();

        // Donors are taken level by level, from the most loaded down, so that all end near the same load.
        for (; limit > wanted && load.GetValueOrDefault(member) < wanted; limit--)
        {
            foreach (uint s in byNearness)
            {
                if (load.GetValueOrDefault(member) >= wanted)
                {
                    return;
                }

                int donor = lists[s].Contains(member) ? -1 : lists[s].FindIndex(m => load.GetValueOrDefault(m) >= limit);
                if (donor >= 0)
                {
                    load[lists[s][donor]]--;
                    load[member] = load.GetValueOrDefault(member) + 1;
                    lists[s][donor] = member;
                }
            }
        }
    }

    private static int Rank(IReadOnlyList<string> clockwise, string member)
    {
        for (int i = 0; i < clockwise.Count; i++)
        {
            if (clockwise[i] == member)
            {
                return i;
            }
        }

        return clockwise.Count;
    }

    // Reorders within lists only, which moves no data: while somebody leads two shards more than another replica of one of them, that one
    // leads it.
    private static void BalanceLeaders(string[][] lists, IReadOnlyList<string> members)
    {
        Dictionary<string, int> leads = members.ToDictionary(static m => m, static _ => 0, StringComparer.Ordinal);
        foreach (string[] list in lists)
        {
            leads[list[0]]++;
        }

        // Each step lowers the sum of squares of the loads, so this ends.
        for (bool moved = true; moved;)
        {
            moved = false;
            foreach (string[] list in lists)
            {
                int least = 0;
                for (int i = 1; i < list.Length; i++)
                {
                    least = leads[list[i]] < leads[list[least]] ? i : least;
                }

                if (leads[list[0]] - leads[list[least]] >= 2)
                {
                    leads[list[0]]--;
                    leads[list[least]]++;
                    (list[0], list[least]) = (list[least], list[0]);
                    moved = true;
                }
            }
        }
    }
}
