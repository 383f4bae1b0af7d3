using System.Net;
using System.Net.Sockets;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests;

/// <summary>Nodes that were started with settings that do not go together never serve apart from each other.</summary>
public sealed class FoundingTests
{
    [Fact]
    public async Task A_node_with_a_replication_factor_of_its_own_does_not_start_and_acknowledges_nothing()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        string[] arguments = cluster.ArgumentsOf(0);
        arguments[Array.IndexOf(arguments, "--replication-factor") + 1] = "1";
        using HengeProcess first = HengeProcess.Start(arguments);
        using HengeClient alone = new(
            new HengeClientOptions
            {
                Peers = [cluster.Addresses[0]],
                RouteToLeaders = false,
                DefaultDeadline = TimeSpan.FromSeconds(3),
            });
        await Assert.ThrowsAnyAsync<HengeException>(() => alone.PutAsync("key", "lost", cancellationToken: limit.Token).AsTask());
        cluster.Start(1, 2);
        await cluster.WaitReadyAsync(1, 2);
        Assert.NotEqual(0, await first.WaitForExitAsync(limit.Token));
        Assert.Contains("replication-factor is 1 here and 3 there", first.Printed, StringComparison.Ordinal);

        // The way out that the message gives.
        Directory.Delete(cluster.DataDirectory(0), recursive: true);
        cluster.Start(0);
        await cluster.WaitReadyAsync(0);
        cluster.Kill(0);
        using (HengeProcess again = HengeProcess.Start(arguments))
        {
            Assert.NotEqual(0, await again.WaitForExitAsync(limit.Token));
        }

