using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Storage;

namespace Henge.Node.Tests.Clusters;

/// <summary>A cluster of more nodes than replicas: any node serves any key, whether it has the key's shard or not.</summary>
public sealed class RemoteTests
{
    private const int Shards = 8;
    private static readonly ShardMap Map = new(Shards);

    [Fact]
    public void Every_operation_works_from_every_node()
    {
        ClusterHarness cluster = Start();
        Assert.All(cluster.Nodes, static n => Assert.False(n.Running.HasAllShardsAt(default)));
        foreach (HarnessNode node in cluster.Nodes)
        {
            for (int i = 0; i < 16; i++)
            {
                cluster.Put(node, $"{node.Name}:{i}", $"value {i}");
            }
        }

        foreach (HarnessNode node in cluster.Nodes)
        {
            foreach (HarnessNode writer in cluster.Nodes)
            {
                for (int i = 0; i < 16; i++)
                {
                    Assert.Equal($"value {i}", cluster.Get(node, $"{writer.Name}:{i}"));
                }
            }

            Assert.Null(cluster.Get(node, "not there"));
            Assert.Equal(80, Scan(cluster, node).Count);
            Assert.Equal(Scan(cluster, node).Order(StringComparer.Ordinal), Scan(cluster, node));
            Assert.Equal(Scan(cluster, node).AsEnumerable().Reverse(), Scan(cluster, node, reverse: true));
            Assert.Equal(Scan(cluster, node), Scan(cluster, node, limitBytes: 60));
            Assert.Equal(Scan(cluster, node).AsEnumerable().Reverse(), Scan(cluster, node, reverse: true, limitBytes: 60));
        }

        HarnessOperation empty = cluster.Complete(cluster.Nodes[0], HarnessOperation.Put("empty", ""));
        Assert.Equal(ErrorCode.None, empty.Error);
        Assert.All(cluster.Nodes, n => Assert.Equal("", cluster.Get(n, "empty")));
        Assert.All(cluster.Nodes, static n => Assert.Null(n.FatalMessage));
    }

    [Fact]
    public void An_answer_says_where_the_leader_is_and_who_wants_the_leader_only_is_told()
    {
        ClusterHarness cluster = Start();
        string key = KeyOf(3);
        HarnessNode leader = cluster.LeaderOf(3)!, stranger = Stranger(cluster, 3);
        HarnessOperation put = cluster.Complete(stranger, HarnessOperation.Put(key, "v"));
        Assert.Equal((ErrorCode.None, AddressOf(leader)), (put.Error, put.LeaderHint));
        HarnessOperation get = cluster.Complete(stranger, HarnessOperation.Get(key));
        Assert.Equal((ErrorCode.None, AddressOf(leader)), (get.Error, get.LeaderHint));
        HarnessOperation only = cluster.Complete(stranger, HarnessOperation.Put(key, "w", leaderOnly: true));
        Assert.Equal((ErrorCode.NotLeader, AddressOf(leader)), (only.Error, only.LeaderHint));
        get = HarnessOperation.Get(key);
        get.LeaderOnly = true;
        cluster.Complete(stranger, get);
        Assert.Equal((ErrorCode.NotLeader, AddressOf(leader)), (get.Error, get.LeaderHint));
        Assert.Equal("v", cluster.Get(stranger, key));
        Assert.Equal(leader.Id, stranger.Running.GetTopology().Shards[3].Leader);
        Term term = leader.Running.GetTopology().Shards[3].Term;
        Assert.Equal([term, term, term], new[] { put.LeaderTerm, get.LeaderTerm, only.LeaderTerm });
    }

    [Fact]
    public void Reads_of_the_past_and_histories_come_from_other_nodes()
    {
        ClusterHarness cluster = Start();
        string key = KeyOf(5);
        HarnessNode stranger = Stranger(cluster, 5);
        var versions = new List<Core.Version>();
        for (int i = 0; i < 5; i++)
        {
            HarnessOperation put = cluster.Complete(stranger, HarnessOperation.Put(key, $"v{i}"));
            versions.Add(put.Version);
            cluster.Run(5);
        }

        for (int i = 0; i < 5; i++)
        {
            HarnessOperation get = HarnessOperation.Get(key);
            get.ReadVersion = versions[i];
            cluster.Complete(stranger, get);
            Assert.Equal(ErrorCode.None, get.Error);
            Assert.Equal($"v{i}", stranger.Read(get));
        }

        // A version of the future, and one that is long gone.
        HarnessOperation late = HarnessOperation.Get(key);
        late.ReadVersion = Core.Version.FromMilliseconds(versions[^1].Milliseconds + 3_600_000);
        Assert.Equal(ErrorCode.InvalidArgument, cluster.Complete(stranger, late).Error);

        Assert.Equal(["v4", "v3", "v2", "v1", "v0"], History(cluster, stranger, key, Core.Version.Max, 100, out ScanEnd end));
        Assert.True(end.Applied >= versions[^1] && !end.More);
        Assert.Equal(["v4", "v3"], History(cluster, stranger, key, Core.Version.Max, 2, out end));
        Assert.True(end.More);
        Assert.Equal(["v2", "v1", "v0"], History(cluster, stranger, key, versions[2], 100, out _));
    }

