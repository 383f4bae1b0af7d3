using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using static Henge.Node.Tests.Clusters.TableDamage;

namespace Henge.Node.Tests.Clusters;

/// <summary>A committed entry reads what is damaged on one node's disk (docs/decisions/0165).</summary>
public sealed class DamageWhileApplyingTests
{
    private const string Key = "key7";

    public enum Reader
    {
        Append,
        Increment,
        PutIfAbsent,
        PutIfValue,
        Delete,
        MultiDelete,
        Txn,
        Touch,
        HashSet,
    }

    [Theory]
    [InlineData(Reader.Append)]
    [InlineData(Reader.Increment)]
    [InlineData(Reader.PutIfAbsent)]
    [InlineData(Reader.PutIfValue)]
    [InlineData(Reader.Delete)]
    [InlineData(Reader.MultiDelete)]
    [InlineData(Reader.Txn)]
    [InlineData(Reader.Touch)]
    [InlineData(Reader.HashSet)]
    public void A_follower_stands_still_at_the_entry_and_is_rebuilt(Reader reader)
    {
        var cluster = new ClusterHarness(3, (ulong)reader + 1);
        (_, uint shard) = Fill(cluster);
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode damaged = cluster.Nodes.First(node => node != leader);
        FlipBits(damaged);
        LogIndex before = damaged.Replica(shard).Machine.AppliedIndex;

        // Not heard by the damaged one, until the others have done it.
        HarnessOperation write = cluster.Complete(leader, Write(reader, default));
        Assert.True(write.Error is ErrorCode.None or ErrorCode.WrongType, write.ToString());
        bool IsOfStop(HarnessEvent told) =>
            told.Name == nameof(INodeEvents.ApplyStopped) && told.Arguments[0] is ShardId { Value: var stopped } && stopped == shard;
        cluster.RunUntil(() => damaged.Events.Exists(IsOfStop) || damaged.FatalMessage is not null);
        Assert.Null(damaged.FatalMessage);
        Assert.Equal(before, damaged.Events.First(IsOfStop).Arguments[1]);
        cluster.RunUntil(() => IsWhole(damaged) && damaged.Replica(shard).Machine.AppliedIndex > before, limitMs: 20_000);
        Assert.False(damaged.Replica(shard).Machine.IsStopped);
        AssertSameStates(cluster);
        Assert.Equal(cluster.Get(leader, Key), cluster.Get(damaged, Key));
    }

    [Theory]
    [InlineData(Reader.Append, 1UL)]
    [InlineData(Reader.MultiDelete, 2UL)]
    [InlineData(Reader.Txn, 3UL)]
    public void A_leader_hands_over_and_what_it_could_not_answer_is_done_once(Reader reader, ulong seed)
    {
        var cluster = new ClusterHarness(3, seed);
        (_, uint shard) = Fill(cluster);
        HarnessNode damaged = cluster.LeaderOf(shard)!;
        FlipBits(damaged);
        HarnessOperation write = cluster.Complete(damaged, Write(reader, new SessionStamp(5, 1)));
        Assert.Equal(ErrorCode.UnknownOutcome, write.Error);
        Assert.Null(damaged.FatalMessage);

        // A write that comes next waits for another leader, and none of it waits for what is lost.
        cluster.Put(damaged, OtherKeyOf(shard), "next");
        HarnessNode leader = cluster.LeaderOf(shard)!;
        Assert.NotSame(damaged, leader);
        HarnessOperation again = cluster.Complete(damaged, Write(reader, new SessionStamp(5, 1, SessionFlags.Retry)));
        Assert.Equal(ErrorCode.None, again.Error);
        Assert.Equal(reader switch { Reader.Append => "value+", Reader.MultiDelete => null, _ => "changed" }, cluster.Get(leader, Key));
        cluster.RunUntil(() => IsWhole(damaged), limitMs: 20_000);
        AssertSameStates(cluster);
        Assert.Null(damaged.FatalMessage);
    }

