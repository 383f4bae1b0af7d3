using System.Net;
using System.Net.Sockets;
using Henge.Client;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>How a process begins and ends.</summary>
public sealed class StartAndStopTests
{
    [Fact]
    public async Task A_node_that_is_asked_to_stop_ends_well_and_keeps_what_it_had()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses node = new(1, limit.Token);
        await node.StartAllAsync();
        using HengeClient client = node.Client();
        PutResult put = await client.PutAsync("key", "value", cancellationToken: limit.Token);
        node[0].Terminate();
        Assert.Equal(0, await node[0].WaitForExitAsync(limit.Token));

        await node.StartAllAsync();
        GetResult got = await client.GetAsync("key", cancellationToken: limit.Token);
        Assert.Equal(("value", put.Version), (got.Text, got.Version));
    }

    [Fact]
    public async Task Each_node_of_a_cluster_stops_well_while_the_others_serve()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client();
        foreach (int node in cluster.All)
        {
            cluster[node].Terminate();
            Assert.Equal(0, await cluster[node].WaitForExitAsync(limit.Token));
            Assert.True((await client.PutAsync($"without {node}", "value", cancellationToken: limit.Token)).Succeeded);
            cluster.Start(node);
            await cluster.WaitReadyAsync(node);
        }
    }

    [Fact]
    public async Task An_unknown_setting_is_refused_by_its_name()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses node = new(1, limit.Token);
        await RefusedAsync(node.ArgumentsOf(0, "--nod-id", "x"), limit.Token, "--nod-id", "henge serve --help");

        Directory.CreateDirectory(node.DataDirectory(0));
        string file = Path.Combine(node.DataDirectory(0), "settings.json");
        await File.WriteAllTextAsync(file, "{\"nod-id\": \"x\"}", limit.Token);
        await RefusedAsync(node.ArgumentsOf(0, "--config", file), limit.Token, "There is no setting nod-id", "Did you mean node-id?");
    }

    [Fact]
    public async Task A_port_that_another_process_has_is_told()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses node = new(1, limit.Token);
        using TcpListener other = new(
            IPAddress.Loopback,
            int.Parse(node.Addresses[0].Split(':')[1], System.Globalization.CultureInfo.InvariantCulture));
        other.Start();
        await RefusedAsync(node.ArgumentsOf(0), limit.Token, node.Addresses[0], "choose another address with --addr");
        Assert.False(Directory.Exists(node.DataDirectory(0)), "A start that was refused has left a data directory.");
    }

    [Fact]
    public async Task A_data_directory_that_another_process_holds_is_told_and_its_holder_goes_on()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses node = new(1, limit.Token);
        await node.StartAllAsync();
        string[] arguments = node.ArgumentsOf(0);
        arguments[Array.IndexOf(arguments, "--addr") + 1] = $"127.0.0.1:{ClusterProcesses.FreePort()}";
        await RefusedAsync(arguments, limit.Token, "locked by another process", "Stop that process, or use another directory");
        using HengeClient client = node.Client();
        Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);
    }

    [Fact]
    public async Task A_node_whose_data_directory_was_emptied_is_refused_by_the_others()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        await cluster.StartAllAsync();

        // The others know a directory once it has been written into the catalog, which nothing shows from outside. One that is emptied
        // before that is as good as new; emptied again, it is not.
        int? code = null;
        for (int attempt = 0; attempt < 3 && code is null; attempt++)
        {
            cluster.Kill(2);
            Directory.Delete(cluster.DataDirectory(2), recursive: true);
            cluster.Start(2);
            using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
            patience.CancelAfter(TimeSpan.FromSeconds(15));
            try
            {
                code = await cluster[2].WaitForExitAsync(patience.Token);
            }
            catch (TimeoutException) when (!limit.IsCancellationRequested)
            {
                continue;
            }
        }

        // The exit code of a node that ended itself, and not that of one that was killed.
        Assert.True(code == 12, cluster.Report());

        // A leader that remembers what the node had acknowledged may find the loss before the catalog's entry is known: the node then ends
        // on that.
        string printed = cluster[2].Printed;
        Assert.True(
            printed.Contains("n3 by another data directory", StringComparison.Ordinal)
                || printed.Contains("synced data is lost", StringComparison.Ordinal),
            cluster.Report());
        using HengeClient client = cluster.Client();
        Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);
    }

    private static async Task RefusedAsync(string[] arguments, CancellationToken cancel, params string[] told)
    {
        using HengeProcess process = HengeProcess.Start(arguments);
        int code = await process.WaitForExitAsync(cancel);
        Assert.NotEqual(0, code);
        Assert.All(told, part => Assert.Contains(part, process.Printed, StringComparison.Ordinal));
    }
}
