using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests;

/// <summary>Certificates, mutual TLS, and the rule that no port is open by accident.</summary>
public sealed class TlsTests
{
    [Fact]
    public async Task A_cluster_with_certificates_serves_loses_a_node_and_takes_another_one_in()
    {
        using CancellationTokenSource limit = Rounds.Limit(2);
        using Certificates certificates = await Certificates.CreateAsync(limit.Token, "n1", "n2", "n3", "n4");
        await using ClusterProcesses cluster = new(3, limit.Token, certificates: certificates);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client();
        Assert.True((await client.PutAsync("key", "value", cancellationToken: limit.Token)).Succeeded);

        // Each node is asked by the one that was called, as a node.
        Wire.ClusterStatusResponse all = await client.ClusterStatusAsync(limit.Token);
        Assert.Equal(["", "", ""], all.Nodes.Select(static n => n.Error));

        cluster.Kill(1);
        Assert.True((await client.PutAsync("key", "after", cancellationToken: limit.Token)).Succeeded);
        cluster.Start(1);
        await cluster.WaitReadyAsync(1);

        string address = ClusterProcesses.FreeAddress();
        using HengeProcess fourth = HengeProcess.Start(cluster.Joining("n4", address, "--join", cluster.Addresses[0]));
        using HengeClient there = new(
            new HengeClientOptions { Peers = [address], RouteToLeaders = false, Tls = certificates.ForClient() });
        await cluster.UntilAsync("the fourth node serves", async () =>
        {
            Assert.False(fourth.HasExited, fourth.Printed);
            try
            {
                return (await there.GetAsync("key", cancellationToken: limit.Token)).Text == "after"
                    && (await client.TopologyAsync(address, limit.Token)).Nodes.Count == 4;
            }
            catch (HengeException)
            {
                return false;
            }
        });

        await cluster.UntilAsync("the command line finds it healthy", async () =>
        {
            using HengeProcess status = HengeProcess.Start(
                "status", "--peers", cluster.Addresses[0], "--output", "json",
                "--tls-ca", certificates.FileOf("ca.crt"),
                "--tls-cert", certificates.FileOf("client.tester.crt"),
                "--tls-key", certificates.FileOf("client.tester.key"));
            if (await status.WaitForExitAsync(limit.Token) != 0)
            {
                return false;
            }

            using var told = JsonDocument.Parse(status.Printed);
            Assert.False(told.RootElement.GetProperty("insecure").GetBoolean());
            return told.RootElement.GetProperty("verdict").GetString() == "healthy";
        });
    }

    [Fact]
    public async Task All_protocols_of_the_port_are_behind_tls_and_need_a_certificate()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        using Certificates certificates = await Certificates.CreateAsync(limit.Token, "n1");
        await using ClusterProcesses node = new(1, limit.Token, certificates: certificates);
        await node.StartAllAsync();
        string address = node.Addresses[0];
        Assert.StartsWith("+OK", await TalkAsync(address, certificates.ForClient(), "SET a 1\r\n", limit.Token), StringComparison.Ordinal);
        Assert.StartsWith(
            "{\"Ok\":", await TalkAsync(address, certificates.ForClient(), "{\"Get\":{\"key\":\"a\"}}\n", limit.Token),
            StringComparison.Ordinal);
        Assert.Equal("ok\n", await node.GetTextAsync(0, "/readyz"));
        Assert.Contains("henge_insecure 0", await node.GetTextAsync(0, "/metrics"), StringComparison.Ordinal);
        Assert.Contains(
            "henge_tls_expiry_seconds{henge_certificate=\"certificate\"} ", await node.GetTextAsync(0, "/metrics"),
            StringComparison.Ordinal);
        using HengeClient client = node.Client();
        Assert.Equal("1", (await client.GetAsync("a", cancellationToken: limit.Token)).Text);

