using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;

namespace Henge.Node.Catalog;

/// <summary>
/// Who should vote in the catalog's group, and who only gets its log: every member gets it, a few of them vote, in as many zones as there
/// are. A function of what its leader knows; gives one change at a time.
/// </summary>
internal static class CatalogVoters
{
    /// <summary>Most voters.</summary>
    public const int Most = 5;

    private const ulong MaxLagEntries = 100;

    /// <summary>
    /// How many vote among so many members. An even number of more than two bears no more failures than one less.
    /// </summary>
    public static int WantedOf(int members) => members switch
    {
        <= 3 => members,
        4 => 3,
        _ => Most,
    };

    /// <summary>True when a peer has all but the latest of the catalog and is heard from, as its leader sees it.</summary>
    public static bool HasCaughtUp(ShardStatus status, NodeId id) =>
        id == status.Leader
        || status.Peers.Any(p =>
            p.Node == id && p.State == "Replicate" && p.Active && p.Match.Value + MaxLagEntries >= status.Committed.Value);

    /// <summary>The next change; null when there is none, or it cannot be made yet.</summary>
    /// <param name="status">The catalog's group as its leader sees it.</param>
    /// <param name="members">The members.</param>
    /// <param name="lost">Those that have been down for so long that they are replaced.</param>
    public static (IReadOnlyList<NodeId> Voters, IReadOnlyList<NodeId> Learners)? Next(
        ShardStatus status,
        MemberTable members,
        IReadOnlyCollection<NodeId> lost)
    {
        if (status.IsJoint || status.Voters.Count == 0)
        {
            return null;
        }

        // Whoever belongs to the cluster gets the log, and who has left does not. The table may be behind the group's membership, so one
        // that it does not know stays.
        List<NodeId> voters = [.. status.Voters];
        List<NodeId> learners = [.. status.Learners.Where(id => !members.HasLeft(id))];
        learners.AddRange(members.Current.Where(static m => !m.IsHearsay).Select(static m => m.Id).Except([.. voters, .. learners]));
        learners.Sort();
        if (!learners.SequenceEqual(status.Learners))
        {
            return (voters, learners);
        }

        var change = new Change(status, members, voters, learners);
        int wanted = WantedOf(members.Current.Count(static m => m.State is MemberState.Up or MemberState.Draining));

        // A voter that leaves, or has left, gives its vote to another member.
        NodeId going = voters.FirstOrDefault(id =>
            members.TryGet(id, out MemberInfo m) && m.State is MemberState.Leaving or MemberState.Left);
        if (!going.IsNone)
        {
            NodeId successor = change.Best(voters.Where(id => id != going));
            return !successor.IsNone || (voters.Count > wanted && voters.Count > 1) ? change.Swap(going, successor) : null;
        }

        // So does one that is drained, or lost, but only when another one takes its place: it may come back.
        NodeId absent = voters.FirstOrDefault(id =>
            lost.Contains(id) || (members.TryGet(id, out MemberInfo m) && m.State == MemberState.Draining));
        NodeId standIn = absent.IsNone ? NodeId.None : change.Best(voters.Where(id => id != absent));
        if (!standIn.IsNone)
        {
            return change.Swap(absent, standIn);
        }

        if (voters.Count < wanted)
        {
            return change.Raise(wanted);
        }

        if (voters.Count > wanted && wanted > 0)
        {
            // The one whose zone has most voters, and of those the last to come; never the leader.
            NodeId least = voters
                .Where(id => id != status.Leader)
                .OrderByDescending(change.VotersInZoneOf)
                .ThenByDescending(static id => id)
                .First();
            return change.Swap(least, NodeId.None);
        }

        // As many zones as there are: a member of one without a voter takes the place of one of two in the same zone.
        NodeId spare = voters.LastOrDefault(id => id != status.Leader && change.VotersInZoneOf(id) > 1);
        NodeId other = change.Candidates.FirstOrDefault(id => change.VotersInZoneOf(id) == 0);
        return spare.IsNone || other.IsNone ? null : change.Swap(spare, other);
    }

    private sealed class Change(ShardStatus status, MemberTable members, List<NodeId> voters, List<NodeId> learners)
    {
        /// <summary>Who could vote, the oldest first.</summary>
        public IReadOnlyList<NodeId> Candidates { get; } =
        [
            .. learners.Where(id => members.TryGet(id, out MemberInfo m) && m.State == MemberState.Up && HasCaughtUp(status, id)),
        ];

        public int VotersInZoneOf(NodeId id) => voters.Count(v => ZoneOf(v) == ZoneOf(id));

        /// <summary>The candidate whose zone has fewest of those who vote; the oldest of several.</summary>
        public NodeId Best(IEnumerable<NodeId> voting)
        {
            NodeId[] now = [.. voting];
            return Candidates.Except(now).OrderBy(id => now.Count(v => ZoneOf(v) == ZoneOf(id))).ThenBy(static id => id).FirstOrDefault();
        }

        public (IReadOnlyList<NodeId> Voters, IReadOnlyList<NodeId> Learners) Swap(NodeId going, NodeId coming)
        {
            IEnumerable<NodeId> rest = voters.Where(id => id != going), others = learners.Where(id => id != coming);
            return (
                [.. coming.IsNone ? rest : rest.Append(coming)],
                [.. members.HasLeft(going) ? others : others.Append(going)]);
        }

        public (IReadOnlyList<NodeId> Voters, IReadOnlyList<NodeId> Learners)? Raise(int wanted)
        {
            int risen = Math.Min(wanted - voters.Count, Candidates.Count);
            risen -= voters.Count + risen != wanted && (voters.Count + risen) % 2 == 0 ? 1 : 0;
            if (risen <= 0)
            {
                return null;
            }

            var more = new List<NodeId>(voters);
            for (int i = 0; i < risen; i++)
            {
                more.Add(Best(more));
            }

            return (more, [.. learners.Except(more)]);
        }

        private string ZoneOf(NodeId id) => members.TryGet(id, out MemberInfo member) ? member.Zone : "";
    }
}
