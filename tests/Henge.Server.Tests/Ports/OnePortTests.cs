using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Google.Protobuf;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Hosting;
using Henge.Server.Ports;
using Henge.Server.Resp;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Henge.Server.Tests.Ports;

public sealed class OnePortTests
{
    [Fact]
    public async Task Grpc_and_http1_and_other_protocols_share_a_port()
    {
        await using RunningServer server = await RunningServer.StartAsync(
            protocols: [new EchoProtocol("echo", "*"u8.ToArray()), new EchoProtocol("json", "{"u8.ToArray())]);
        await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = ByteString.CopyFromUtf8("k") });
        Assert.StartsWith("HTTP/1.1 200 OK", await TalkAsync(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        Assert.Equal("echo:*1\r\n", await TalkAsync(server, "*1\r\n", answerBytes: 9));
        Assert.Equal("json:{}\n", await TalkAsync(server, "{}\n", answerBytes: 8));
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("k") });
    }

    [Fact]
    public async Task First_bytes_that_come_one_by_one_are_told_apart_all_the_same()
    {
        await using RunningServer server = await RunningServer.StartAsync(
            protocols: [new EchoProtocol("inline", "PING"u8.ToArray(), whole: true)]);
        Assert.StartsWith(
            "HTTP/1.1 200 OK",
            await TalkAsync(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", slowly: true));
        Assert.Equal("inline:PING\r\n", await TalkAsync(server, "PING\r\n", slowly: true, answerBytes: 13));
    }

    [Fact]
    public async Task Unknown_first_bytes_get_an_answer_in_words_and_are_cut()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        Assert.Contains("Henge speaks gRPC", await TalkAsync(server, "\x16\x03\x01 hello\r\n"));
        Assert.Contains("Henge speaks gRPC", await TalkAsync(server, "PRI * HTTP/3.0\r\n\r\n"));
        Assert.Contains("Henge speaks gRPC", await TalkAsync(server, "PINGPONG\r\n"));
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 0);
    }

    [Fact]
    public async Task A_silent_connection_is_cut_after_its_time()
    {
        await using RunningServer server = await RunningServer.StartAsync(options: o =>
            o with
            {
                Port = new PortLimits { FirstBytesTimeout = TimeSpan.FromMilliseconds(150) },
            });
        Assert.Equal("", await TalkAsync(server, ""));
        Assert.Equal("", await TalkAsync(server, "PRI * "));
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 0);
    }

    [Fact]
    public async Task Connections_over_the_limit_are_closed_and_the_others_go_on()
    {
        await using RunningServer server = await RunningServer.StartAsync(options: o =>
            o with
            {
                Port = new PortLimits { Connections = 2 },
            });
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("k") });
        using TcpClient second = await ConnectAsync(server);
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 2);
        Assert.Equal("", await TalkAsync(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("k") });
        second.Close();
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 1);
        Assert.StartsWith("HTTP/1.1 200", await TalkAsync(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    }

    [Fact]
    public async Task Over_the_limit_a_client_is_told_in_its_own_language_and_other_nodes_still_have_places()
    {
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(
            node,
            o => o with { Port = new PortLimits { Connections = 1 } },
            [new EchoProtocol("peer", "HGP"u8.ToArray(), betweenNodes: true), new RespProtocol(node)]);
        using TcpClient first = await ConnectAsync(server);
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 1);
        Assert.StartsWith("-ERR the server has 1 connections", await TalkAsync(server, "PING\r\n"));
        Assert.Equal("peer:HGP", await TalkAsync(server, "HGP", answerBytes: 8));
    }

    [Fact]
    public async Task Bytes_of_all_connections_together_are_bounded_and_the_one_that_needs_more_is_told()
    {
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(
            node,
            o => o with { Port = new PortLimits { InputBytes = 300_000 } },
            [new RespProtocol(node)]);
        string part = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\n" + new string('x', 300_000);
        using TcpClient first = await ConnectAsync(server);
        await first.GetStream().WriteAsync(Encoding.ASCII.GetBytes(part));
        await GrpcRulesTests.Until(() => server.Server.InputBytes > 200_000);
        Assert.Contains("limit-input-memory", await TalkAsync(server, part));
        Assert.StartsWith("+PONG", await TalkAsync(server, "PING\r\n", answerBytes: 7));

        // The first one has its memory still, and gives it back when it ends.
        first.Close();
        await GrpcRulesTests.Until(() => server.Server.InputBytes == 0);
    }

    [Fact]
    public async Task Connections_of_one_address_are_limited_apart()
    {
        await using RunningServer server = await RunningServer.StartAsync(options: o =>
            o with
            {
                Port = new PortLimits { ConnectionsPerAddress = 1 },
            });
        using TcpClient first = await ConnectAsync(server);
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 1);
        Assert.Equal("", await TalkAsync(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        first.Close();
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 0);
        Assert.StartsWith("HTTP/1.1 200", await TalkAsync(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    }

    [Fact]
    public async Task Everything_works_behind_tls_as_well()
    {
        string file = Path.GetTempFileName();
        try
        {
            (string pem, string hash) = CreateCertificate();
            bool IsOurs(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors) =>
                certificate?.GetCertHashString() == hash;
            await File.WriteAllTextAsync(file, pem);
            await using RunningServer server = await RunningServer.StartAsync(
                options: o => o with { TlsCertificateFile = file },
                protocols: [new EchoProtocol("echo", "*"u8.ToArray())]);
            using HttpMessageInvoker http = new(
                new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = IsOurs } }
            );
            using HttpRequestMessage request = server.Request(
                "/henge.v1.KVStore/Put",
                new ByteArrayContent(
                    RunningServer.Frame(
                        new PutRequest { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFrom(new byte[300_000]) })));
            request.RequestUri = new Uri($"https://{server.Address}/henge.v1.KVStore/Put");
            using HttpResponseMessage response = await http.SendAsync(request, CancellationToken.None);
            Assert.Equal(GrpcStatusCode.Ok, CallResult.Of(response, await response.Content.ReadAsByteArrayAsync()).Status);

            using HttpRequestMessage health = new(HttpMethod.Get, $"https://{server.Address}/healthz");
            using HttpResponseMessage healthy = await http.SendAsync(health, CancellationToken.None);
            Assert.Equal("ok\n", await healthy.Content.ReadAsStringAsync());

            using TcpClient client = await ConnectAsync(server);
            using SslStream tls = new(client.GetStream(), false, IsOurs);
            await tls.AuthenticateAsClientAsync("localhost");
            await tls.WriteAsync("*2\r\n"u8.ToArray());
            byte[] answer = new byte[9];
            await tls.ReadExactlyAsync(answer).AsTask().WaitAsync(RunningServer.Patience);
            Assert.Equal("echo:*2\r\n", Encoding.ASCII.GetString(answer));

            // Cleartext on a TLS port is no way in.
            Assert.DoesNotContain("200 OK", await TalkAsync(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Http_paths_that_are_not_there_and_errors_have_their_status()
    {
        await using RunningServer server = await RunningServer.StartAsync(endpoints: MapFailing);
        Assert.StartsWith("HTTP/1.1 404", await TalkAsync(server, "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        Assert.StartsWith("HTTP/1.1 405", await TalkAsync(server, "DELETE /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        string gone = await TalkAsync(server, "GET /fail HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 410", gone);
        Assert.EndsWith("It is gone.\n", gone);
        string broken = await TalkAsync(server, "POST /fail HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 500", broken);
        Assert.DoesNotContain("secret", broken);
    }

    [Fact]
    public async Task Readiness_follows_the_node()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        Assert.StartsWith("HTTP/1.1 200", await TalkAsync(server, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        server.Server.SetProblem("The log is full.");
        string answer = await TalkAsync(server, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 503", answer);
        Assert.EndsWith("The log is full.\n", answer);
        Assert.StartsWith("HTTP/1.1 200", await TalkAsync(server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    }

    [Fact]
    public async Task Garbage_never_stops_the_server()
    {
        await using RunningServer server = await RunningServer.StartAsync(
            options: o => o with { Port = new PortLimits { FirstBytesTimeout = TimeSpan.FromMilliseconds(100) } },
            protocols: [new EchoProtocol("echo", "*"u8.ToArray())]);
        Random random = new(11);
        byte[][] beginnings =
        [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(),
            "GET / HTTP/1.1\r\n"u8.ToArray(),
            "POST /henge.v1.KVStore/Get HTTP/1.1\r\n"u8.ToArray(),
            [],
        ];
        await Task.WhenAll(
            Enumerable
                .Range(0, 60)
                .Select(async i =>
                {
                    byte[] garbage = new byte[random.Next(2000)];
                    random.NextBytes(garbage);
                    using TcpClient client = await ConnectAsync(server);
                    try
                    {
                        NetworkStream stream = client.GetStream();
                        await stream.WriteAsync((byte[])[.. beginnings[i % beginnings.Length], .. garbage]);
                        client.Client.Shutdown(SocketShutdown.Send);
                        await stream.CopyToAsync(Stream.Null).WaitAsync(RunningServer.Patience);
                    }
                    catch (Exception e) when (e is IOException or SocketException or InvalidOperationException)
                    {
                        // The server has cut it off already.
                        Assert.False(e is TimeoutException);
                    }
                }));
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("k") });
    }

    [Fact]
    public async Task A_stopping_server_lets_calls_finish_and_takes_no_new_connections()
    {
        FakeNode node = new();
        node.Intercept = node.Hold;
        await using RunningServer server = await RunningServer.StartAsync(node);
        Task<CallResult> call = server.CallAsync("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("k") });
        await GrpcRulesTests.Until(() => node.Held == 1);
        string address = server.Address;
        Task stop = server.Server.StopAsync();
        await GrpcRulesTests.Until(() => CannotConnect(address));
        Assert.False(stop.IsCompleted);
        node.ReleaseHeld();
        Assert.Equal(GrpcStatusCode.Ok, (await call).Status);
        await stop.WaitAsync(RunningServer.Patience);
    }

    [Fact]
    public async Task A_stop_waits_no_longer_than_it_may()
    {
        FakeNode node = new();
        node.Intercept = node.Hold;
        await using RunningServer server = await RunningServer.StartAsync(
            node,
            o => o with { DrainTimeout = TimeSpan.FromMilliseconds(200) });
        Task<CallResult> call = server.CallAsync("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("k") });
        await GrpcRulesTests.Until(() => node.Held == 1);
        Task stop = server.Server.StopAsync();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => call);
        node.ReleaseHeld();
        await stop.WaitAsync(RunningServer.Patience);
    }

    [Fact]
    public async Task An_address_in_use_is_told_with_the_way_out()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using HengeServer other = new(new FakeNode(), new DoorOptions { Address = server.Address });
        Henge.Core.HengeException e = await Assert.ThrowsAsync<Henge.Core.HengeException>(() => other.StartAsync());
        Assert.Contains("--addr", e.Message);
        Assert.Contains(server.Address, e.Message);
    }

    private static bool CannotConnect(string address)
    {
        using TcpClient client = new();
        try
        {
            client.Connect(IPEndPoint.Parse(address));
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.ConnectionRefused;
        }
    }

    private static async Task<TcpClient> ConnectAsync(RunningServer server)
    {
        TcpClient client = new() { NoDelay = true };
        await client.ConnectAsync(server.Server.EndPoint);
        return client;
    }

    private static async Task<string> TalkAsync(RunningServer server, string text, bool slowly = false, int? answerBytes = null)
    {
        using MemoryStream answer = new();
        using CancellationTokenSource patience = new(RunningServer.Patience);
        try
        {
            // A connection that is refused may be gone before it is seen to be there.
            using TcpClient client = await ConnectAsync(server);
            NetworkStream stream = client.GetStream();
            byte[] bytes = Encoding.Latin1.GetBytes(text);
            for (int at = 0; at < bytes.Length; at += slowly ? 1 : bytes.Length)
            {
                await stream.WriteAsync(bytes.AsMemory(at, slowly ? 1 : bytes.Length), patience.Token);
            }

            byte[] buffer = new byte[4096];
            while (answer.Length < (answerBytes ?? int.MaxValue))
            {
                int read = await stream.ReadAsync(buffer, patience.Token);
                if (read == 0)
                {
                    break;
                }

                answer.Write(buffer, 0, read);
            }
        }
        catch (Exception e) when (e is IOException { InnerException: SocketException } or SocketException or InvalidOperationException)
        {
            return Encoding.Latin1.GetString(answer.ToArray());
        }

        return Encoding.Latin1.GetString(answer.ToArray());
    }

    private static (string Pem, string Hash) CreateCertificate()
    {
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return (certificate.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem(), certificate.GetCertHashString());
    }

    private sealed class EchoProtocol(string name, byte[] beginning, bool whole = false, bool betweenNodes = false) : IConnectionProtocol
    {
        public bool IsBetweenNodes => betweenNodes;

        public string Name => name;

        public bool Matches(ReadOnlySpan<byte> first, out bool needMore)
        {
            byte[] expected = whole ? [.. beginning, (byte)'\r'] : beginning;
            int common = Math.Min(first.Length, expected.Length);
            bool same = first[..common].SequenceEqual(expected.AsSpan(0, common));
            needMore = same && common < expected.Length;
            return same && common == expected.Length;
        }

        public async Task RunAsync(ConnectionContext connection)
        {
            CancellationToken stopping = connection.Features.Get<IConnectionLifetimeNotificationFeature>()!.ConnectionClosedRequested;
            await connection.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes(name + ":"));
            try
            {
                while (true)
                {
                    ReadResult read = await connection.Transport.Input.ReadAsync(stopping);
                    await connection.Transport.Output.WriteAsync(read.Buffer.ToArray());
                    connection.Transport.Input.AdvanceTo(read.Buffer.End);
                    if (read.IsCompleted)
                    {
                        return;
                    }
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private static void MapFailing(IEndpointRouteBuilder routes)
    {
        routes.MapGet(
            "/fail",
            RequestDelegate (HttpContext _) => throw new Henge.Core.HengeException(Henge.Core.ErrorCode.HistoryGone, "It is gone."));
        routes.MapPost("/fail", RequestDelegate (HttpContext _) => throw new InvalidOperationException("secret"));
    }
}
