using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Tests.Clusters;
using Henge.Node.Watch;

namespace Henge.Node.Tests.Subscriptions;

/// <summary>
/// Watches over shards that the node does not carry: here it only acts as if it did not, so that what it has can be compared.
/// </summary>
public sealed class RemoteWatchTests
{
    private readonly ClusterHarness _cluster = NewCluster();

    [Fact]
    public void Every_write_after_the_opening_is_seen_once()
    {
        _cluster.Put(_cluster.Nodes[0], "before", "0");
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[1]);
        Assert.False(watch.Watch.TryOpen());
        Assert.Throws<InvalidOperationException>(() => watch.Watch.ResumeToken);
        watch.Opened();
        Fill(0, 40);
        watch.ReadUntil(40);
        watch.AssertNothingMore(40);
        Assert.All(watch.Seen, static e => Assert.StartsWith("Put key", e.Text, StringComparison.Ordinal));
    }

    [Fact]
    public void A_token_goes_on_at_any_node_with_any_mixture_of_own_and_remote_shards()
    {
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[1], hidden: static s => s.Value % 2 == 0);
        watch.Opened();
        Fill(0, 20);
        watch.ReadUntil(20);
        Fill(20, 20);
        foreach (HarnessNode node in _cluster.Nodes)
        {
            using var resumed = new RemoteWatchHarness(
                _cluster, node, new WatchQuery { Resume = watch.Token }, hidden: s => s.Value % 2 != node.Id.Value % 2, readItems: 1);
            resumed.ReadUntil(20);
            resumed.AssertNothingMore(20);
        }

        watch.ReadUntil(40);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void Frames_that_are_lost_repeated_and_late_leave_no_gap_and_no_repetition(ulong seed)
    {
        ClusterHarness cluster = NewCluster(seed);
        cluster.Network.LossRate = 0.05;
        cluster.Network.RepeatRate = 0.2;
        cluster.Network.DelayMaxMs = 15;
        using var watch = new RemoteWatchHarness(
            cluster, cluster.Nodes[2], new WatchQuery { PreviousValues = true }, hidden: s => s.Value != seed % 4, readItems: 3);
        watch.Opened();
        var writes = new List<HarnessOperation>();
        for (int i = 0; i < 150; i++)
        {
            HarnessOperation put = HarnessOperation.Put($"key{i % 15}", $"{i}");
            writes.Add(put);
            cluster.Nodes[i % 3].Running.Submit(put);
            cluster.Run(7);
            watch.Read();
        }

        cluster.RunUntil(() => writes.TrueForAll(static w => w.IsDone), limitMs: 20_000);
        cluster.Network.LossRate = cluster.Network.RepeatRate = 0;
        AssertSameAsHistory(cluster, watch);
    }

    [Fact]
    public void When_the_node_that_serves_dies_another_one_goes_on()
    {
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[0]);
        watch.Opened();
        for (int round = 0; round < 4; round++)
        {
            HarnessNode victim = _cluster.Nodes[1 + (round % 2)];
            Fill(round * 20, 10);
            _cluster.Run(30);
            victim.Crash();
            _cluster.RunUntilLed(20_000);
            Fill((round * 20) + 10, 10);
            watch.ReadUntil((round + 1) * 20);
            victim.Start();
            _cluster.RunUntilLed(20_000);
        }

        watch.AssertNothingMore(80);
    }

    [Fact]
    public void A_node_that_was_started_anew_does_not_serve_what_it_served_before()
    {
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[0]);
        watch.Opened();
        _cluster.Network.Isolate(_cluster.Nodes[2].Id, [_cluster.Nodes[0].Id]);
        _cluster.Run(5_000);
        Assert.True(PartsOf(1).Subscriptions.Served.Count > 0);
        _cluster.Nodes[1].Crash();
        _cluster.Nodes[1].Start();
        _cluster.Network.Heal();
        _cluster.RunUntilLed(20_000);
        Fill(0, 20);
        watch.ReadUntil(20);
        watch.AssertNothingMore(20);
    }

    [Fact]
    public void A_shard_that_is_let_go_comes_from_elsewhere_and_the_watch_does_not_notice()
    {
        HarnessNode node = _cluster.Nodes[1];
        uint gone = 0;
        using var watch = new RemoteWatchHarness(_cluster, node, hidden: s => s.Value < gone);
        Assert.True(watch.Watch.TryOpen());
        Fill(0, 40);
        Assert.True(watch.Watch.TryRead(watch, 3, 1 << 20));
        for (uint shard = 0; shard < 4; shard++)
        {
            gone = shard + 1;
            Assert.True(watch.Watch.TryLeave(new ShardId(shard)));
            Fill(40 + (int)(shard * 10), 10);
        }

        Assert.False(watch.Watch.TryLeave(new ShardId(0)));
        using var all = new RemoteWatchHarness(_cluster, node, new WatchQuery { Start = StartOfTest }, hidden: static _ => false);
        all.ReadUntil(80);
        watch.ReadUntil(77);
        watch.AssertNothingMore(77);
    }

    [Fact]
    public void A_shard_that_comes_to_the_node_is_taken_home()
    {
        bool hides = true;
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[1], hidden: s => hides && s.Value != 3).Opened();
        Fill(0, 20);
        watch.ReadUntil(20);
        Assert.InRange(PartsOf(1).Subscriptions.Remote.Count, 1, 3);
        Fill(20, 10);
        hides = false;
        watch.ReadUntil(30);
        Fill(30, 10);
        watch.ReadUntil(40);
        Assert.Equal(0, PartsOf(1).Subscriptions.Remote.Count);
        watch.AssertNothingMore(40);
    }

    [Fact]
    public void A_hub_that_is_closed_hands_its_readers_on()
    {
        HarnessNode node = _cluster.Nodes[1];
        using var watch = new RemoteWatchHarness(_cluster, node, hidden: static _ => false);
        Fill(0, 20);
        watch.ReadUntil(10);
        int calls = watch.Calls;
        for (uint shard = 0; shard < 4; shard++)
        {
            ((WatchHub)node.Replica(shard).Machine.Feed).Close();
        }

        Fill(20, 20);
        watch.ReadUntil(40);
        watch.AssertNothingMore(40);
        Assert.True(watch.Calls > calls);
    }

    [Fact]
    public void A_hub_that_is_closed_while_history_is_read_hands_its_reader_on()
    {
        HarnessNode node = _cluster.Nodes[1];
        Fill(0, 60);
        using var watch = new RemoteWatchHarness(
            _cluster, node, new WatchQuery { Start = StartOfTest }, hidden: static _ => false, readItems: 2);
        watch.Watch.TryRead(watch, 2, 1 << 20);
        for (uint shard = 0; shard < 4; shard++)
        {
            ((WatchHub)node.Replica(shard).Machine.Feed).Close();
        }

        watch.ReadUntil(58);
        watch.AssertNothingMore(58);
    }

    [Fact]
    public void Transactions_come_whole_and_in_one_read()
    {
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[1], new WatchQuery { PreviousValues = true }, readItems: 1);
        watch.Opened();
        for (int i = 0; i < 10; i++)
        {
            Transact([.. Enumerable.Range(0, 5).Select(k => $"{{t{i % 3}}}{k}")], $"{i}");
        }

        var sizes = new List<int>();
        _cluster.RunUntil(() =>
        {
            int before = watch.Seen.Count;
            watch.ReadItems = 1;
            watch.Read();
            sizes.Add(watch.Seen.Count - before);
            return watch.Seen.Count == 50;
        });

        // Transactions on several shards may have the same version.
        Assert.Equal(50, watch.Seen.Count);
        for (int i = 0; i < 50; i += 5)
        {
            Assert.Single(watch.Seen.Slice(i, 5).Select(static s => (s.Version, s.Key[..4])).Distinct());
        }

        Assert.Contains("Put {t0}0=9 was 6", watch.Seen.Select(static s => s.Text));
    }

    [Fact]
    public void Deletions_expiries_and_values_by_reference_come_as_they_are()
    {
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[1], new WatchQuery { PreviousValues = true });
        using var own = new RemoteWatchHarness(_cluster, _cluster.Nodes[1], new WatchQuery { PreviousValues = true }, static _ => false);
        watch.Opened();
        _cluster.Put(_cluster.Nodes[0], "a", new string('x', 20_000));
        _cluster.Complete(_cluster.Nodes[0], HarnessOperation.Delete("a"));
        _cluster.Complete(_cluster.Nodes[0], HarnessOperation.PutFor("b", "soon gone", 100));
        own.ReadUntil(4);
        watch.ReadUntil(4);
        Assert.Equal(own.Seen.Order(), watch.Seen.Order());
        Assert.Contains("Expired b= was soon gone", watch.Seen.Select(static s => s.Text));
    }

    [Fact]
    public void Marks_rise_over_own_and_remote_shards_and_never_pass_an_event()
    {
        using var watch = new RemoteWatchHarness(
            _cluster, _cluster.Nodes[1], new WatchQuery { Progress = true }, hidden: static s => s.Value < 2);
        watch.Opened();
        for (int i = 0; i < 30; i++)
        {
            Fill(i * 4, 4);
            _cluster.Run(100);
            int marks = watch.Marks.Count;
            int seen = watch.Seen.Count;
            watch.Read();
            if (marks > 0)
            {
                Assert.All(watch.Seen.Skip(seen), e => Assert.True(e.Version > watch.Marks[marks - 1]));
            }
        }

        watch.ReadUntil(120);
        Assert.True(watch.Marks.Count >= 2);
        Assert.Equal(watch.Marks.Order(), watch.Marks);
    }

    [Fact]
    public void A_watch_that_nobody_serves_is_refused_in_time()
    {
        _cluster.Network.Isolate(_cluster.Nodes[1].Id, _cluster.Nodes.Select(static n => n.Id));
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[1]);
        HengeException? error = null;
        _cluster.RunUntil(() =>
        {
            error = Record.Exception(() => watch.Watch.TryOpen()) as HengeException;
            return error is not null;
        }, limitMs: 6_000);
        Assert.Equal(ErrorCode.Unavailable, error!.Code);
        Assert.True(watch.Calls > 0);
    }

    [Fact]
    public void Events_that_nobody_has_any_more_are_said_to_be_gone()
    {
        ClusterHarness cluster = NewCluster(configure: static o => o with { HistoryMs = 0 });
        Core.Version start = cluster.Nodes[0].Running.Now;
        for (int i = 0; i < 20; i++)
        {
            cluster.Put(cluster.Nodes[0], $"key{i}", "v");
        }

        cluster.RunUntil(
            () =>
            {
                foreach (int key in Enumerable.Range(0, 20))
                {
                    cluster.Put(cluster.Nodes[0], $"key{key}", "w");
                }

                return cluster.Nodes.All(n => n.Running.OldestVersion > start);
            },
            limitMs: 60_000);
        using var watch = new RemoteWatchHarness(cluster, cluster.Nodes[1], new WatchQuery { Start = start });
        HengeException? error = null;
        cluster.RunUntil(() =>
        {
            error = Record.Exception(() => watch.Watch.TryOpen()) as HengeException;
            return error is not null;
        });
        Assert.Equal(ErrorCode.HistoryGone, error!.Code);
    }

    [Fact]
    public void A_slow_watcher_takes_bounded_memory_here_and_holds_nothing_there()
    {
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[1]);
        watch.Opened();
        string value = new('v', 15_000);
        for (int i = 0; i < 150; i++)
        {
            _cluster.Put(_cluster.Nodes[0], $"key{i}", value);
        }

        _cluster.Run(5_000);
        long window = WatchOptions.Default.RemoteWindowBytes;
        Assert.InRange(PartsOf(1).Subscriptions.Remote.WaitingBytes, 1, 4 * (window + 20_000));
        watch.ReadUntil(150);
        watch.AssertNothingMore(150);
        Assert.Equal(0, PartsOf(1).Subscriptions.Remote.WaitingBytes);
    }

    [Fact]
    public void Nothing_is_left_of_a_watch_that_has_ended_or_whose_node_is_gone()
    {
        for (int i = 0; i < 10; i++)
        {
            new RemoteWatchHarness(_cluster, _cluster.Nodes[0]).Opened().Dispose();
        }

        _cluster.Run(10);
        Assert.Equal(0, PartsOf(0).Subscriptions.Remote.Count);
        Assert.Equal(0, _cluster.Nodes.Sum(n => n.Running.Parts.Subscriptions.Served.Count));
        for (int i = 0; i < 10; i++)
        {
            new RemoteWatchHarness(_cluster, _cluster.Nodes[0]).Opened();
        }

        Assert.True(_cluster.Nodes.Sum(n => n.Running.Parts.Subscriptions.Served.Count) >= 10);
        _cluster.Nodes[0].Crash();
        _cluster.Run(5_000);
        Assert.Equal(0, _cluster.Running.Sum(n => n.Running.Parts.Subscriptions.Served.Count));
    }

    [Fact]
    public void A_node_stops_while_it_serves()
    {
        using var watch = new RemoteWatchHarness(_cluster, _cluster.Nodes[0]);
        watch.Opened();
        Fill(0, 10);
        _cluster.Nodes[1].Stop();
        _cluster.RunUntilLed(20_000);
        Fill(10, 10);
        watch.ReadUntil(20);
        watch.AssertNothingMore(20);
    }

    private static Core.Version StartOfTest => Core.Version.FromTime(new DateTimeOffset(2026, 6, 1, 0, 0, 0, TimeSpan.Zero));

    private static ClusterHarness NewCluster(ulong seed = 1, Func<NodeOptions, NodeOptions>? configure = null)
    {
        var cluster = new ClusterHarness(3, seed, configure);
        cluster.RunUntilLed();
        cluster.RunUntil(() => cluster.Nodes.All(static node =>
            node.Running.ClusterId.Length > 0 && Enumerable.Range(0, 4).All(shard => !node.Replica((uint)shard).AppliedVersion.IsZero)));
        return cluster;
    }

    // What a watch of a whole replica sees from the watch's first event on.
    private static void AssertSameAsHistory(ClusterHarness cluster, RemoteWatchHarness watch)
    {
        cluster.RunUntilLed(20_000);
        using var all = new RemoteWatchHarness(
            cluster, cluster.Nodes[0], new WatchQuery { Start = StartOfTest, PreviousValues = true }, hidden: static _ => false);
        cluster.Run(500);
        all.Read();
        watch.ReadUntil(all.Seen.Count);
        watch.AssertNothingMore(all.Seen.Count);
        Assert.Equal(all.Seen.Order(), watch.Seen.Order());
    }

    private Henge.Node.Opening.NodeParts PartsOf(int node) => _cluster.Nodes[node].Running.Parts;

    private void Fill(int from, int count)
    {
        for (int i = from; i < from + count; i++)
        {
            _cluster.Put(_cluster.Running.First(), $"key{i}", $"{i}");
        }
    }

    private void Transact(string[] keys, string value)
    {
        var builder = new TxnBuilder();
        foreach (string key in keys)
        {
            builder.Then.Add(HarnessOperation.Put(key, value).Command.Span);
        }

        var writer = new ArrayBufferWriter<byte>();
        builder.Encode(writer);
        var operation = new HarnessOperation
        {
            Kind = OperationKind.Write,
            Key = Encoding.UTF8.GetBytes(keys[0]),
            Command = writer.WrittenMemory,
        };
        Assert.Equal(ErrorCode.None, _cluster.Complete(_cluster.Nodes[0], operation).Error);
    }
}