    [Fact]
    public void Stale_reads_are_served_while_the_shard_has_no_majority()
    {
        ClusterHarness cluster = Start();
        string key = KeyOf(2);
        HarnessNode stranger = Stranger(cluster, 2);
        cluster.Put(stranger, key, "v");
        cluster.Run(500);
        HarnessNode[] hosts = [.. cluster.Nodes.Where(static n => n.Hosts(2))];
        hosts[0].Crash();
        hosts[1].Crash();
        HarnessOperation get = HarnessOperation.Get(key);
        get.DeadlineMs = stranger.Running.MonotonicMs + 3_000;
        Assert.Equal(ErrorCode.Unavailable, cluster.Complete(stranger, get).Error);
        Assert.Equal("v", cluster.Get(stranger, key, ReadConsistency.Stale));
        HarnessOperation put = HarnessOperation.Put(key, "w");
        put.DeadlineMs = stranger.Running.MonotonicMs + 3_000;

        // It was sent to the leader of before, if that is where it went.
        Assert.Contains(cluster.Complete(stranger, put).Error, new[] { ErrorCode.Unavailable, ErrorCode.UnknownOutcome });
        hosts[0].Start();
        ((IPeerReceiver)stranger.Running).OnDisconnected(hosts[0].Id);
        cluster.Put(stranger, key, "x");
        Assert.Equal("x", cluster.Get(stranger, key));
    }

    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    [InlineData(3UL)]
    public void Operations_find_the_next_leader_when_one_is_lost(ulong seed)
    {
        ClusterHarness cluster = Start(seed);
        string key = KeyOf(6);
        HarnessNode stranger = Stranger(cluster, 6);
        cluster.Put(stranger, key, "before");
        HarnessNode leader = cluster.LeaderOf(6)!;
        HarnessOperation get = HarnessOperation.Get(key), put = HarnessOperation.Put(KeyOf(6, 1), "new"), scan = HarnessOperation.Barrier();
        leader.Crash();
        stranger.Running.Submit(get);
        stranger.Running.Submit(put);
        stranger.Running.Submit(scan);
        cluster.RunUntil(() => get.IsDone && put.IsDone && scan.IsDone, 15_000);
        Assert.Equal((ErrorCode.None, "before"), (get.Error, stranger.Read(get)));
        Assert.Equal(ErrorCode.None, scan.Error);
        Assert.Contains(put.Error, new[] { ErrorCode.None, ErrorCode.UnknownOutcome });
        Assert.Equal("before", cluster.Get(stranger, key));
        Assert.Contains(key, Scan(cluster, stranger));
    }

    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    public void Operations_get_through_a_network_that_loses_and_repeats_frames(ulong seed)
    {
        ClusterHarness cluster = Start(seed);
        cluster.Network.LossRate = 0.1;
        cluster.Network.RepeatRate = 0.1;
        for (int i = 0; i < 60; i++)
        {
            HarnessNode node = cluster.Nodes[i % 5];
            HarnessOperation put = cluster.Complete(node, HarnessOperation.Put($"k{i}", $"{i}"), 20_000);
            Assert.Contains(put.Error, new[] { ErrorCode.None, ErrorCode.UnknownOutcome });
            if (put.Error == ErrorCode.None)
            {
                Assert.Equal($"{i}", cluster.Get(cluster.Nodes[(i + 2) % 5], $"k{i}"));
            }
        }

        Assert.InRange(Scan(cluster, cluster.Nodes[0]).Count, 50, 60);
        Assert.All(cluster.Nodes, static n => Assert.Null(n.FatalMessage));
    }

