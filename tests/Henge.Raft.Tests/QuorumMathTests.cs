using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>Majorities against a model that simply counts.</summary>
public sealed class QuorumMathTests
{
    private static Membership Random(SplitMix64Random random)
    {
        List<NodeId> Some(int bound) =>
            [
                .. Enumerable
                    .Range(1, 7)
                    .Select(static i => new NodeId((ulong)i))
                    .OrderBy(_ => random.NextUInt64())
                    .Take((int)(random.NextUInt64() % (ulong)bound)),
            ];
        List<NodeId> voters = Some(7);
        return new Membership(voters.Count == 0 ? [new NodeId(1)] : voters, null, random.NextUInt64() % 2 == 0 ? null : Some(6));
    }

    [Fact]
    public void The_index_that_a_majority_has_reached_is_the_highest_that_a_count_confirms()
    {
        SplitMix64Random random = new(3);
        for (int i = 0; i < 5_000; i++)
        {
            Membership membership = Random(random);
            Dictionary<NodeId, ulong> match = membership.Members.ToDictionary(static id => id, _ => random.NextUInt64() % 6);
            bool Agreed(IReadOnlyList<NodeId> voters, ulong index) =>
                voters.Count == 0 || voters.Count(id => match[id] >= index) > voters.Count / 2;
            ulong expected = 0;
            for (ulong index = 1; index <= 6; index++)
            {
                if (Agreed(membership.Voters, index) && Agreed(membership.OutgoingVoters, index))
                {
                    expected = index;
                }
            }

            Assert.Equal(expected, QuorumMath.Reached(membership, match, static (m, id) => m[id]));
        }
    }

    [Fact]
    public void A_vote_is_won_with_both_majorities_lost_when_one_cannot_be_reached_and_open_otherwise()
    {
        SplitMix64Random random = new(4);
        for (int i = 0; i < 5_000; i++)
        {
            Membership membership = Random(random);
            Dictionary<NodeId, bool?> votes = membership.Members.ToDictionary(
                static id => id,
                _ =>
                    (random.NextUInt64() % 3) switch
                    {
                        0 => true,
                        1 => (bool?)false,
                        _ => null,
                    });
            bool Majority(IReadOnlyList<NodeId> voters, Func<NodeId, bool> says) =>
                voters.Count == 0 || voters.Count(says) > voters.Count / 2;
            bool won = Majority(membership.Voters, id => votes[id] == true) && Majority(membership.OutgoingVoters, id => votes[id] == true);
            bool possible =
                Majority(membership.Voters, id => votes[id] != false) && Majority(membership.OutgoingVoters, id => votes[id] != false);
            Assert.Equal(
                won ? VoteOutcome.Won
                    : possible ? VoteOutcome.Pending
                    : VoteOutcome.Lost,
                QuorumMath.Outcome(membership, votes, static (v, id) => v[id]));
        }
    }
}
