using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Replication;
using Henge.Node.StateMachine;
using Henge.Raft;
using Henge.Storage;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Clusters;

/// <summary>Replicas that come to nodes and go from them, on clusters with fewer replicas than nodes.</summary>
public sealed class MovingReplicaTests
{
    private const uint Shard = 0;

    [Fact]
    public void A_node_has_the_replicas_that_the_founding_placement_gives_it_and_no_others()
    {
        ClusterHarness cluster = Make();
        foreach (HarnessNode node in cluster.Nodes)
        {
            for (uint shard = 0; shard < 4; shard++)
            {
                bool isFounder = node.Running.Parts.Placement.ReplicasOf(new ShardId(shard)).Contains(node.Id);
                Assert.Equal(isFounder, node.Hosts(shard));
            }
        }

        Assert.Equal(3, cluster.Nodes.Count(static n => n.Hosts(Shard)));
        cluster.Run(2_000);
        Assert.Equal(3, cluster.Nodes.Count(static n => n.Hosts(Shard)));
        cluster.Put(cluster.LeaderOf(Shard)!, Key(0), "value");
    }

    [Fact]
    public void A_shard_moves_to_a_node_that_never_had_it_and_nothing_is_left_where_it_was()
    {
        ClusterHarness cluster = Make();
        Fill(cluster, 30);
        HarnessNode from = Follower(cluster);
        HarnessNode to = cluster.Nodes.First(static n => !n.Hosts(Shard));
        Move(cluster, from, to);
        AssertGone(from);
        Assert.True(to.HasTold(nameof(INodeEvents.ReplicaBegun), new ShardId(Shard)));
        cluster.RunUntil(() => HashesOf(cluster).Length == 1, what: "equal states");
        Assert.Equal(3, cluster.Nodes.Count(static n => n.Hosts(Shard)));

        // It stays gone over a restart, and the others go on.
        from.Crash(CrashMode.LoseAllUnsynced);
        from.Start();
        AssertGone(from);
        Fill(cluster, 5);
        Assert.Equal("v29", cluster.Get(to, Key(29)));
    }

    [Theory]
    [InlineData(CrashMode.LoseAllUnsynced, false)]
    [InlineData(CrashMode.KeepAll, false)]
    [InlineData(CrashMode.LoseAllUnsynced, true)]
    [InlineData(CrashMode.KeepAll, true)]
    [InlineData(CrashMode.LoseRandomPart, true)]
    public void A_drop_that_a_crash_breaks_off_is_begun_anew_or_finished(CrashMode mode, bool isLogged)
    {
        ClusterHarness cluster = Make();
        Fill(cluster, 30);
        HarnessNode from = Follower(cluster);
        Flush(from);
        Change(cluster, [.. Voters(cluster).Where(id => id != from.Id)], []);
        ulong term = 0;
        cluster.RunUntil(() =>
        {
            if (from.Hosts(Shard))
            {
                term = from.Replica(Shard).Group.Term.Value;
                return false;
            }

            return true;
        });

        // Here it was not to be seen in between. So it comes back, and goes once more, step by step.
        AssertGone(from);
        Change(cluster, Voters(cluster), [from.Id]);
        cluster.RunUntil(() => from.Hosts(Shard) && !from.Replica(Shard).Machine.IsWithheld);
        Assert.True(from.Replica(Shard).Group.Term.Value >= term, "the term was forgotten");
        Flush(from);
        from.LogWriter.IsPaused = true;
        Change(cluster, Voters(cluster), []);
        cluster.RunUntil(() => !from.Hosts(Shard), what: "the replica is about to go");
        Assert.True(HasState(from), "something was dropped before the tombstone was durable");
        if (isLogged)
        {
            from.Workers.IsPaused = true;
            from.LogWriter.IsPaused = false;
            while (from.LogWriter.RunOne())
            {
                // The tombstone is durable, and the worker does not know.
            }

            Assert.True(HasState(from));
        }

        from.Crash(mode);
        from.LogWriter.IsPaused = false;
        from.Workers.IsPaused = false;
        from.Start();
        if (!isLogged)
        {
            // As if nobody had told it yet.
            Assert.True(from.Hosts(Shard));
        }
        else
        {
            AssertGone(from);
        }

        cluster.RunUntil(() => !from.Hosts(Shard) && !HasState(from), 20_000, "the replica goes");
        Assert.Equal(2, cluster.Nodes.Count(static n => n.Hosts(Shard)));
        Fill(cluster, 3);
    }

