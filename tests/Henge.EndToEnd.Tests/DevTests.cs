using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Henge.Client;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary><c>henge dev</c>, and nodes that are added to it.</summary>
public sealed class DevTests
{
    [Fact]
    public async Task With_tls_nodes_and_what_is_added_to_them_have_certificates()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        DirectoryInfo data = Directory.CreateTempSubdirectory("henge-dev-");
        try
        {
            int port = ClusterProcesses.FreePorts(3);
            string certs = Path.Combine(data.FullName, "certs");
            using HengeProcess dev = HengeProcess.StartUnder(
                [],
                ["dev", "--tls", "--nodes", "2", "--port", Text(port), "--data-dir", data.FullName, "--", "--memory", "64MiB"],
                ("HENGE_TLS_CERT", "of-the-shell.crt"));
            using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(25));
            while (!dev.Printed.Contains($"export HENGE_TLS_CA={Path.Combine(certs, "ca.crt")}", StringComparison.Ordinal))
            {
                Assert.False(dev.HasExited, dev.Printed);
                await timer.WaitForNextTickAsync(limit.Token);
            }

            using (HengeProcess add = HengeProcess.Start("dev", "add", "--data-dir", data.FullName))
            {
                Assert.True(await add.WaitForExitAsync(limit.Token) == 0, add.Printed);
            }

            using HengeClient client = new(new HengeClientOptions
            {
                Peers = ["localhost:" + Text(port + 2)],
                RouteToLeaders = false,
                Tls = HengeTls.FromFiles(
                    Path.Combine(certs, "ca.crt"), Path.Combine(certs, "client.dev.crt"), Path.Combine(certs, "client.dev.key")),
            });
            Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);
            dev.Terminate();
            Assert.Equal(0, await dev.WaitForExitAsync(limit.Token));
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task A_node_is_added_to_the_running_cluster_and_is_there_again_at_the_next_start()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        DirectoryInfo data = Directory.CreateTempSubdirectory("henge-dev-");
        try
        {
            int port = ClusterProcesses.FreePorts(2);
            string[] dev = ["dev", "--nodes", "1", "--port", Text(port), "--data-dir", data.FullName, "--", "--memory", "64MiB"];
            string second = "127.0.0.1:" + Text(port + 1);
            (int exitCode, string printed) = await RunAsync("dev", "add", "--data-dir", data.FullName);
            Assert.NotEqual(0, exitCode);
            Assert.Contains("No henge dev runs", printed, StringComparison.Ordinal);
            using (HengeProcess first = HengeProcess.Start(dev))
            {
                await UntilPrintedAsync(first, "is ready");
                (exitCode, printed) = await RunAsync("dev", "add", "--data-dir", data.FullName);
                Assert.True(exitCode == 0, printed);
                Assert.Contains("node2  " + second, printed, StringComparison.Ordinal);
                using HengeClient client = new(new HengeClientOptions { Peers = [second], RouteToLeaders = false });
                Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);
                first.Terminate();
                Assert.Equal(0, await first.WaitForExitAsync(limit.Token));
            }

            // A cluster that would lack a node is refused, with the port that it lacks.
            using (TcpListener other = new(IPAddress.Loopback, port + 1))
            {
                other.Start();
                (exitCode, printed) = await RunAsync(dev);
                Assert.Equal(2, exitCode);
                Assert.Contains($"Something listens on {second} already", printed, StringComparison.Ordinal);
            }

            using HengeProcess again = HengeProcess.Start(dev);
            await UntilPrintedAsync(again, "A cluster of 2 nodes is ready");
            using HengeClient later = new(new HengeClientOptions { Peers = [second], RouteToLeaders = false });
            Assert.Equal("value", (await later.GetAsync("key", cancellationToken: limit.Token)).Text);
            again.Terminate();
            Assert.Equal(0, await again.WaitForExitAsync(limit.Token));
        }
        finally
        {
            data.Delete(recursive: true);
        }

        async Task<(int ExitCode, string Printed)> RunAsync(params string[] arguments)
        {
            using HengeProcess process = HengeProcess.Start(arguments);
            return (await process.WaitForExitAsync(limit.Token), process.Printed);
        }

        async Task UntilPrintedAsync(HengeProcess process, string text)
        {
            while (!process.Printed.Contains(text, StringComparison.Ordinal))
            {
                Assert.False(process.HasExited, process.Printed);
                Assert.False(limit.IsCancellationRequested, $"Never printed \"{text}\", only: {process.Printed}");
                await Task.Delay(50, CancellationToken.None);
            }
        }
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
