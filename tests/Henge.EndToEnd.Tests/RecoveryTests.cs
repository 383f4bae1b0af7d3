using System.Globalization;
using System.Text.Json;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests;

/// <summary>A majority of a cluster's machines is gone with their disks, and an operator has it go on from those that are left.</summary>
public sealed class RecoveryTests
{
    private const int Keys = 120;

    [Fact]
    public async Task Three_of_five_nodes_are_lost_for_ever_and_the_cluster_goes_on_with_all_that_the_plan_said_is_kept()
    {
        using CancellationTokenSource limit = Rounds.Limit(times: 3);
        await using ClusterProcesses cluster = new(5, limit.Token, replicas: 3);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client();
        Dictionary<string, ulong> acknowledged = [];
        for (int i = 0; i < Keys; i++)
        {
            PutResult put = await client.PutAsync(KeyOf(i), KeyOf(i), cancellationToken: limit.Token);
            acknowledged[KeyOf(i)] = put.Version.Value;
        }

        int[] left = await ChooseLeftAsync(client, limit.Token);
        int[] lost = [.. cluster.All.Except(left)];
        string peers = string.Join(',', left.Select(n => cluster.Addresses[n]));

        // As long as there is a majority nothing is done.
        (int exitCode, string printed) = await RunAsync("--plan");
        Assert.True(exitCode == 5 && printed.Contains("nothing to recover", StringComparison.Ordinal), printed);

        cluster.Kill(lost);
        string kept = cluster.DataDirectory(lost[0]) + "-copy";
        Directory.Move(cluster.DataDirectory(lost[0]), kept);
        foreach (int node in lost[1..])
        {
            Directory.Delete(cluster.DataDirectory(node), recursive: true);
        }

        (exitCode, printed) = await RunAsync("--plan");
        Assert.True(exitCode == 1, printed);
        Assert.Contains($"Lost: {string.Join(", ", lost.Select(ClusterProcesses.NameOf))}.", printed, StringComparison.Ordinal);
        Assert.Contains("may lose writes", printed, StringComparison.Ordinal);
        JsonElement plan = JsonDocument.Parse((await RunAsync("--plan", "--output", "json")).Printed).RootElement;
        string id = plan.GetProperty("plan").GetString()!;
        Assert.Contains($"This is plan {id}.", printed, StringComparison.Ordinal);

        // Not by accident, and only what was shown.
        (exitCode, printed) = await RunAsync("--apply");
        Assert.True(exitCode == 2 && printed.Contains("--yes-lose-data", StringComparison.Ordinal), printed);
        (exitCode, printed) = await RunAsync("--apply", "--yes-lose-data", "000000000000");
        Assert.True(exitCode == 5 && printed.Contains("Nothing was done", StringComparison.Ordinal), printed);

        // One of those that are left dies in the midst of it: the same again, until it is done.
        Task<(int ExitCode, string Printed)> interrupted = RunAsync("--apply", "--yes-lose-data", id);
        cluster.Kill(left[1]);
        cluster.Start(left[1]);
        (exitCode, printed) = await interrupted;
        if (exitCode != 0)
        {
            string last = "";
            await cluster.UntilAsync(() => $"the recovery is done; plan {id} after:\n{last}", async () =>
            {
                last = printed;
                (exitCode, printed) = await RunAsync("--apply", "--yes-lose-data", id);
                return exitCode == 0;
            });
        }

        Assert.Contains($"Plan {id} is carried out.", printed, StringComparison.Ordinal);
        await cluster.WaitReadyAsync(left);
        using HengeClient survivors = cluster.Client(new HengeClientOptions(), left);
        Dictionary<int, ulong> keptVersions = plan.GetProperty("shards").EnumerateArray()
            .Where(static s => s.GetProperty("shard").GetString() != "catalog" && s.GetProperty("state").GetString() != "Serving")
            .ToDictionary(
                static s => int.Parse(s.GetProperty("shard").GetString()![1..], CultureInfo.InvariantCulture),
                static s => s.GetProperty("certain_version").GetUInt64());
        Assert.NotEmpty(keptVersions);
        foreach ((string key, ulong version) in acknowledged)
        {
            if (version <= keptVersions.GetValueOrDefault(ClusterProcesses.ShardOf(key), ulong.MaxValue))
            {
                Assert.Equal(key, (await survivors.GetAsync(key, cancellationToken: limit.Token)).Text);
            }
        }

        // It is whole again with a new node, under the name of a lost one.
        string name = ClusterProcesses.NameOf(lost[1]);
        using HengeProcess joined = HengeProcess.Start(cluster.Joining(name, ClusterProcesses.FreeAddress(), "--join", peers));
        await cluster.UntilAsync("every shard has three replicas", async () =>
        {
            try
            {
                Wire.TopologyResponse topology = await survivors.TopologyAsync(cluster.Addresses[left[0]], limit.Token);
                return topology.Shards.All(s => s.Replicas.Count == 3 && s.Replicas.Contains(name) && s.LeaderId.Length > 0);
            }
            catch (HengeException)
            {
                return false;
            }
        });
        for (int i = 0; i < Keys; i++)
        {
            Assert.True((await survivors.PutAsync(KeyOf(i), "again", cancellationToken: limit.Token)).Succeeded);
        }

        // One that was given up has its disk after all.
        Directory.Move(kept, cluster.DataDirectory(lost[0]));
        cluster.Start(lost[0]);
        Assert.Equal(0, await cluster[lost[0]].WaitForExitAsync(limit.Token));
        Assert.Contains("has left its cluster", cluster[lost[0]].Printed, StringComparison.Ordinal);
        for (int i = 0; i < Keys; i++)
        {
            Assert.Equal("again", (await survivors.GetAsync(KeyOf(i), cancellationToken: limit.Token)).Text);
        }

        Assert.Contains("crit: Henge.Node[1014]", cluster[left[0]].Printed, StringComparison.Ordinal);
        Assert.Contains("crit: Henge.Raft[1108]", string.Concat(left.Select(n => cluster[n].Printed)), StringComparison.Ordinal);

        async Task<(int ExitCode, string Printed)> RunAsync(params string[] arguments)
        {
            using HengeProcess process = HengeProcess.Start(["cluster", "recover", .. arguments, "--timeout", "60s", "--peers", peers]);
            return (await process.WaitForExitAsync(limit.Token), process.Printed);
        }
    }

    // Two, of which every shard has one at least, and some shard not both.
    private static async Task<int[]> ChooseLeftAsync(HengeClient client, CancellationToken cancel)
    {
        Wire.TopologyResponse topology = await client.TopologyAsync(cancellationToken: cancel);
        for (int a = 0; a < 5; a++)
        {
            for (int b = a + 1; b < 5; b++)
            {
                string[] names = [ClusterProcesses.NameOf(a), ClusterProcesses.NameOf(b)];
                int[] counts = [.. topology.Shards.Select(s => s.Replicas.Count(names.Contains))];
                if (counts.All(static c => c > 0) && counts.Any(static c => c == 1))
                {
                    return [a, b];
                }
            }
        }

        throw new InvalidOperationException("No two nodes have a replica of every shard.");
    }

    private static string KeyOf(int i) => string.Create(CultureInfo.InvariantCulture, $"kept:{i}");
}