    [Fact]
    public void Who_comes_back_after_a_drop_has_everything_again_and_served_nothing_before()
    {
        ClusterHarness cluster = Make();
        Fill(cluster, 30);
        HarnessNode node = Follower(cluster);
        Change(cluster, [.. Voters(cluster).Where(id => id != node.Id)], []);
        cluster.RunUntil(() => !node.Hosts(Shard) && !HasState(node));
        bool early = false;
        cluster.Network.Lose = (_, to, frame) => to == node.Id && early && Has(frame, PeerRecordKind.Raft, withEntries: true);
        early = true;
        Change(cluster, Voters(cluster), [node.Id]);
        cluster.RunUntil(() => node.Hosts(Shard), what: "it begins");
        HarnessOperation stale = cluster.Complete(node, HarnessOperation.Get(Key(1), ReadConsistency.Stale));
        Assert.True(node.Replica(Shard).Machine.IsWithheld);

        // By another node: its own replica serves nothing yet.
        Assert.Equal((ErrorCode.None, "v1"), (stale.Error, node.Read(stale)));

        early = false;
        cluster.Network.Lose = null;
        cluster.RunUntil(() => node.Hosts(Shard) && !node.Replica(Shard).Machine.IsWithheld, 20_000);
        for (int i = 0; i < 30; i++)
        {
            Assert.Equal($"v{i}", cluster.Get(node, Key(i)));
        }
    }

    [Fact]
    public void An_answer_of_before_a_node_was_taken_in_again_drops_nothing()
    {
        ClusterHarness cluster = Make();
        Fill(cluster, 10);
        HarnessNode node = Follower(cluster);
        cluster.Network.Hold = (_, to, frame) => to == node.Id && Has(frame, PeerRecordKind.MembershipAnswer);
        Change(cluster, [.. Voters(cluster).Where(id => id != node.Id)], []);
        cluster.RunUntil(() => cluster.Network.Held > 0, 10_000, "an answer is under way");
        Change(cluster, Voters(cluster), [node.Id]);
        cluster.RunUntil(() => node.Replica(Shard).Group.Membership.IsLearner(node.Id));
        LogIndex has = node.Replica(Shard).Group.LastIndex;
        cluster.Network.LetGo();
        cluster.Run(3_000);
        Assert.True(node.Hosts(Shard) && node.Replica(Shard).Group.LastIndex >= has);
        Assert.False(node.HasTold(nameof(INodeEvents.ReplicaDropped)));
        Change(cluster, [.. Voters(cluster), node.Id], []);
        Assert.Equal("v9", cluster.Get(node, Key(9)));
    }

    [Fact]
    public void A_shard_that_is_absent_does_not_begin_for_a_vote()
    {
        ClusterHarness cluster = Make();
        HarnessNode leader = cluster.LeaderOf(Shard)!;
        HarnessNode outside = cluster.Nodes.First(static n => !n.Hosts(Shard));
        var frame = new PeerFrameBuilder(leader.Running.Parts.Context.Sender, outside.Id);
        frame.BeginRecord(PeerRecordKind.Raft, new ShardId(Shard));
        RaftMessageCodec.Encode(
            new RequestVote
            {
                From = leader.Id,
                To = outside.Id,
                Term = new Term(99),
                LastIndex = new LogIndex(99),
                LastTerm = new Term(98),
            },
            frame);
        frame.EndRecord();
        outside.Deliver(frame.Complete(0).ToArray());
        cluster.Run(100);
        Assert.False(outside.Hosts(Shard));
    }

    [Fact]
    public void A_watch_on_a_replica_that_goes_goes_on()
    {
        ClusterHarness cluster = Make();
        Fill(cluster, 3);
        HarnessNode node = Follower(cluster);
        cluster.RunUntil(() => node.Running.ClusterId.Length > 0 && !node.Replica(Shard).AppliedVersion.IsZero);
        byte[] key = Encoding.UTF8.GetBytes(Key(0));
        using IWatch watch = node.Running.OpenWatch(new WatchQuery { Lower = key, Upper = (byte[])[.. key, 0] }, static () => { });
        Change(cluster, [.. Voters(cluster).Where(id => id != node.Id)], []);
        cluster.RunUntil(() => !node.Hosts(Shard));
        cluster.Put(cluster.LeaderOf(Shard)!, Key(0), "after");
        var events = new Events();
        cluster.RunUntil(() => watch.TryRead(events, 10, 1024) && events.Values.Count > 0, 20_000, "the event comes");
        Assert.Equal(["after"], events.Values);
    }

