using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;

namespace Henge.Node.Opening;

/// <summary>
/// Who is in the cluster and where its shards are, as this node knows it. What is read of the shards is kept as long as it is true: a node
/// at rest looks at it several times a second, and doors ask for it. Thread-safe.
/// </summary>
internal sealed class TopologyReader(NodeContext context)
{
    private readonly NodeContext _context = context;
    private Known? _known;

    /// <summary>Reads it.</summary>
    /// <param name="epoch">
    /// Read before: what changes while the rest is read makes it out of date, and it is asked for again.
    /// </param>
    public Topology Read(ulong epoch)
    {
        Core.Version membersVersion = _context.Members.Version;
        var nodes = new List<NodeEntry>(_context.Members.Count);
        foreach (MemberInfo member in _context.Members.Current)
        {
            if (!member.IsHearsay)
            {
                nodes.Add(new NodeEntry(member.Id, member.Name, member.Address)
                {
                    State = member.State,
                    Zone = member.Zone,
                    Weight = member.Weight,
                });
            }
        }

        return new Topology
        {
            ClusterId = _context.Cluster.Id,
            Epoch = epoch,
            MembersVersion = membersVersion,
            Nodes = nodes,
            Shards = Shards(),
        };
    }

    private ShardPlacement[] Shards()
    {
        if (Volatile.Read(ref _known) is { } known && IsTrue(known))
        {
            return known.Shards;
        }

        int count = _context.Directory.Count;
        Known now = new(new ShardPlace[count], new bool[count], new ShardPlacement[count]);
        for (int s = 0; s < count; s++)
        {
            ShardPlace place = now.Places[s] = _context.Directory.PlaceOf(new ShardId((uint)s));
            bool isLost = now.AreLost[s] = IsLost(place);
            now.Shards[s] = new ShardPlacement(place.Shard, place.Voters, isLost ? NodeId.None : place.Leader, place.Term)
            {
                MembershipTerm = place.MembershipTerm,
                MembershipIndex = place.MembershipIndex.Value,
            };
        }

        Volatile.Write(ref _known, now);
        return now.Shards;
    }

    private bool IsTrue(Known known)
    {
        for (int s = 0; s < known.Places.Length; s++)
        {
            ShardPlace place = _context.Directory.PlaceOf(new ShardId((uint)s));
            if (!ReferenceEquals(place, known.Places[s]) || IsLost(place) != known.AreLost[s])
            {
                return false;
            }
        }

        return true;
    }

    // Of its own shards the node's replicas know better. A leader elsewhere that is not heard cannot be asked for anything.
    private bool IsLost(ShardPlace place) =>
        !place.Leader.IsNone && !place.Has(_context.Self) && _context.Near.IsSilent(place.Leader);

    // Nothing in it changes once it is published.
    private sealed record Known(ShardPlace[] Places, bool[] AreLost, ShardPlacement[] Shards);
}