    [Fact]
    public void A_node_that_lost_what_it_knew_asks_and_one_that_is_asked_in_error_says_where_the_shard_is()
    {
        ClusterHarness cluster = Start();
        HarnessNode stranger = Stranger(cluster, 4);

        // Nothing that tells it who leads comes to it, unless it asks.
        cluster.Network.Lose = (_, to, frame) => to == stranger.Id && IsOf(frame, PeerRecordKind.ShardNews) && frame.Length > 200;
        stranger.Crash();
        stranger.Start();
        cluster.Put(stranger, KeyOf(4), "v");
        Assert.Equal("v", cluster.Get(stranger, KeyOf(4)));

        // It takes a node for the leader that has no replica.
        cluster.Network.Lose = null;
        HarnessNode wrong = cluster.Nodes.First(n => !n.Hosts(4) && n != stranger);
        ShardPlace place = stranger.Running.Parts.Context.Directory.PlaceOf(new ShardId(4));
        HarnessOperation get = HarnessOperation.Get(KeyOf(4)), put = HarnessOperation.Put(KeyOf(4), "w");
        stranger.Running.Parts.Context.Directory.Publish(place with { Leader = wrong.Id });
        stranger.Running.Submit(put);
        cluster.RunUntil(() => put.IsDone);
        stranger.Running.Parts.Context.Directory.Publish(place with { Leader = wrong.Id });
        stranger.Running.Submit(get);
        cluster.RunUntil(() => get.IsDone);
        Assert.Equal((ErrorCode.None, ErrorCode.None, "w"), (put.Error, get.Error, stranger.Read(get)));
    }

    [Fact]
    public void A_pipeline_sees_what_it_has_written_to_a_shard_that_is_elsewhere()
    {
        ClusterHarness cluster = Start();
        HarnessNode stranger = Stranger(cluster, 1);
        var gets = new List<HarnessOperation>();
        for (int i = 0; i < 20; i++)
        {
            HarnessOperation put = HarnessOperation.Put(KeyOf(1), $"{i}"), get = HarnessOperation.Get(KeyOf(1));
            put.Pipeline = get.Pipeline = 7;
            stranger.Running.Submit(put);
            stranger.Running.Submit(get);
            gets.Add(get);
        }

        cluster.RunUntil(() => gets.TrueForAll(static g => g.IsDone));
        for (int i = 0; i < gets.Count; i++)
        {
            Assert.Equal(ErrorCode.None, gets[i].Error);
            Assert.True(int.Parse(stranger.Read(gets[i])!, System.Globalization.CultureInfo.InvariantCulture) >= i);
        }
    }

    [Fact]
    public void Large_values_and_many_of_them_cross_between_nodes()
    {
        ClusterHarness cluster = Start();
        string value = new('x', 50_000);
        HarnessNode stranger = Stranger(cluster, 0);
        for (int i = 0; i < 20; i++)
        {
            cluster.Put(stranger, KeyOf(0, i), value);
        }

        var gets = Enumerable.Range(0, 20).Select(static i => HarnessOperation.Get(KeyOf(0, i))).ToList();
        stranger.Running.Submit(gets.ToArray<Operation>());
        cluster.RunUntil(() => gets.TrueForAll(static g => g.IsDone));
        Assert.All(gets, g => Assert.Equal(value, stranger.Read(g)));
        Assert.Equal(20, Scan(cluster, stranger, limitBytes: 120_000).Count);
    }

    // A replica that has just begun may be behind the barrier, which asked another one.
    [Fact]
    public void A_page_is_not_read_from_a_replica_that_is_behind_its_version()
    {
        ClusterHarness cluster = Start(replicas: 5);
        HarnessNode leader = cluster.LeaderOf(0)!, behind = cluster.Nodes.First(n => n != leader);
        cluster.Put(leader, KeyOf(0), "old");
        cluster.Run(300);
        Assert.True(behind.Running.HasAllShardsAt(default));
        cluster.Network.Isolate(behind.Id, cluster.Nodes.Select(static n => n.Id));
        cluster.Put(cluster.Nodes.First(n => n != behind), KeyOf(0), "new");
        HarnessOperation barrier = cluster.Complete(cluster.Nodes.First(n => n != behind), HarnessOperation.Barrier());
        var query = new ScanQuery { Version = barrier.Version, LimitItems = 10, LimitBytes = 1 << 20 };
        var key = Encoding.UTF8.GetBytes(KeyOf(0));
        Assert.False(behind.Running.HasAllShardsAt(barrier.Version));
        foreach (PageFetch page in (PageFetch[])[PageFetch.OfScan(query), PageFetch.OfHistory(key, barrier.Version, 10, 1 << 20)])
        {
            HengeException e = Assert.Throws<HengeException>(() => behind.Running.ReadPage(page, new Collector()));
            Assert.Equal(ErrorCode.Unavailable, e.Code);
        }

        var found = new Collector();
        behind.Running.ReadPage(PageFetch.OfScan(query, isStale: true), found);
        Assert.Equal([KeyOf(0)], found.Keys);

        cluster.Network.Heal();
        cluster.RunUntil(() => behind.Running.HasAllShardsAt(barrier.Version));
        Assert.Equal(["new", "old"], History(cluster, behind, KeyOf(0), Core.Version.Max, 10, out _));
    }

