using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Clusters;

public sealed class SingleNodeTests
{
    [Fact]
    public void A_cluster_of_one_leads_at_its_first_tick_and_serves()
    {
        var cluster = new ClusterHarness(1);
        cluster.RunUntilLed(20);
        HarnessNode node = cluster.Nodes[0];
        Assert.Null(cluster.Get(node, "a"));
        cluster.Put(node, "a", "1");
        Assert.Equal("1", cluster.Get(node, "a"));
        cluster.Put(node, "a", "2");
        Assert.Equal("2", cluster.Get(node, "a"));
    }

    [Theory]
    [InlineData(CrashMode.LoseAllUnsynced)]
    [InlineData(CrashMode.KeepAll)]
    [InlineData(CrashMode.LoseRandomPart)]
    public void What_was_acknowledged_is_there_after_a_crash(CrashMode mode)
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        for (int round = 0; round < 5; round++)
        {
            for (int i = 0; i < 50; i++)
            {
                cluster.Put(node, $"key{i}", $"{round}.{i}");
            }

            node.Crash(mode);
            node.Start();
            for (int i = 0; i < 50; i++)
            {
                Assert.Equal($"{round}.{i}", cluster.Get(node, $"key{i}"));
            }
        }
    }

    [Fact]
    public void Nothing_is_acknowledged_before_the_sync()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        cluster.RunUntilLed();
        cluster.Run(500);
        node.LogWriter.IsPaused = true;
        HarnessOperation put = HarnessOperation.Put("a", "1");
        node.Running.Submit(put);
        cluster.Run(1_000);
        Assert.False(put.IsDone);
        node.LogWriter.IsPaused = false;
        cluster.RunUntil(() => put.IsDone);
        Assert.Equal(ErrorCode.None, put.Error);
    }

    [Fact]
    public void A_node_that_was_stopped_goes_on()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        cluster.Put(node, "a", "1");
        node.Stop();
        node.Start();
        Assert.Equal("1", cluster.Get(node, "a"));
    }

    [Fact]
    public void Many_writes_that_wait_share_one_entry_for_each_shard_and_one_sync()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        cluster.RunUntilLed();
        cluster.Run(500);
        long syncs = node.Running.GetStatus().LogSyncs;
        HarnessOperation[] puts = [.. Enumerable.Range(0, 1000).Select(i => HarnessOperation.Put($"k{i}", "v"))];
        node.Running.Submit(puts);
        cluster.Settle();
        Assert.All(puts, p => Assert.True(p is { Completions: 1, Error: ErrorCode.None }, p.ToString()));
        Assert.InRange(node.Running.GetStatus().LogSyncs - syncs, 1, 2);
        Assert.Equal(
            puts.Length,
            puts.Select(static p => p.Version).Distinct().Count() + puts.Length - puts.GroupBy(static p => p.Version).Count());
    }

    [Fact]
    public void A_barrier_over_all_shards_gives_a_version_that_nothing_later_falls_below()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        cluster.Put(node, "a", "1");
        HarnessOperation barrier = cluster.Complete(node, HarnessOperation.Barrier());
        Assert.Equal(ErrorCode.None, barrier.Error);
        node.Time.SkewMs = -60_000;
        for (int i = 0; i < 20; i++)
        {
            HarnessOperation put = cluster.Complete(node, HarnessOperation.Put($"b{i}", "2"));
            Assert.True(put.Version > barrier.Version);
        }
    }

    [Fact]
    public void A_transaction_over_several_shards_is_refused_and_changes_nothing()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        cluster.RunUntilLed();
        foreach (bool alone in new[] { true, false })
        {
            var transaction = new TxnBuilder();
            string[] keys = [.. Enumerable.Range(0, 16).Select(static i => $"key{i}")];
            foreach (string key in keys)
            {
                transaction.Then.Add(HarnessOperation.Put(key, "x").Command.Span);
            }

            var command = new System.Buffers.ArrayBufferWriter<byte>();
            transaction.Encode(command);
            var operation = new HarnessOperation { Kind = OperationKind.Write, Key = "key0"u8.ToArray(), Command = command.WrittenMemory };
            HarnessOperation put = HarnessOperation.Put("beside", "y");
            if (alone)
            {
                node.Running.Submit(operation);
                node.Running.Submit(put);
            }
            else
            {
                node.Running.Submit([operation, put]);
            }

            cluster.RunUntil(() => operation.IsDone && put.IsDone);
            Assert.Equal((ErrorCode.CrossShard, 1), (operation.Error, operation.Completions));
            Assert.Contains("braces", operation.ErrorMessage);
            Assert.Equal(ErrorCode.None, put.Error);
            Assert.All(keys, key => Assert.Null(cluster.Get(node, key)));
        }
    }

    [Fact]
    public void A_small_log_that_holds_the_oldest_segment_is_written_again_at_the_end()
    {
        // An engine without durability lets no entry go, so only moving them can help.
        var cluster = new ClusterHarness(
            1,
            configure: static o =>
                o with
                {
                    LogSegmentBytes = 32 * 1024,
                    LogBudgetBytes = 64 * 1024,
                    Limits = new NodeLimits { CommandBytes = 8 * 1024 },
                },
            useMemoryEngine: true);
        HarnessNode node = cluster.Nodes[0];
        cluster.Run(1_000);
        for (int i = 0; i < 300; i++)
        {
            cluster.Put(node, $"k{i}", new string('v', 500));
        }

        cluster.Run(1_000);
        Replication.ShardReplica catalog = node.Running.Parts.Hosted[ShardId.Catalog];
        Assert.True(catalog.Shard.IsCatalog && catalog.Group.LastIndex > LogIndex.Zero);
        Assert.True(catalog.OldestLogSegment > node.Running.Parts.Log.FirstSegment, "the catalog's entries were not moved");
        node.Crash(CrashMode.LoseAllUnsynced);
        node.Start();
        for (int i = 0; i < 300; i++)
        {
            Assert.Equal(new string('v', 500), cluster.Get(node, $"k{i}"));
        }

        cluster.RunUntil(() => node.Running.Parts.Context.Incarnations.Of(node.Id) != 0);
        Assert.Null(node.FatalMessage);
    }
}