    private static ClusterHarness Make(NodeBugs bugs = NodeBugs.None)
    {
        var cluster = new ClusterHarness(
            5,
            configure: o => o with { ReplicationFactor = 3, BalanceIntervalMs = 0, MovesShards = false, Bugs = bugs });
        cluster.RunUntil(
            () => Enumerable.Range(0, 4).All(s => cluster.LeaderOf((uint)s)?.Replica((uint)s).Group.IsSureOfMembership ?? false),
            what: "leaders everywhere");
        return cluster;
    }

    private static string Key(int i)
    {
        var map = new ShardMap(4);
        return Enumerable.Range(0, 100_000)
            .Select(static n => $"key{n}")
            .Where(k => map.ShardOf(Encoding.UTF8.GetBytes(k)).Value == Shard)
            .ElementAt(i);
    }

    private static void Fill(ClusterHarness cluster, int keys)
    {
        for (int i = 0; i < keys; i++)
        {
            cluster.Put(cluster.LeaderOf(Shard)!, Key(i), $"v{i}");
        }
    }

    private static NodeId[] Voters(ClusterHarness cluster) => [.. cluster.LeaderOf(Shard)!.Replica(Shard).Group.Membership.Voters];

    [Theory]
    [InlineData(NodeBugs.None, "later")]
    [InlineData(NodeBugs.SendsApart, "earlier")]
    internal void A_write_that_is_handed_back_does_not_go_behind_one_that_a_replica_has_sent_meanwhile(NodeBugs bugs, string last)
    {
        ClusterHarness cluster = Make(bugs);
        HarnessOperation earlier = SendBeforeReplica(cluster, out HarnessNode giver);
        HandOver(cluster);
        HarnessOperation later = Submit(giver, "later");
        cluster.RunUntil(() => later.IsDone);
        Assert.Equal(ErrorCode.None, later.Error);
        Change(cluster, Voters(cluster), []);
        cluster.RunUntil(() => !giver.Hosts(Shard) && !HasState(giver), what: "the replica is gone");
        cluster.Network.LetGo();
        cluster.RunUntil(() => earlier.IsDone);
        Assert.Equal(bugs == NodeBugs.None ? ErrorCode.Unavailable : ErrorCode.None, earlier.Error);
        Assert.Equal(last, cluster.Get(giver, Key(0)));
    }

    [Fact]
    public void A_write_that_is_handed_back_goes_out_again_from_the_replica_that_has_come_meanwhile()
    {
        ClusterHarness cluster = Make();
        HarnessOperation put = SendBeforeReplica(cluster, out HarnessNode giver);
        HandOver(cluster);
        cluster.Network.LetGo();
        cluster.RunUntil(() => put.IsDone);
        Assert.Equal(ErrorCode.None, put.Error);
        Assert.Equal("earlier", cluster.Get(giver, Key(0)));
    }

    // A node without a replica has sent a write to the leader, and the frame is on its way; then the node gets a replica.
    private static HarnessOperation SendBeforeReplica(ClusterHarness cluster, out HarnessNode giver)
    {
        HarnessNode leader = cluster.LeaderOf(Shard)!, node = cluster.Nodes.First(static n => !n.Hosts(Shard));
        cluster.Network.Hold = (from, to, frame) => from == node.Id && to == leader.Id && Has(frame, PeerRecordKind.Forward);
        HarnessOperation put = Submit(node, "earlier");
        cluster.RunUntil(() => cluster.Network.Held > 0);
        Change(cluster, Voters(cluster), [node.Id]);
        cluster.RunUntil(() => node.Hosts(Shard) && node.Replica(Shard).Serves, what: "the new replica serves");
        giver = node;
        return put;
    }

    private static HarnessOperation Submit(HarnessNode node, string value)
    {
        HarnessOperation put = HarnessOperation.Put(Key(0), value);
        put.DeadlineMs = node.Running.MonotonicMs + 60_000;
        node.Running.Submit(put);
        return put;
    }

