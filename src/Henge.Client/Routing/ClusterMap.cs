using Henge.Client.Settings;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Routing;

/// <summary>
/// What the client knows of the cluster at one moment, put together from what nodes have told. Nodes may tell in any order and may be
/// behind each other: of each shard the leader of the highest term counts, and of lists of nodes the one of the latest change. Immutable.
/// </summary>
internal sealed class ClusterMap
{
    private readonly Leadership[] _leaders;
    private readonly Dictionary<string, string> _byName;
    private readonly ulong _membersGeneration;

    private ClusterMap(Leadership[] leaders, string[] addresses, Dictionary<string, string> byName, ulong membersGeneration)
    {
        _leaders = leaders;
        _byName = byName;
        _membersGeneration = membersGeneration;
        Shards = leaders.Length == 0 ? null : new ShardMap(leaders.Length);
        Addresses = addresses;
    }

    /// <summary>Addresses of all nodes, in the cluster's order.</summary>
    public string[] Addresses { get; }

    /// <summary>How the cluster's keys are cut into shards; null when not known.</summary>
    public ShardMap? Shards { get; }

    /// <summary>True while answers have told of a leader that no topology has named yet.</summary>
    public bool IsAhead
    {
        get
        {
            foreach (Leadership leader in _leaders)
            {
                if (leader.IsHeard)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Nothing known but where to begin.</summary>
    public static ClusterMap Of(string[] addresses) => new([], addresses, [], 0);

    /// <summary>The address of the leader of a shard; null when not known.</summary>
    public string? LeaderOf(ShardId shard) => shard.Value < (uint)_leaders.Length ? _leaders[shard.Value].Address : null;

    /// <summary>The term of the leader of a shard; zero when not known.</summary>
    public ulong TermOf(ShardId shard) => shard.Value < (uint)_leaders.Length ? _leaders[shard.Value].Term : 0;

    /// <summary>
    /// The same with what a node says, the whole of it or what has changed, where that is newer. Addresses that make no sense are left out.
    /// </summary>
    public ClusterMap With(Wire.TopologyResponse topology)
    {
        Dictionary<string, string> byName = _byName;
        string[] addresses = Addresses;
        ulong membersGeneration = _membersGeneration;
        bool hasNodes = false;
        if (topology.Nodes.Count > 0 && topology.MembersGeneration >= membersGeneration)
        {
            Dictionary<string, string> told = NamesIn(topology);
            if (told.Count > 0)
            {
                hasNodes = true;
                byName = told;
                addresses = [.. told.Values.Distinct()];
                membersGeneration = topology.MembersGeneration;
            }
        }

        if (!hasNodes && _byName.Count == 0)
        {
            // Without addresses, names of leaders mean nothing.
            return this;
        }

        // A cluster keeps its count of shards; one that no cluster has would be an attack on our memory.
        int count = topology.ShardCount <= ShardMap.MaxShards ? (int)topology.ShardCount : 0;
        Leadership[] leaders = _leaders.Length > 0 ? (Leadership[])_leaders.Clone() : new Leadership[count];
        foreach (Wire.ShardInfo shard in topology.Shards)
        {
            if (shard.Shard < leaders.Length && count == leaders.Length)
            {
                ref Leadership leader = ref leaders[shard.Shard];
                leader = Newer(leader, shard);
            }
        }

        for (int s = 0; s < leaders.Length; s++)
        {
            // A leader keeps its name when its address changes; one that has left has none any more.
            if (leaders[s] is { Name: { } name } leader)
            {
                leaders[s] = leader with { Address = byName.GetValueOrDefault(name) };
            }
        }

        return new ClusterMap(leaders, addresses, byName, membersGeneration);
    }

    /// <summary>The same with another leader for a shard, of whom an answer has told.</summary>
    public ClusterMap With(ShardId shard, string? address, ulong term)
    {
        if (shard.Value >= (uint)_leaders.Length)
        {
            return this;
        }

        var leaders = (Leadership[])_leaders.Clone();
        leaders[shard.Value] = new Leadership(term, NameOf(address), address, IsHeard: term > 0 && address is not null);
        return new ClusterMap(leaders, Addresses, _byName, _membersGeneration);
    }

    private static Leadership Newer(Leadership known, Wire.ShardInfo told)
    {
        string? name = told.LeaderId.Length > 0 ? told.LeaderId : null;
        if (told.Term > known.Term)
        {
            return new Leadership(told.Term, name, null, IsHeard: false);
        }

        if (told.Term < known.Term)
        {
            return known;
        }

        // A term has one leader at most: whoever knows of none does not know better. Nodes without terms are taken as they come.
        return told.Term == 0 || name is not null ? new Leadership(told.Term, name, null, IsHeard: false) : known with { IsHeard = false };
    }

    private static Dictionary<string, string> NamesIn(Wire.TopologyResponse topology)
    {
        Dictionary<string, string> names = [];
        foreach (Wire.NodeInfo node in topology.Nodes)
        {
            if (PeerAddress.TryParse(node.Address, out string parsed))
            {
                names[node.NodeId] = parsed;
            }
        }

        return names;
    }

    private string? NameOf(string? address)
    {
        foreach ((string name, string known) in _byName)
        {
            if (known == address)
            {
                return name;
            }
        }

        return null;
    }
}
