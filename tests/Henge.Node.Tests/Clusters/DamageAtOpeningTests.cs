using Henge.Core;
using Henge.Testing.Files;
using static Henge.Node.Tests.Clusters.TableDamage;

namespace Henge.Node.Tests.Clusters;

/// <summary>A node is started whose tables cannot be opened, or hold what it must read to begin (docs/decisions/0166).</summary>
public sealed class DamageAtOpeningTests
{
    public enum Loss
    {
        Missing,
        CutShort,
        Footer,
        Records,
    }

    [Theory]
    [InlineData(Loss.Missing)]
    [InlineData(Loss.CutShort)]
    [InlineData(Loss.Footer)]
    [InlineData(Loss.Records)]
    public void It_opens_and_its_shards_are_rebuilt_from_their_leaders(Loss loss)
    {
        var cluster = new ClusterHarness(3, (ulong)loss + 1);
        (string key, uint shard) = Fill(cluster);
        HarnessNode damaged = cluster.Nodes.First(node => cluster.LeaderOf(shard) != node);
        LogIndex before = damaged.Replica(shard).Machine.AppliedIndex;
        damaged.Stop();
        foreach (string name in Tables(damaged))
        {
            Lose(damaged, Engine + name, loss);
        }

        cluster.Put(cluster.LeaderOf(shard)!, key, "later");
        damaged.Start();
        Assert.NotNull(damaged.Replica(shard).Machine.Damage);
        Assert.True(damaged.Replica(shard).Machine.AppliedIndex >= before);
        cluster.RunUntil(() => IsWhole(damaged), limitMs: 20_000);
        Assert.Null(damaged.FatalMessage);
        AssertSameStates(cluster);
        Assert.Equal("later", cluster.Get(damaged, key));

        // And again from its disk, which names nothing any more that is not there.
        damaged.Crash(CrashMode.LoseAllUnsynced);
        damaged.Start();
        cluster.RunUntilLed();
        AssertSameStates(cluster);
    }

    [Fact]
    public void A_replica_that_cannot_read_its_own_records_votes_and_keeps_its_log_and_serves_nothing()
    {
        var cluster = new ClusterHarness(3, 5);
        (string key, uint shard) = Fill(cluster);
        HarnessNode leader = cluster.LeaderOf(shard)!;
        HarnessNode damaged = cluster.Nodes.First(node => node != leader);
        HarnessNode other = cluster.Nodes.First(node => node != leader && node != damaged);

        // Nobody can give it a state yet.
        cluster.Network.Lose = (_, to, frame) => to == damaged.Id && frame.AsSpan().IndexOf("value"u8) >= 0;
        damaged.Stop();
        foreach (string name in Tables(damaged))
        {
            Lose(damaged, Engine + name, Loss.Missing);
        }

        damaged.Start();
        other.Stop();
        cluster.Put(leader, key, "needs it");
        Assert.True(damaged.Replica(shard).Machine.IsStopped);
        HarnessOperation read = cluster.Complete(damaged, HarnessOperation.Get(key, Henge.Node.Api.ReadConsistency.Stale));
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => damaged.Read(read)).Code);
        Assert.Contains(".sst", damaged.Replica(shard).Problem, StringComparison.Ordinal);

        // What it acknowledged outlives its leader: it is elected or not, but its log has the entry.
        cluster.Network.Lose = null;
        leader.Stop();
        other.Start();
        cluster.RunUntil(() => IsWhole(damaged) && cluster.LeaderOf(shard) is not null, limitMs: 30_000);
        Assert.Equal("needs it", cluster.Get(other, key));
        Assert.Equal("needs it", cluster.Get(damaged, key));
        Assert.Null(damaged.FatalMessage);
    }

    [Fact]
    public void A_single_node_opens_without_its_table_and_refuses_what_lay_in_it()
    {
        var cluster = new ClusterHarness(1, 6);
        (string key, uint shard) = Fill(cluster);
        HarnessNode node = cluster.Nodes[0];
        node.Stop();
        string name = Assert.Single(Tables(node));
        byte[] copy = node.Files.ReadAllBytes(Engine + name);
        node.Files.Delete(Engine + name);
        node.Start();
        cluster.RunUntil(() => StatusOf(node, shard).Error is not null);
        cluster.Run(2_000);
        Assert.Null(node.FatalMessage);
        Assert.Contains(name, StatusOf(node, shard).Error, StringComparison.Ordinal);
        node.Stop();

        // The file is put back, and all is as it was.
        using (Henge.Storage.Files.IFile file = node.Files.Open(Engine + name, Henge.Storage.Files.FileOpenMode.CreateNew))
        {
            file.Write(0, copy);
            file.Sync();
        }

        node.Start();
        cluster.RunUntilLed();
        Assert.Equal("value", cluster.Get(node, key));
        Assert.Null(StatusOf(node, shard).Error);
    }

    private static void Lose(HarnessNode node, string path, Loss loss)
    {
        if (loss == Loss.Missing)
        {
            node.Files.Delete(path);
            return;
        }

        using Henge.Storage.Files.IFile file = node.Files.Open(path, Henge.Storage.Files.FileOpenMode.ReadWrite);
        switch (loss)
        {
            case Loss.CutShort:
                file.Truncate(file.Length / 2);
                break;
            case Loss.Footer:
                node.Files.FlipBit(path, (int)file.Length - 20, 1);
                break;
            case Loss.Records:
                node.Files.FlipBit(path, 50, 3);
                break;
        }
    }
}
