using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Tests.Clusters;

/// <summary>Writes that were given to one node take effect in the order in which they were given.</summary>
public sealed class OrderTests
{
    private const string Key = "ordered";
    private static readonly uint Shard = new ShardMap(4).ShardOf("ordered"u8).Value;

    [Fact]
    public void Writes_that_a_leader_had_under_way_when_it_was_replaced_stay_in_front_of_those_that_came_later()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode old = cluster.LeaderOf(Shard)!;
        cluster.Network.Isolate(old.Id, cluster.Nodes.Select(static n => n.Id));
        List<HarnessOperation> puts = [];
        for (int i = 0; i < 5; i++)
        {
            puts.Add(Submit(cluster, old, i));
            cluster.Settle();
        }

        cluster.RunUntil(() => cluster.Nodes.Any(n => n != old && n.Replica(Shard).Group.Role == Henge.Raft.RaftRole.Leader));
        puts.Add(Submit(cluster, old, 5));
        cluster.Run(50);
        cluster.Network.Heal();
        puts.Add(Submit(cluster, old, 6));
        cluster.RunUntil(() => puts.TrueForAll(static p => p.IsDone));
        Assert.All(puts, static p => Assert.Equal(ErrorCode.None, p.Error));
        Assert.Equal(puts.Select(static p => p.Version).Order(), puts.Select(static p => p.Version));
        Assert.Equal("6", cluster.Get(old, Key));
    }

    [Theory]
    [InlineData(NodeBugs.None, "1")]
    [InlineData(NodeBugs.TakeForwardsOfAnyTerm, "0")]
    internal void A_write_that_was_sent_to_the_leader_of_an_earlier_term_does_not_come_behind_a_later_one(NodeBugs bugs, string last)
    {
        var cluster = new ClusterHarness(3, configure: o => o with { Bugs = bugs, BalanceIntervalMs = 0 });
        cluster.RunUntilLed();
        HarnessNode leader = cluster.LeaderOf(Shard)!;
        HarnessNode[] others = [.. cluster.Nodes.Where(n => n != leader)];
        HarnessNode giver = others[0], other = others[1];
        cluster.Network.Hold = (from, to, frame) => from == giver.Id && to == leader.Id && HasForward(frame);
        HarnessOperation first = Submit(cluster, giver, 0);
        cluster.RunUntil(() => cluster.Network.Held > 0);
        HandOver(cluster, leader, other);
        HarnessOperation second = Submit(cluster, giver, 1);
        cluster.RunUntil(() => second.IsDone);
        Assert.Equal(ErrorCode.None, second.Error);
        HandOver(cluster, other, leader);
        cluster.Network.LetGo();
        cluster.RunUntil(() => first.IsDone);
        Assert.Equal(bugs == NodeBugs.None ? ErrorCode.Unavailable : ErrorCode.None, first.Error);
        Assert.Equal(last, cluster.Get(giver, Key));
    }

    [Fact]
    public void A_forwarded_write_that_a_later_one_has_overtaken_is_refused()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode leader = cluster.LeaderOf(Shard)!;
        HarnessNode giver = cluster.Nodes.First(n => n != leader);
        cluster.Network.Hold = (from, to, frame) => from == giver.Id && to == leader.Id && HasForward(frame) && cluster.Network.Held == 0;
        HarnessOperation first = Submit(cluster, giver, 0);
        cluster.RunUntil(() => cluster.Network.Held > 0);
        HarnessOperation second = Submit(cluster, giver, 1);
        cluster.RunUntil(() => second.IsDone);
        cluster.Network.LetGo();
        cluster.RunUntil(() => first.IsDone);
        Assert.Equal((ErrorCode.None, ErrorCode.Unavailable), (second.Error, first.Error));
        Assert.Equal("1", cluster.Get(giver, Key));
    }

    [Fact]
    public void Only_the_node_that_a_write_was_forwarded_to_can_say_what_came_of_it()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode leader = cluster.LeaderOf(Shard)!;
        HarnessNode[] others = [.. cluster.Nodes.Where(n => n != leader)];
        HarnessNode giver = others[0], stranger = others[1];
        ulong number = 0;
        cluster.Network.Hold = (from, to, frame) =>
        {
            PeerRecordReader reader = PeerFrame.ReadChecked(frame);
            while (from == giver.Id && to == leader.Id && reader.MoveNext())
            {
                number = reader.Kind == PeerRecordKind.Forward ? BinaryPrimitives.ReadUInt64LittleEndian(reader.Body) : number;
            }

            return number != 0;
        };
        HarnessOperation put = Submit(cluster, giver, 0);
        cluster.RunUntil(() => cluster.Network.Held > 0);
        var answer = new PeerFrameBuilder(stranger.Running.Parts.Context.Sender, giver.Id);
        answer.BeginRecord(PeerRecordKind.ForwardReply, new ShardId(Shard));
        Span<byte> body = answer.GetSpan(23);
        body[..23].Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(body, number);
        answer.Advance(23);
        answer.EndRecord();
        giver.Deliver(answer.Complete(receiverIncarnation: 0).ToArray());
        cluster.Settle();
        Assert.False(put.IsDone, "somebody else's answer counted");
        cluster.Network.LetGo();
        cluster.RunUntil(() => put.IsDone);
        Assert.Equal(ErrorCode.None, put.Error);
        Assert.Equal("0", cluster.Get(giver, Key));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_read_of_a_pipeline_sees_what_the_pipeline_wrote_before(bool onLeader)
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode leader = cluster.LeaderOf(Shard)!;
        HarnessNode node = onLeader ? leader : cluster.Nodes.First(n => n != leader);
        cluster.Put(node, Key, "before");
        for (int i = 0; i < 20; i++)
        {
            HarnessOperation put = HarnessOperation.Put(Key, $"{i}"), get = HarnessOperation.Get(Key), scan = HarnessOperation.Barrier();
            put.Pipeline = get.Pipeline = scan.Pipeline = 7;
            node.Running.Submit([put, get, scan]);
            cluster.RunUntil(() => get.IsDone && scan.IsDone);
            Assert.Equal((ErrorCode.None, ErrorCode.None), (get.Error, scan.Error));
            Assert.True(put.IsDone);
            Assert.Equal($"{i}", node.Read(get));
            Assert.True(scan.Version >= put.Version);
        }
    }

    [Fact]
    public void A_write_that_was_forwarded_tells_who_leads()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode leader = cluster.LeaderOf(Shard)!;
        string address = leader.Running.GetStatus().Address;
        Assert.Equal(address, cluster.Complete(cluster.Nodes.First(n => n != leader), HarnessOperation.Put(Key, "1")).LeaderHint);
        Assert.Null(cluster.Complete(leader, HarnessOperation.Put(Key, "2")).LeaderHint);
    }

    [Fact]
    public void What_a_node_without_a_leader_was_given_is_unavailable_and_not_unknown()
    {
        var cluster = new ClusterHarness(3);
        cluster.RunUntilLed();
        HarnessNode alone = cluster.Nodes.First(n => n != cluster.LeaderOf(Shard));
        cluster.Network.Isolate(alone.Id, cluster.Nodes.Select(static n => n.Id));

        // It still takes the leader that it has lost for one, and has nothing that would take a frame to it.
        HarnessOperation early = cluster.Complete(alone, HarnessOperation.Put(Key, "early"));
        HarnessOperation late = cluster.Complete(alone, HarnessOperation.Put(Key, "late"));
        Assert.Equal((ErrorCode.Unavailable, ErrorCode.Unavailable), (early.Error, late.Error));
    }

    private static HarnessOperation Submit(ClusterHarness cluster, HarnessNode node, int value)
    {
        HarnessOperation put = HarnessOperation.Put(Key, $"{value}");
        put.DeadlineMs = node.Running.MonotonicMs + 8_000;
        node.Running.Submit(put);
        return put;
    }

    private static void HandOver(ClusterHarness cluster, HarnessNode from, HarnessNode to)
    {
        from.Running.TransferLeader(new ShardId(Shard), to.Id);
        cluster.RunUntil(() => cluster.Nodes.All(n => n.Replica(Shard).Group.Leader == to.Id));
        cluster.Run(20);
    }

    private static bool HasForward(byte[] frame)
    {
        PeerRecordReader records = PeerFrame.ReadChecked(frame);
        while (records.MoveNext())
        {
            if (records.Kind == PeerRecordKind.Forward)
            {
                return true;
            }
        }

        return false;
    }
}