        // Whoever shows none, or one of another authority, gets nothing; and so does cleartext.
        using Certificates others = await Certificates.CreateAsync(limit.Token, "n1");
        SslClientAuthenticationOptions foreign = certificates.ForClient(null);
        foreign.ClientCertificateContext = others.ForClient().ClientCertificateContext;
        foreach (SslClientAuthenticationOptions refused in new[] { certificates.ForClient(null), foreign })
        {
            Assert.Equal("", await TalkAsync(address, refused, "SET a 2\r\n", limit.Token));
        }

        Assert.Equal("", await TalkAsync(address, null, "SET a 2\r\n", limit.Token));
        Assert.Equal("1", (await client.GetAsync("a", cancellationToken: limit.Token)).Text);

        // The client checks whom it has called.
        await Assert.ThrowsAsync<AuthenticationException>(() => TalkAsync(address, others.ForClient(), "PING\r\n", limit.Token));
        await Assert.ThrowsAsync<AuthenticationException>(() =>
            TalkAsync(address, certificates.ForClient(), "PING\r\n", limit.Token, host: "db.example"));
    }

    [Fact]
    public async Task Nobody_but_a_node_is_a_peer()
    {
        using CancellationTokenSource limit = Rounds.Limit(2);
        using Certificates certificates = await Certificates.CreateAsync(limit.Token, "n1", "n4");
        await using ClusterProcesses cluster = new(1, limit.Token, certificates: certificates);
        await cluster.StartAllAsync();
        string address = cluster.Addresses[0];
        byte[] hello = [.. "HGP"u8, 1, 0, 0, 0, 32, .. new byte[32]];

        // By the peers' door: a user, and nobody by cleartext.
        Assert.Equal("", await TalkAsync(address, certificates.ForClient(), Encoding.Latin1.GetString(hello), limit.Token));
        await cluster.UntilAsync(
            "the user was refused as a node",
            () => Task.FromResult(cluster[0].Printed.Contains("its certificate is no node's (CN=tester)", StringComparison.Ordinal)));
        Assert.Equal("", await TalkAsync(address, null, Encoding.Latin1.GetString(hello), limit.Token));

        // By calls that are between nodes.
        using GrpcChannel channel = GrpcChannel.ForAddress(
            $"https://{address}",
            new GrpcChannelOptions { HttpHandler = new SocketsHttpHandler { SslOptions = certificates.ForClient() } });
        Wire.Cluster.ClusterClient calls = new(channel);
        Func<Task>[] between =
        [
            async () => await calls.JoinAsync(new Wire.JoinRequest { NodeId = "n9", Address = "127.0.0.1:1", Incarnation = 7 }),
            async () => await calls.ReportRemainsAsync(new Wire.ReportRemainsRequest()),
            async () => await calls.AdoptRecoveryAsync(new Wire.AdoptRecoveryRequest()),
        ];
        foreach (Func<Task> call in between)
        {
            RpcException refused = await Assert.ThrowsAsync<RpcException>(call);
            Assert.Contains("This call is for nodes", refused.Status.Detail, StringComparison.Ordinal);
        }

        // A node whose certificate is a user's does not start; one of another authority does not get in.
        string free = ClusterProcesses.FreeAddress();
        string[] join = ["--join", address];
        using HengeProcess user = HengeProcess.Start(
            [.. Without(cluster.Joining("n4", free, join), "--tls-cert", "--tls-key"), .. Pair(certificates, "client.tester")]);
        Assert.NotEqual(0, await user.WaitForExitAsync(limit.Token));
        Assert.Contains("is for clients only (CN=tester)", user.Printed, StringComparison.Ordinal);

        using Certificates others = await Certificates.CreateAsync(limit.Token, "n4");
        using HengeProcess foreign = HengeProcess.Start(
            [.. Without(cluster.Joining("n4", free, join), "--tls-cert", "--tls-key", "--tls-ca"), .. others.ArgumentsOf("n4")]);
        await cluster.UntilAsync("it hears why", () =>
        {
            Assert.False(foreign.HasExited, foreign.Printed);
            return Task.FromResult(foreign.Printed.Contains("is not one of this cluster", StringComparison.Ordinal));
        });

        // One without TLS neither, and the cluster has no more members for all that.
        foreign.Kill();
        using HengeProcess cleartext = HengeProcess.Start(
            Without(cluster.Joining("n4", free, join), "--tls-cert", "--tls-key", "--tls-ca"));
        await cluster.UntilAsync("it is not taken in", () =>
        {
            Assert.False(cleartext.HasExited, cleartext.Printed);
            return Task.FromResult(cleartext.Printed.Contains("has not taken this node into its cluster yet", StringComparison.Ordinal));
        });
        using HengeClient client = cluster.Client();
        Assert.Single((await client.TopologyAsync(address, limit.Token)).Nodes);
    }

    [Fact]
    public async Task Renewed_files_are_used_without_a_restart_and_broken_ones_are_not()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        using Certificates certificates = await Certificates.CreateAsync(limit.Token, "n1");
        await using ClusterProcesses node = new(1, limit.Token, certificates: certificates);
        await node.StartAllAsync();
        string before = await SerialAsync(node.Addresses[0], certificates, limit.Token);
        await certificates.DoAsync("renew", "n1", "--days", "20");
        string renewed = certificates.Read("n1").SerialNumber;
        Assert.NotEqual(before, renewed);
        await UntilSerialAsync(node, certificates, renewed, limit.Token);
        await node.UntilAsync(
            "the near end is told",
            () => Task.FromResult(node[0].Printed.Contains("in 19 days. Renew it with", StringComparison.Ordinal)));

        string good = await File.ReadAllTextAsync(certificates.FileOf("n1.crt"), limit.Token);
        await File.WriteAllTextAsync(certificates.FileOf("n1.crt"), "-----BEGIN CERTIFICATE-----\nbroken", limit.Token);
        await node.UntilAsync(
            "the broken file is told of",
            () => Task.FromResult(node[0].Printed.Contains("changed files of TLS are not used", StringComparison.Ordinal)));
        Assert.Equal(renewed, await SerialAsync(node.Addresses[0], certificates, limit.Token));

        await File.WriteAllTextAsync(certificates.FileOf("n1.crt"), good, limit.Token);
        await certificates.DoAsync("renew", "n1");
        await UntilSerialAsync(node, certificates, certificates.Read("n1").SerialNumber, limit.Token);
    }

    [Fact]
    public async Task An_authority_is_replaced_while_the_cluster_serves()
    {
        using CancellationTokenSource limit = Rounds.Limit(2);
        using Certificates old = await Certificates.CreateAsync(limit.Token, "n1", "n2", "n3");
        using Certificates fresh = await Certificates.CreateAsync(limit.Token, "n1", "n2", "n3");
        await using ClusterProcesses cluster = new(3, limit.Token, certificates: old);
        await cluster.StartAllAsync();
        using HengeClient client = cluster.Client();
        string authorities = await File.ReadAllTextAsync(old.FileOf("ca.crt"), limit.Token);
        string added = await File.ReadAllTextAsync(fresh.FileOf("ca.crt"), limit.Token);
        await File.WriteAllTextAsync(old.FileOf("ca.crt"), authorities + added, limit.Token);
        await UntilAllPrintedAsync(cluster, "; 2 authorities");

        // A node with a certificate of the new one among nodes with those of the old one.
        Replace("n1");
        await UntilSerialAsync(cluster, old, fresh.Read("n1").SerialNumber, limit.Token);
        cluster.Kill(0);
        Assert.True((await client.PutAsync("a", "1", cancellationToken: limit.Token)).Succeeded);
        cluster.Start(0);
        await UntilServesAsync(0, old);
        Replace("n2");
        Replace("n3");
        await File.WriteAllTextAsync(old.FileOf("ca.crt"), added, limit.Token);
        await UntilAllPrintedAsync(cluster, "; 1 authorities.");
        foreach (int node in cluster.All)
        {
            cluster.Kill(node);
            cluster.Start(node);
            await UntilServesAsync(node, fresh);
        }

        // A user of the old authority is nobody any more.
        SslClientAuthenticationOptions former = fresh.ForClient(null);
        former.ClientCertificateContext = old.ForClient().ClientCertificateContext;
        Assert.Equal("", await TalkAsync(cluster.Addresses[0], former, "GET a\r\n", limit.Token));

        Task UntilServesAsync(int node, Certificates by) => cluster.UntilAsync("it serves", async () =>
        {
            try
            {
                return (await TalkAsync(cluster.Addresses[node], by.ForClient(), "GET a\r\n", limit.Token))
                    .StartsWith("$1\r\n1", StringComparison.Ordinal);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                return false;
            }
        });

        void Replace(string name)
        {
            // One file after the other, as anybody would: a pair that does not fit is not used.
            foreach (string end in (string[])[".crt", ".key"])
            {
                File.Copy(fresh.FileOf(name + end), old.FileOf(name + end), overwrite: true);
            }
        }
    }

    [Fact]
    public async Task A_key_that_everybody_can_read_is_refused()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Files have no such modes there.");
        using CancellationTokenSource limit = Rounds.Limit();
        using Certificates certificates = await Certificates.CreateAsync(limit.Token, "n1");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(certificates.FileOf("n1.key"), KeyFile.Mode | UnixFileMode.OtherRead);
        }

        await using ClusterProcesses node = new(1, limit.Token, certificates: certificates);
        using HengeProcess process = HengeProcess.Start(node.ArgumentsOf(0));
        Assert.NotEqual(0, await process.WaitForExitAsync(limit.Token));
        Assert.Contains("chmod 600", process.Printed, StringComparison.Ordinal);
        Assert.False(Directory.Exists(node.DataDirectory(0)));
    }

    [Fact]
    public async Task A_node_does_not_listen_openly_unless_it_was_told_to()
    {
        using CancellationTokenSource limit = Rounds.Limit();
        using Certificates certificates = await Certificates.CreateAsync(limit.Token, "n1");
        await using ClusterProcesses node = new(1, limit.Token);
        string[] open = Openly(node.ArgumentsOf(0), node.Addresses[0]);
        using (HengeProcess refused = HengeProcess.Start(open))
        {
            Assert.NotEqual(0, await refused.WaitForExitAsync(limit.Token));
            foreach (string way in (string[])["henge cert create-ca", "your own certificates", "--insecure"])
            {
                Assert.Contains(way, refused.Printed, StringComparison.Ordinal);
            }
        }

        // TLS alone does not say who calls.
        using (HengeProcess anonymous = HengeProcess.Start([.. open, .. certificates.ArgumentsOf("n1"), "--tls-client-auth", "optional"]))
        {
            Assert.NotEqual(0, await anonymous.WaitForExitAsync(limit.Token));
            Assert.Contains("without knowing who calls", anonymous.Printed, StringComparison.Ordinal);
        }

        Assert.False(Directory.Exists(node.DataDirectory(0)));
        using (HengeProcess insecure = HengeProcess.Start([.. open, "--insecure"]))
        {
            using HttpClient http = new();
            await node.UntilAsync("it serves", async () =>
            {
                Assert.False(insecure.HasExited, insecure.Printed);
                try
                {
                    return (await http.GetStringAsync(node.UriOf(0, "/readyz"), limit.Token))
                        .StartsWith("ok\ninsecure: ", StringComparison.Ordinal);
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            });
            Assert.Contains("INSECURE: started with --insecure", insecure.Printed, StringComparison.Ordinal);
            Assert.Contains(
                "\nhenge_insecure 1", await http.GetStringAsync(node.UriOf(0, "/metrics"), limit.Token), StringComparison.Ordinal);
            using HengeProcess status = HengeProcess.Start("status", "--peers", node.Addresses[0]);
            Assert.Equal(0, await status.WaitForExitAsync(limit.Token));
            Assert.Contains("Insecure: n1 was started with --insecure", status.Printed, StringComparison.Ordinal);
        }

        using HengeProcess secure = HengeProcess.Start([.. open, .. certificates.ArgumentsOf("n1")]);
        await node.UntilAsync("it listens", () =>
        {
            Assert.False(secure.HasExited, secure.Printed);
            return Task.FromResult(secure.Printed.Contains("n1 listens on 0.0.0.0", StringComparison.Ordinal));
        });
        Assert.StartsWith(
            "+PONG", await TalkAsync(node.Addresses[0], certificates.ForClient(), "PING\r\n", limit.Token), StringComparison.Ordinal);
    }

    private static string[] Openly(string[] arguments, string address)
    {
        int addr = Array.IndexOf(arguments, "--addr") + 1;
        arguments[addr] = "0.0.0.0" + address[address.LastIndexOf(':')..];
        return [.. arguments, "--advertise", address];
    }

    private static string[] Without(string[] arguments, params string[] options)
    {
        List<string> left = [.. arguments];
        foreach (string option in options)
        {
            left.RemoveRange(left.IndexOf(option), 2);
        }

        return [.. left];
    }

    private static string[] Pair(Certificates certificates, string name) =>
        ["--tls-cert", certificates.FileOf(name + ".crt"), "--tls-key", certificates.FileOf(name + ".key")];

    private static Task UntilAllPrintedAsync(ClusterProcesses cluster, string text) => cluster.UntilAsync(
        $"all nodes have printed \"{text}\"",
        () => Task.FromResult(cluster.All.All(n => cluster[n].Printed.Contains("TLS goes on by new files", StringComparison.Ordinal)
            && cluster[n].Printed.Contains(text, StringComparison.Ordinal))));

    private static Task UntilSerialAsync(ClusterProcesses cluster, Certificates certificates, string serial, CancellationToken cancel) =>
        cluster.UntilAsync(
            "the node shows the new certificate",
            async () => await SerialAsync(cluster.Addresses[0], certificates, cancel) == serial);

    private static async Task<string> SerialAsync(string address, Certificates certificates, CancellationToken cancel)
    {
        using TcpClient tcp = new();
        await tcp.ConnectAsync(IPEndPoint.Parse(address), cancel);
        SslClientAuthenticationOptions options = certificates.ForClient();
        options.TargetHost = "127.0.0.1";
        await using SslStream stream = new(tcp.GetStream());
        await stream.AuthenticateAsClientAsync(options, cancel);
        Assert.True(stream.SslProtocol >= SslProtocols.Tls12);
        return ((X509Certificate2)stream.RemoteCertificate!).SerialNumber;
    }

    /// <summary>Says something and gives the first that is answered; empty: the connection was closed without a word.</summary>
    private static async Task<string> TalkAsync(
        string address,
        SslClientAuthenticationOptions? tls,
        string text,
        CancellationToken cancel,
        string host = "127.0.0.1")
    {
        using TcpClient tcp = new();
        await tcp.ConnectAsync(IPEndPoint.Parse(address), cancel);
        Stream stream = tcp.GetStream();
        if (tls is not null)
        {
            tls.TargetHost = host;
            SslStream inner = new(stream);
            stream = inner;
            await inner.AuthenticateAsClientAsync(tls, cancel);
        }

        await using (stream)
        {
            byte[] buffer = new byte[4096];
            try
            {
                await stream.WriteAsync(Encoding.Latin1.GetBytes(text), cancel);
                return Encoding.Latin1.GetString(buffer, 0, await stream.ReadAsync(buffer, cancel));
            }
            catch (IOException)
            {
                return "";
            }
        }
    }
}
