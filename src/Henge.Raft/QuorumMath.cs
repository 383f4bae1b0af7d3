using Henge.Core;

namespace Henge.Raft;

/// <summary>How a vote stands.</summary>
internal enum VoteOutcome : byte
{
    /// <summary>Neither won nor lost yet.</summary>
    Pending,
    /// <summary>A majority (of both memberships, when joint) said yes.</summary>
    Won,
    /// <summary>A majority can no longer be reached.</summary>
    Lost,
}

/// <summary>
/// What majorities say. In joint membership both majorities must agree (Raft paper, section 6), so a count is the smaller of the two and a
/// vote is won only when it is won in both. An empty set of voters agrees with everything, and so never hinders the other.
/// </summary>
internal static class QuorumMath
{
    /// <summary>The number that a majority has reached: each voter's number comes from <paramref name="valueOf"/>.</summary>
    public static ulong Reached<TState>(
        Membership membership,
        TState state,
        Func<TState, NodeId, ulong> valueOf,
        bool ignoreOutgoing = false)
    {
        ulong incoming = Reached(membership.VotersSpan, state, valueOf);
        if (!membership.IsJoint || ignoreOutgoing)
        {
            return incoming;
        }

        return Math.Min(incoming, Reached(membership.OutgoingSpan, state, valueOf));
    }

    /// <summary>How a vote stands: yes, no, or null for no answer yet.</summary>
    public static VoteOutcome Outcome<TState>(
        Membership membership,
        TState state,
        Func<TState, NodeId, bool?> voteOf,
        bool ignoreOutgoing = false)
    {
        VoteOutcome incoming = Outcome(membership.VotersSpan, state, voteOf);
        if (!membership.IsJoint || ignoreOutgoing)
        {
            return incoming;
        }

        VoteOutcome outgoing = Outcome(membership.OutgoingSpan, state, voteOf);
        if (incoming == VoteOutcome.Lost || outgoing == VoteOutcome.Lost)
        {
            return VoteOutcome.Lost;
        }

        return incoming == VoteOutcome.Won && outgoing == VoteOutcome.Won ? VoteOutcome.Won : VoteOutcome.Pending;
    }

    private static ulong Reached<TState>(ReadOnlySpan<NodeId> voters, TState state, Func<TState, NodeId, ulong> valueOf)
    {
        if (voters.IsEmpty)
        {
            return ulong.MaxValue;
        }

        // Groups are small: a handful of numbers, sorted on the stack.
        Span<ulong> values = voters.Length <= 16 ? stackalloc ulong[voters.Length] : new ulong[voters.Length];
        for (int i = 0; i < voters.Length; i++)
        {
            values[i] = valueOf(state, voters[i]);
        }

        values.Sort();
        // Ascending: the majority-th from the top.
        return values[(values.Length - 1) / 2];
    }

    private static VoteOutcome Outcome<TState>(ReadOnlySpan<NodeId> voters, TState state, Func<TState, NodeId, bool?> voteOf)
    {
        int yes = 0;
        int no = 0;
        foreach (NodeId id in voters)
        {
            bool? vote = voteOf(state, id);
            if (vote == true)
            {
                yes++;
            }
            else if (vote == false)
            {
                no++;
            }
        }

        int majority = (voters.Length / 2) + 1;
        if (yes >= majority || voters.IsEmpty)
        {
            return VoteOutcome.Won;
        }

        return voters.Length - no < majority ? VoteOutcome.Lost : VoteOutcome.Pending;
    }
}