    [Fact]
    public void A_node_that_stops_fails_what_it_has_asked_of_others()
    {
        ClusterHarness cluster = Start();
        HarnessNode stranger = Stranger(cluster, 0);
        cluster.Network.Isolate(stranger.Id, cluster.Nodes.Select(static n => n.Id));
        HarnessOperation get = HarnessOperation.Get(KeyOf(0)), put = HarnessOperation.Put(KeyOf(0), "v"), page = Page(new ScanQuery
        {
            Version = stranger.Running.Now,
            LimitItems = 10,
            LimitBytes = 1000,
        });
        stranger.Running.Submit(get);
        stranger.Running.Submit(put);
        stranger.Running.Submit(page);
        cluster.Run(50);
        stranger.Stop();
        Assert.Equal((ErrorCode.Stopping, ErrorCode.Stopping), (get.Error, page.Error));
        Assert.Contains(put.Error, new[] { ErrorCode.Stopping, ErrorCode.UnknownOutcome });
    }

    private static ClusterHarness Start(ulong seed = 1, int replicas = 3)
    {
        var cluster = new ClusterHarness(
            5,
            seed,
            o => o with { Shards = Shards, ReplicationFactor = replicas, MovesShards = false });
        cluster.RunUntilLed();
        cluster.Run(300);
        return cluster;
    }

    private static HarnessNode Stranger(ClusterHarness cluster, uint shard) => cluster.Nodes.First(n => !n.Hosts(shard));

    private static string? AddressOf(HarnessNode node) =>
        node.Running.GetTopology().Nodes.First(n => n.Id == node.Id).Address;

    private static string KeyOf(uint shard, int number = 0) =>
        Enumerable
            .Range(0, 100_000)
            .Select(static i => $"key{i}")
            .Where(k => Map.ShardOf(Encoding.UTF8.GetBytes(k)).Value == shard)
            .ElementAt(number);

    private static bool IsOf(byte[] frame, PeerRecordKind kind) =>
        frame.Length > PeerFrame.HeaderBytes && (PeerRecordKind)frame[PeerFrame.HeaderBytes] == kind;

    private static HarnessOperation Page(in ScanQuery query) => new() { Kind = OperationKind.Page, Page = PageFetch.OfScan(query) };

    private static List<string> Scan(ClusterHarness cluster, HarnessNode node, bool reverse = false, int limitBytes = 1 << 20)
    {
        HarnessOperation barrier = cluster.Complete(node, HarnessOperation.Barrier());
        Assert.True(barrier.Error == ErrorCode.None, barrier.ToString());
        var found = new Collector();
        var query = new ScanQuery { Version = barrier.Version, Reverse = reverse, LimitItems = 7, LimitBytes = limitBytes };
        while (true)
        {
            HarnessOperation page = cluster.Complete(node, Page(query));
            Assert.True(page.Error == ErrorCode.None, $"{page}: {page.ErrorMessage}");
            int before = found.Keys.Count;
            ScanEnd end = node.Running.ReadPage(page.Page!, found);
            Assert.Equal(end.Items, found.Keys.Count - before);
            Assert.True(end.Items > 0 || !end.More);
            if (!end.More)
            {
                return found.Keys;
            }

            query = reverse ? query with { Upper = end.NextKey } : query with { Lower = end.NextKey };
        }
    }

    private static List<string> History(
        ClusterHarness cluster,
        HarnessNode node,
        string key,
        Core.Version newest,
        int limit,
        out ScanEnd end)
    {
        var page = new HarnessOperation
        {
            Kind = OperationKind.Page,
            Page = PageFetch.OfHistory(Encoding.UTF8.GetBytes(key), newest, limit, 1 << 20),
        };
        Assert.Equal(ErrorCode.None, cluster.Complete(node, page).Error);
        var found = new Collector();
        end = node.Running.ReadPage(page.Page, found);
        return found.Values;
    }

    private sealed class Collector : IScanReceiver
    {
        public List<string> Keys { get; } = [];

        public List<string> Values { get; } = [];

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
        {
            Keys.Add(Encoding.UTF8.GetString(key));
            Values.Add(Encoding.UTF8.GetString(value));
        }
    }
}
