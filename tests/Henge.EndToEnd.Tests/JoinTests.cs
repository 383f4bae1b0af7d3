using System.Text.Json;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests;

/// <summary>Nodes that join a cluster that runs.</summary>
public sealed class JoinTests
{
    [Fact]
    public async Task A_fourth_node_joins_is_known_to_all_restarts_and_moves_to_another_address()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client();
        Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);

        string address = ClusterProcesses.FreeAddress();
        string others = $"{cluster.Addresses[2]},{cluster.Addresses[0]}";
        using (HengeProcess first = HengeProcess.Start(cluster.Joining("n4", address, "--join", others)))
        {
            await UntilKnownAsync(cluster, client, "n4", address, limit.Token);
            Assert.Equal(4UL, (await MembersAsync(client, cluster.Addresses[0], limit.Token)).First(static n => n.NodeId == "n4").Number);
        }

        // The address may change; the directory says of which cluster the node is, whatever the command line says.
        string moved = ClusterProcesses.FreeAddress();
        using HengeProcess second = HengeProcess.Start(cluster.Joining("n4", moved));
        await UntilKnownAsync(cluster, client, "n4", moved, limit.Token);
        cluster.Kill(1);
        cluster.Start(1);
        await cluster.WaitReadyAsync(1);
        await UntilKnownAsync(cluster, client, "n4", moved, limit.Token);
        Assert.False(second.HasExited, second.Printed);
    }

    [Fact]
    public async Task The_seeds_three_terminals_make_one_cluster()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(1, limit.Token);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client();
        Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);
        string second = ClusterProcesses.FreeAddress(), third = ClusterProcesses.FreeAddress();
        using HengeProcess b = HengeProcess.Start(cluster.Joining("n2", second, "--peers", cluster.Addresses[0]));
        await UntilKnownAsync(cluster, client, "n2", second, limit.Token);
        using HengeProcess c = HengeProcess.Start(cluster.Joining("n3", third, "--peers", $"{cluster.Addresses[0]},{second}"));
        await UntilKnownAsync(cluster, client, "n3", third, limit.Token);
        Wire.TopologyResponse topology = await client.TopologyAsync(second, limit.Token);
        Assert.Equal(["n1", "n2", "n3"], topology.Nodes.Select(static n => n.NodeId));
        Assert.True((await client.PutAsync("key", "more", cancellationToken: limit.Token)).Succeeded);
        using HengeProcess list = HengeProcess.Start("cluster", "nodes", "--peers", third, "--output", "json");
        Assert.Equal(0, await list.WaitForExitAsync(limit.Token));
        using JsonDocument listed = JsonDocument.Parse(list.Printed);
        Assert.Equal(
            [("n1", 1, "up", true), ("n2", 2, "up", true), ("n3", 3, "up", true)],
            listed.RootElement.GetProperty("nodes").EnumerateArray().Select(static n => (
                n.GetProperty("id").GetString()!,
                n.GetProperty("number").GetInt32(),
                n.GetProperty("state").GetString()!,
                n.GetProperty("up").GetBoolean())));
    }

    [Fact]
    public async Task A_node_that_does_not_fit_is_refused_with_the_way_out()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(1, limit.Token);
        await cluster.StartAllAsync();
        string free = ClusterProcesses.FreeAddress();
        await RefusedAsync("with another data directory", cluster.Joining("n1", free, "--join", cluster.Addresses[0]));
        await RefusedAsync("cluster-token", cluster.Joining("n2", free, "--join", cluster.Addresses[0], "--cluster-token", "other"));
        await RefusedAsync("own address", cluster.Joining("n2", free, "--join", free));
        string port = cluster.Addresses[0].Split(':')[1];
        await RefusedAsync(
            "is that of the member n1",
            cluster.Joining("n2", free, "--join", "localhost:" + port, "--advertise", cluster.Addresses[0]));
        await RefusedAsync(
            "is not known here",
            cluster.Joining("n2", free, "--join", "no-such-host.invalid:7001", "--advertise", "10.1.2.3:7001"));
        await RefusedAsync(
            "leave one of them out",
            cluster.Joining("n2", free, "--join", cluster.Addresses[0], "--cluster", $"n2={free}"));
        Assert.True(await cluster.IsReadyAsync(0));

        async Task RefusedAsync(string why, string[] arguments)
        {
            using HengeProcess process = HengeProcess.Start(arguments);
            Assert.NotEqual(0, await process.WaitForExitAsync(limit.Token));
            Assert.Contains(why, process.Printed, StringComparison.Ordinal);
        }
    }

    private static async Task<IReadOnlyList<Wire.NodeInfo>> MembersAsync(HengeClient client, string address, CancellationToken cancel) =>
        [.. (await client.TopologyAsync(address, cancel)).Nodes];

    private static Task UntilKnownAsync(ClusterProcesses cluster, HengeClient client, string name, string at, CancellationToken cancel) =>
        cluster.UntilAsync($"{name} at {at} is up, as all say", async () =>
        {
            foreach (string address in cluster.Addresses.Append(at))
            {
                try
                {
                    if (!(await MembersAsync(client, address, cancel)).Any(n => n.NodeId == name && n.Address == at && n.State == "up"))
                    {
                        return false;
                    }
                }
                catch (HengeException)
                {
                    return false;
                }
            }

            return true;
        });
}