        cluster.Start(0);
        await cluster.WaitReadyAsync(0);
    }

    [Fact]
    public async Task A_first_node_with_other_shards_acknowledges_nothing_and_both_sides_say_why()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        string[] arguments = cluster.ArgumentsOf(0);
        arguments[Array.IndexOf(arguments, "--shards") + 1] = "5";
        using HengeProcess first = HengeProcess.Start(arguments);
        cluster.Start(1, 2);
        using HengeClient alone = new(
            new HengeClientOptions
            {
                Peers = [cluster.Addresses[0]],
                RouteToLeaders = false,
                DefaultDeadline = TimeSpan.FromSeconds(1),
            });
        await Assert.ThrowsAnyAsync<HengeException>(() => alone.PutAsync("key", "lost", cancellationToken: limit.Token).AsTask());
        await cluster.WaitReadyAsync(1, 2);
        Assert.NotEqual(0, await first.WaitForExitAsync(limit.Token));
        Assert.Contains("shards is 5 here and 4 there", first.Printed, StringComparison.Ordinal);

        // It ends as soon as it has heard of the cluster from one of the others, which may be before they have heard of it. Then they do
        // when it is started again, as whoever looks after processes does.
        await cluster.UntilAsync("the others say why, too", async () =>
        {
            Wire.StatusResponse[] status = [await cluster.StatusAsync(1), await cluster.StatusAsync(2)];
            if (status.SelectMany(static s => s.RefusedPeers).Any(
                static r => r.StartsWith("n1: shards is 4 here and 5 there", StringComparison.Ordinal)))
            {
                return true;
            }

            using HengeProcess again = HengeProcess.Start(arguments);
            Assert.NotEqual(0, await again.WaitForExitAsync(limit.Token));
            Assert.Contains("shards is 5 here and 4 there", again.Printed, StringComparison.Ordinal);
            return false;
        });
        Assert.Contains("Refused n1: shards is 4 here and 5 there", cluster[1].Printed + cluster[2].Printed, StringComparison.Ordinal);

        using HengeClient client = cluster.Client(null, 1, 2);
        Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);

        // The way out that the message gives.
        Directory.Delete(cluster.DataDirectory(0), recursive: true);
        cluster.Start(0);
        await cluster.WaitReadyAsync(0);
        Assert.Equal("value", (await client.GetAsync("key", cancellationToken: limit.Token)).Text);
    }

    [Fact]
    public async Task A_node_that_is_a_cluster_of_its_own_is_told_from_the_others_on_both_sides()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(3, limit.Token);
        string[] arguments = cluster.ArgumentsOf(0);
        int list = Array.IndexOf(arguments, "--cluster");
        using HengeProcess alone = HengeProcess.Start([.. arguments[..list], .. arguments[(list + 2)..]]);
        cluster.Start(1, 2);
        await cluster.WaitReadyAsync(1, 2);

        // It ends when it hears of the cluster that should be its own before it has made one by itself.
        await cluster.UntilAsync(
            "both sides say why",
            () =>
                Task.FromResult(
                    (
                        alone.Printed.Contains("Refused n2: cluster is", StringComparison.Ordinal)
                        || alone.Printed.Contains("Refused n3: cluster is", StringComparison.Ordinal)
                    ) && (cluster[1].Printed + cluster[2].Printed).Contains("Refused n1: cluster is", StringComparison.Ordinal)));
        using HengeClient client = cluster.Client(null, 1, 2);
        Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);
    }

    [Fact]
    public async Task A_node_does_not_start_with_an_address_that_leads_clients_elsewhere()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses node = new(1, limit.Token);
        string[] arguments = node.ArgumentsOf(0);
        int addr = Array.IndexOf(arguments, "--addr") + 1;
        arguments[addr] = "0.0.0.0" + arguments[addr][arguments[addr].LastIndexOf(':')..];
        using HengeProcess process = HengeProcess.Start(arguments);
        Assert.NotEqual(0, await process.WaitForExitAsync(limit.Token));
        Assert.Contains("--advertise HOST:PORT", process.Printed, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_client_whose_topology_leads_to_a_node_of_another_cluster_writes_nothing_there(bool sessions)
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses other = new(1, limit.Token);
        await other.StartAllAsync();
        await using ClusterProcesses node = new(1, limit.Token);
        using HengeProcess misled = HengeProcess.Start(node.ArgumentsOf(0, "--advertise", other.Addresses[0]));
        using HengeClient client = new(new HengeClientOptions { Peers = [node.Addresses[0]], UseSessions = sessions });
        Exception? refused = null;
        int written = 0, inDoubt = 0;
        while (refused is null)
        {
            limit.Token.ThrowIfCancellationRequested();
            try
            {
                // Until the topology has come, the client writes to the node that it was told of.
                await client.PutAsync($"key{written + inDoubt}", "value", cancellationToken: limit.Token);
                written++;
            }
            catch (UnavailableException)
            {
                continue;
            }
            catch (UnknownOutcomeException)
            {
                // A node that has just started answers late on a slow machine.
                inDoubt++;
            }
            catch (Exception e)
            {
                refused = e;
            }
        }

        Assert.IsType<MisconfiguredException>(refused);
        await Assert.ThrowsAsync<MisconfiguredException>(() => client.PutAsync("more", "value", cancellationToken: limit.Token).AsTask());
        await Assert.ThrowsAsync<MisconfiguredException>(() => client.CountAsync(cancellationToken: limit.Token));
        using HengeClient there = other.Client(new HengeClientOptions { RouteToLeaders = false });
        Assert.Equal(0, await there.CountAsync(cancellationToken: limit.Token));
        using HengeClient here = node.Client(new HengeClientOptions { RouteToLeaders = false });
        Assert.InRange(await here.CountAsync(cancellationToken: limit.Token), written, written + inDoubt);
    }

    [Fact]
    public async Task Bytes_on_a_connection_without_a_peers_hello_are_not_buffered()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        await using ClusterProcesses cluster = new(1, limit.Token);
        await cluster.StartAllAsync();
        using TcpClient client = new();
        await client.ConnectAsync(IPEndPoint.Parse(cluster.Addresses[0]), limit.Token);
        byte[] claim = [(byte)'H', (byte)'G', (byte)'P', 2, 0, 0, 0, 2, 0, 0, 0, 0];
        await client.GetStream().WriteAsync(claim, limit.Token);
        Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1], limit.Token));
    }
}