    private static void HandOver(ClusterHarness cluster)
    {
        HarnessNode leader = cluster.LeaderOf(Shard)!;
        NodeId to = Voters(cluster).First(v => v != leader.Id);
        leader.Running.TransferLeader(new ShardId(Shard), to);
        cluster.RunUntil(() => cluster.Nodes.Where(static n => n.Hosts(Shard)).All(n => n.Replica(Shard).Group.Leader == to));
    }

    private static HarnessNode Follower(ClusterHarness cluster) =>
        cluster.Nodes.First(n => n.Hosts(Shard) && n != cluster.LeaderOf(Shard));

    private static void Move(ClusterHarness cluster, HarnessNode from, HarnessNode to)
    {
        Change(cluster, Voters(cluster), [to.Id]);
        cluster.RunUntil(
            () => Ask(cluster, [.. Voters(cluster), to.Id], []) is MembershipStatus.Accepted or MembershipStatus.Unchanged,
            20_000,
            "it has caught up");
        cluster.RunUntil(() => cluster.LeaderOf(Shard) is { } l && l.Replica(Shard).Group.IsSureOfMembership);
        Change(cluster, [.. Voters(cluster).Where(id => id != from.Id)], []);
        cluster.RunUntil(() => !from.Hosts(Shard) && !HasState(from), 20_000, "it is gone");
    }

    private static void Change(ClusterHarness cluster, NodeId[] voters, NodeId[] learners)
    {
        cluster.RunUntil(() => Ask(cluster, voters, learners) is MembershipStatus.Accepted or MembershipStatus.Unchanged, 20_000);
        cluster.RunUntil(
            () => cluster.LeaderOf(Shard)?.Replica(Shard).Group is { IsSureOfMembership: true } group
                && group.Membership.Voters.SequenceEqual(voters.Order()) && group.Membership.Learners.SequenceEqual(learners.Order()),
            20_000,
            "the change is in force");
    }

    private static MembershipStatus? Ask(ClusterHarness cluster, NodeId[] voters, NodeId[] learners)
    {
        MembershipStatus? status = null;
        cluster.LeaderOf(Shard)?.Running.ChangeMembership(new ShardId(Shard), voters, learners, s => status = s);
        cluster.Settle();
        return status;
    }

    private static void Flush(HarnessNode node) => node.Running.Parts.Context.Engine.Flush();

    private static ulong[] HashesOf(ClusterHarness cluster) =>
        [.. cluster.Nodes.Where(static n => n.Hosts(Shard)).Select(static n => n.Replica(Shard).Machine.StateHash()).Distinct()];

    private static void AssertGone(HarnessNode node) => Assert.True(!node.Hosts(Shard) && !HasState(node), "something is left");

    private static bool HasState(HarnessNode node)
    {
        IStorageEngine engine = node.Running.Parts.Context.Engine;
        var shard = new ShardId(Shard);
        foreach (uint keyspace in (uint[])[SystemKeys.UserKeyspace(shard), SystemKeys.SystemKeyspace(shard)])
        {
            using EngineIterator entries = engine.CreateIterator(new IteratorOptions
            {
                Keyspace = keyspace,
                Point = new ReadPoint(Core.Version.Max, 0),
                AllVersions = true,
            });
            entries.SeekToFirst();
            if (entries.Valid)
            {
                return true;
            }
        }

        return engine.GetPosition(SystemKeys.Stream(shard)) != 0 || node.Files.FileExists(SnapshotFile.NameOf("/data/snapshots", shard));
    }

    private static bool Has(byte[] frame, PeerRecordKind kind, bool withEntries = false)
    {
        PeerRecordReader records = PeerFrame.ReadChecked(frame);
        while (records.MoveNext())
        {
            if (
                records.Kind == kind
                && records.Shard.Value == Shard
                && (!withEntries
                    || (RaftMessageCodec.TryDecode(records.Body, out RaftMessage? m, out _) && m is AppendEntries { Entries.Length: > 0 })))
            {
                return true;
            }
        }

        return false;
    }

    private sealed class Events : IWatchReceiver
    {
        public List<string> Values { get; } = [];

        public void OnEvent(in WatchEventView watchEvent) => Values.Add(Encoding.UTF8.GetString(watchEvent.Value));
    }
}
