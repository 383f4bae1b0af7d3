using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Tests.Clusters;

/// <summary>Bits of tables flip on the disks of a harness's nodes.</summary>
internal static class TableDamage
{
    public const string Engine = "/data/engine/";
    private static readonly ShardMap Map = new(4);

    public static uint ShardOf(string key) => Map.ShardOf(System.Text.Encoding.UTF8.GetBytes(key)).Value;

    public static bool IsWhole(HarnessNode node) =>
        node.Running.Parts.Hosted.All.All(static replica => replica.Machine.Damage is null)
        && node.Running.GetStatus().Shards.All(static shard => shard.Error is null);

    public static void AssertSameStates(ClusterHarness cluster)
    {
        // Until those have heard of it that have something in a damaged block, too.
        cluster.Run(20);
        cluster.RunUntil(() => cluster.Nodes.All(IsWhole), limitMs: 20_000);
        for (uint shard = 0; shard < 4; shard++)
        {
            cluster.RunUntil(() => cluster.Nodes.Select(node => node.Replica(shard).Machine.AppliedIndex).Distinct().Count() == 1);
            Assert.Single(cluster.Nodes.Select(node => node.Replica(shard).Machine.StateHash()).Distinct());
        }
    }

    // As Fill, with more than fits into one block of a table.
    public static void FillBlocks(ClusterHarness cluster)
    {
        cluster.RunUntilLed();
        for (int i = 0; i < 40; i++)
        {
            byte[] random = new byte[1500];
            cluster.Random.NextBytes(random);
            cluster.Put(cluster.Nodes[0], $"key{i}", Convert.ToBase64String(random));
        }

        cluster.Run(500);
        foreach (HarnessNode node in cluster.Running)
        {
            node.Running.Parts.Context.Engine.Flush();
        }
    }

    // Puts a key on each shard into a table of each node, and nothing of it into a cache.
    public static (string Key, uint Shard) Fill(ClusterHarness cluster, string? except = null)
    {
        cluster.RunUntilLed();
        for (int i = 0; i < 40; i++)
        {
            if ($"key{i}" != except)
            {
                cluster.Put(cluster.Nodes[0], $"key{i}", "value");
            }
        }

        cluster.Run(500);
        foreach (HarnessNode node in cluster.Running)
        {
            node.Running.Parts.Context.Engine.Flush();
        }

        return ("key7", Map.ShardOf("key7"u8).Value);
    }

    public static string[] Tables(HarnessNode node) =>
        [
            .. node
                .Files.List("/data/engine")
                .Where(static name => name.EndsWith(".sst", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal),
        ];

    public static void FlipBits(HarnessNode node)
    {
        foreach (string name in Tables(node))
        {
            node.Files.FlipBit("/data/engine/" + name, 50, 3);
        }
    }

    public static ShardStatus StatusOf(HarnessNode node, uint shard) => node.Running.GetStatus().Shards.Single(s => s.Shard.Value == shard);
}
