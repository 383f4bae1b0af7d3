using System.Numerics;
using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// Which replica of a shard a node asks for what any of them can answer: the nearest of those that it hears. Near is who stands in its own
/// zone, then who answers fastest, as the exchange of clocks measures it. Where that is about the same they are asked by turns, another one
/// first by each node. Thread-safe.
/// </summary>
internal sealed class NearReplicas(NodeContext node)
{
    /// <summary>All members ask each other for their clocks once a second: one that is silent for so long is down or cut off.</summary>
    public const long SilentMs = 3_000;

    private const ulong Silent = 1UL << 63, Elsewhere = 1UL << 62;
    private const int TimeShift = 32, TurnShift = 16;
    private const ulong IndexMask = 0xFFFF;

    /// <summary>
    /// The node to ask at an attempt, counted from 0: a farther one at each, then the nearest again. None: there is nobody.
    /// </summary>
    public NodeId Of(ShardPlace place, int attempt)
    {
        IReadOnlyList<NodeId> voters = place.Voters;
        Span<ulong> distances = stackalloc ulong[voters.Count];
        int others = 0;
        for (int i = 0; i < voters.Count; i++)
        {
            if (voters[i] != node.Self)
            {
                ulong count = (ulong)voters.Count, index = (ulong)i;
                ulong turn = (index + count - (node.Self.Value % count)) % count;
                distances[others++] = DistanceOf(voters[i]) | (turn << TurnShift) | index;
            }
        }

        if (others == 0)
        {
            return NodeId.None;
        }

        distances = distances[..others];
        distances.Sort();
        return voters[(int)(distances[attempt % others] & IndexMask)];
    }

    /// <summary>True when a member has not been heard of for longer than it can be while all is well.</summary>
    public bool IsSilent(NodeId member) => node.Heard.SilentForMs(member, node.MonotonicMs) >= SilentMs;

    private ulong DistanceOf(NodeId id)
    {
        PeerClock clock = node.Clock.Of(id);

        // Measured to a millisecond; by powers of two, so that what varies a little counts as the same.
        ulong times = clock.IsKnown ? (ulong)BitOperations.Log2((ulong)Math.Max(1, clock.UncertaintyMs)) : 64;
        return (IsSilent(id) ? Silent : 0) | (ZoneOf(id) == ZoneOf(node.Self) ? 0 : Elsewhere) | (times << TimeShift);
    }

    private string ZoneOf(NodeId id) => node.Members.TryGet(id, out MemberInfo member) ? member.Zone : "";
}