    [Fact]
    public void Other_shards_of_the_node_go_on_and_a_restart_stops_at_the_same_entry_until_the_table_is_whole()
    {
        var cluster = new ClusterHarness(1);
        (_, uint shard) = Fill(cluster);
        HarnessNode node = cluster.Nodes[0];
        LogIndex before = node.Replica(shard).Machine.AppliedIndex;
        FlipBits(node);
        Assert.Equal(ErrorCode.UnknownOutcome, cluster.Complete(node, Write(Reader.Append, default)).Error);
        Assert.True(node.Replica(shard).Machine.IsStopped);
        string other = Enumerable.Range(100, 100).Select(static i => $"key{i}").First(key => ShardOf(key) != shard);
        cluster.Put(node, other, "1");
        Assert.Equal("1", cluster.Get(node, other));

        // Nothing more is taken in that could not be answered, and whoever waits is told why.
        HarnessOperation refused = cluster.Complete(node, HarnessOperation.Put(OtherKeyOf(shard), "2"), limitMs: 30_000);
        Assert.Equal(ErrorCode.Unavailable, refused.Error);
        Assert.Contains(".sst", refused.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(before, node.Replica(shard).Machine.AppliedIndex);

        node.Crash(Henge.Testing.Files.CrashMode.LoseAllUnsynced);
        node.Start();
        cluster.RunUntil(() => node.FatalMessage is not null || StatusOf(node, shard).Error is not null);
        cluster.Run(1_000);
        Assert.Null(node.FatalMessage);
        Assert.Equal(before, node.Replica(shard).Machine.AppliedIndex);
        node.Crash(Henge.Testing.Files.CrashMode.LoseAllUnsynced);

        // The same bits again: now they are right.
        FlipBits(node);
        node.Start();
        cluster.RunUntilLed();
        Assert.Equal("value+", cluster.Get(node, Key));
        Assert.Null(StatusOf(node, shard).Error);
    }

    [Fact]
    public void Entries_before_the_one_that_cannot_be_applied_are_not_half_there()
    {
        var cluster = new ClusterHarness(3, 9);
        (_, uint shard) = Fill(cluster);
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode damaged = cluster.Nodes.First(node => node != leader);
        FlipBits(damaged);

        // What it applies at once, when it hears of it again: plain puts, sessions that begin, and then an entry that it cannot do.
        damaged.IsPaused = true;
        var session = new SessionStamp(7, 1);
        Assert.Equal(ErrorCode.None, cluster.Complete(leader, HarnessOperation.Put(OtherKeyOf(shard), "before", session: session)).Error);
        Assert.Equal(ErrorCode.None, cluster.Complete(leader, Write(Reader.Append, new SessionStamp(7, 2))).Error);
        Assert.Equal(
            ErrorCode.None,
            cluster.Complete(leader, HarnessOperation.Put(OtherKeyOf(shard), "after", session: new SessionStamp(7, 3))).Error);
        damaged.IsPaused = false;
        cluster.RunUntil(() => damaged.Replica(shard).Machine.IsStopped);
        cluster.RunUntil(() => IsWhole(damaged), limitMs: 20_000);
        AssertSameStates(cluster);

        // The rebuilt table of sessions knows what was done, whoever leads.
        cluster.RunUntil(
            () => leader.Running.GetStatus().Shards.Single(s => s.Shard.Value == shard).Peers.All(static peer => !peer.Damaged),
            limitMs: 10_000);
        leader.Running.TransferLeader(new ShardId(shard), damaged.Id);
        cluster.RunUntil(() => cluster.LeaderOf(shard) == damaged);
        Assert.Equal(ErrorCode.None, cluster.Complete(damaged, Write(Reader.Append, new SessionStamp(7, 2, SessionFlags.Retry))).Error);
        Assert.Equal("value+", cluster.Get(damaged, Key));
        AssertSameStates(cluster);
    }

    [Fact]
    public void A_deletion_of_an_expired_key_that_another_leader_proposes_ends_no_node()
    {
        var cluster = new ClusterHarness(3, 4);
        cluster.RunUntilLed();
        cluster.Complete(cluster.Nodes[0], HarnessOperation.PutFor(Key, "value", 3_000));
        (_, uint shard) = Fill(cluster, except: Key);
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode damaged = cluster.Nodes.First(node => node != leader);
        FlipBits(damaged);
        cluster.RunUntil(() => damaged.FatalMessage is not null || damaged.Replica(shard).Machine.DamagedReads > 0, limitMs: 20_000);
        cluster.RunUntil(() => damaged.FatalMessage is not null || IsWhole(damaged), limitMs: 20_000);
        Assert.Null(damaged.FatalMessage);
        AssertSameStates(cluster);
    }

    [Fact]
    public void Leadership_is_not_given_to_a_damaged_replica_when_an_operator_asks_for_it()
    {
        var cluster = new ClusterHarness(3, 5);
        (_, uint shard) = Fill(cluster);
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode damaged = cluster.Nodes.First(node => node != leader);

        // It asks for a state, and does not get it yet.
        cluster.Network.Lose = (from, _, frame) => from == leader.Id && frame.AsSpan().IndexOf("value"u8) >= 0;
        damaged.Replica(shard).Machine.ReportDamage(new HengeException(ErrorCode.Corruption, "a block"));
        cluster.Run(1_500);
        HengeException refused = Assert.Throws<HengeException>(() => leader.Running.TransferLeader(new ShardId(shard), damaged.Id));
        Assert.Equal(ErrorCode.Unavailable, refused.Code);
        cluster.Run(1_000);
        Assert.Same(leader, cluster.LeaderOf(shard));
    }

    private static string OtherKeyOf(uint shard) =>
        Enumerable.Range(100, 100).Select(static i => $"key{i}").First(key => ShardOf(key) == shard);

    private static HarnessOperation Write(Reader reader, SessionStamp session)
    {
        byte[] key = Encoding.UTF8.GetBytes(Key);
        var writer = new ArrayBufferWriter<byte>();
        switch (reader)
        {
            case Reader.Append:
                CommandEncoder.Append(writer, key, "+"u8, 1024, session);
                break;
            case Reader.Increment:
                CommandEncoder.Increment(writer, key, 1, session);
                break;
            case Reader.PutIfAbsent:
                CommandEncoder.Put(writer, key, "changed"u8, new PutOptions { Condition = PutCondition.IfAbsent });
                break;
            case Reader.PutIfValue:
                CommandEncoder.Put(
                    writer,
                    key,
                    "changed"u8,
                    new PutOptions { Condition = PutCondition.IfValue, Comparand = "value"u8.ToArray() },
                    session);
                break;
            case Reader.Delete:
                CommandEncoder.Delete(writer, key, session: session);
                break;
            case Reader.MultiDelete:
                CommandEncoder.MultiDelete(writer, [key], session);
                break;
            case Reader.Txn:
                var txn = new TxnBuilder();
                txn.CompareExistence(key, exists: true);
                var put = new ArrayBufferWriter<byte>();
                CommandEncoder.Put(put, key, "changed"u8);
                txn.Then.Add(put.WrittenSpan);
                txn.Encode(writer, session);
                break;
            case Reader.Touch:
                CommandEncoder.SetExpiry(writer, key, Expiry.After(1_000_000), session: session);
                break;
            case Reader.HashSet:
                CommandEncoder.HashSet(writer, key, [new("f"u8.ToArray(), "v"u8.ToArray())], 1024, session: session);
                break;
        }

        return new HarnessOperation { Kind = OperationKind.Write, Key = key, Command = writer.WrittenMemory };
    }
}
