using Henge.Cluster.Steps;
using Henge.Core;

namespace Henge.Cluster.Tests.Steps;

/// <summary>Shards that follow targets which change, while members fail and come back.</summary>
public sealed class ShardStepModelTests
{
    private static readonly NodeId[] All = [.. Enumerable.Range(1, 9).Select(static n => new NodeId((ulong)n))];

    [Fact]
    public void A_shard_goes_from_target_to_target_and_a_majority_always_has_its_data()
    {
        for (int seed = 0; seed < 400; seed++)
        {
            Random random = new(seed);
            NodeId[] target = Target(random);
            ModelShard shard = new(random, target);
            for (int step = 0; step < 400; step++)
            {
                if (random.Next(40) == 0)
                {
                    target = Target(random);
                }

                Fail(shard, random);
                shard.Run();
                Assert.True(shard.IsSafe(), $"seed {seed} step {step}");
                if (shard.HasLeader && random.Next(3) == 0)
                {
                    // What is known of who is down may be old.
                    NodeId[] down = random.Next(2) == 0 ? [.. shard.Down] : [];
                    shard.Do(ShardStep.Next(shard.Look(down), target));
                    Assert.True(shard.IsSafe(), $"seed {seed} step {step}");
                }
            }

            shard.Down.Clear();
            ShardStep last = ShardStep.Next(shard.Look([]), target);
            for (int step = 0; step < 2_000 && (last.Kind != ShardStepKind.Done || shard.Leader != target[0]); step++)
            {
                shard.Run();
                if (shard.HasLeader)
                {
                    last = ShardStep.Next(shard.Look([]), target);
                    shard.Do(last);
                }
            }

            Assert.True(last.Kind == ShardStepKind.Done, $"seed {seed}: {last}");
            Assert.True(target.ToHashSet().SetEquals(shard.Voters), $"seed {seed}");
            Assert.Empty(shard.Learners);
            Assert.Equal(target[0], shard.Leader);
        }
    }

    // Any members fail, but of those who vote so many only that a majority is left.
    private static void Fail(ModelShard shard, Random random)
    {
        if (random.Next(6) == 0)
        {
            NodeId one = All[random.Next(All.Length)];
            if (!shard.Down.Remove(one))
            {
                shard.Down.Add(one);
                if (!shard.LiveMajority())
                {
                    shard.Down.Remove(one);
                }
            }
        }
    }

    private static NodeId[] Target(Random random)
    {
        NodeId[] all = [.. All];
        random.Shuffle(all);
        return all[..random.Next(1, 6)];
    }
}
