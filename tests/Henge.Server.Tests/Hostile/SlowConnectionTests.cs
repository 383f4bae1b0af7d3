using System.Diagnostics;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Hosting;
using Henge.Server.JsonLines;
using Henge.Server.Peers;
using Henge.Server.Ports;
using Henge.Server.Resp;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;
using Henge.Server.Thrift;
using Henge.Server.Tls;

namespace Henge.Server.Tests.Hostile;

/// <summary>
/// Connections that begin something and never end it ("slowloris"), in every phase and protocol of the port: each has a time after which
/// the node ends it. The times are short here, and the tests wait for the end, however long that takes.
/// </summary>
public sealed class SlowConnectionTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);

    // SETTINGS without any, and the first part of a request's headers: END_HEADERS is not set.
    private const string Http2Begin = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    private const string HalfHeaders = "\0\0\x02\x01\0\0\0\0\x01\x83\x86";

    [Theory]
    [InlineData("nothing", "")]
    [InlineData("half of a method", "GE")]
    [InlineData("half of a request line", "GET /v1/kv/")]
    [InlineData("half of HTTP/2's preface", "PRI * HTTP/2")]
    [InlineData("HTTP/2's preface and no settings", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    [InlineData("HTTP/2 and no request", Http2Begin)]
    [InlineData("half of HTTP/2's headers", Http2Begin + HalfHeaders)]
    [InlineData("half of the headers", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\nX-")]
    [InlineData("a request that never comes", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    [InlineData("half of a body", "PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")]
    [InlineData("half of a RESP command", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nhalf")]
    [InlineData("half of a second RESP command", "*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n")]
    [InlineData("half of an inline command", "SET a half")]
    [InlineData("half of a JSON request", "{\"Set\":{\"key\":\"a\",\"value\":\"half")]
    [InlineData("half of a node's hello", "HGP\x03\0\0")]
    [InlineData("half of the length of a Thrift frame", "\0\0")]
    [InlineData("the length of a Thrift frame alone", "\0\0\0\x20")]
    [InlineData("half of a Thrift call", "\0\0\0\x20\x80\x01\0\x01\0\0\0\x03get\0\0")]
    [InlineData("half of a compact Thrift call", "\0\0\0\x20\x82\x21\x01\x03get")]
    [InlineData("half of a Thrift frame that is too long", "\x07\0\0\x20\x80\x01\0\x01\0\0\0\x03get\0\0")]
    public async Task What_is_never_ended_is_ended(string what, string text)
    {
        FakeNode node = new();
        using PeerTransport transport = new(
            new NodeId(1), [new NodeEntry(new NodeId(1), "a", "127.0.0.1:1")], new PeerTransportOptions { HelloTimeoutMs = 300 });
        await using RunningServer server = await RunningServer.StartAsync(
            node, Hasty, [new PeerProtocol(transport), new RespProtocol(node), new JsonLinesProtocol(node), .. ThriftProtocol.Both(node)]);
        string answer = await RawConnection.AnswerAsync(server.Server.EndPoint, text);
        Assert.False(answer.Contains("half", StringComparison.Ordinal), what);
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 0);
        Assert.Equal(0, node.Submitted);
    }

    [Fact]
    public async Task A_byte_now_and_then_does_not_help()
    {
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(node, Hasty, [new RespProtocol(node)]);
        using RawConnection slow = await RawConnection.OpenAsync(server.Server.EndPoint);
        await slow.SayAsync("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\n");
        Task<string> end = slow.EndAsync();
        while (!end.IsCompleted)
        {
            try
            {
                await slow.SayAsync("x");
                await Task.WhenAny(end, Task.Delay(20));
            }
            catch (IOException)
            {
                // It is cut.
                break;
            }
        }

        await end;
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 0);
    }

    [Fact]
    public async Task Who_asks_nothing_and_who_is_busy_may_stay()
    {
        // Longer than this machine may stall between two pieces of a command.
        TimeSpan time = TimeSpan.FromSeconds(3);
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(
            node, o => o with { Port = new PortLimits { RequestTimeout = time } }, [new RespProtocol(node)]);
        using RawConnection idle = await RawConnection.OpenAsync(server.Server.EndPoint);
        await AskAsync(idle, "PING\r\n");
        using RawConnection slow = await RawConnection.OpenAsync(server.Server.EndPoint);
        await slow.SayAsync("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\n");
        await slow.EndAsync();

        // Commands that come in two pieces, so that there always is a beginning, for longer than one of them may take.
        long since = Stopwatch.GetTimestamp();
        await idle.SayAsync("PI");
        while (Stopwatch.GetElapsedTime(since) < 1.5 * time)
        {
            await idle.SayAsync("NG\r\nPI");
            await ReadAsync(idle, "+PONG\r\n");
        }

        await AskAsync(idle, "NG\r\n");
    }

    [Theory]
    [InlineData("")]
    [InlineData("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03")]
    public async Task A_handshake_of_TLS_has_its_time(string text)
    {
        using TestCertificates certificates = new();
        certificates.Sign("n", "CN=node", DateTimeOffset.UtcNow.AddDays(10));
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(node, o => Hasty(o) with
        {
            TlsCertificateFile = certificates.FileOf("n.crt"),
            TlsKeyFile = certificates.FileOf("n.key"),
            TlsAuthorityFile = certificates.FileOf("ca.crt"),
            TlsClientAuthentication = TlsClientAuthentication.Require,
        });
        await RawConnection.AnswerAsync(server.Server.EndPoint, text);
        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 0);
    }

    private static DoorOptions Hasty(DoorOptions options) => options with
    {
        Port = new PortLimits { FirstBytesTimeout = Short, TlsHandshakeTimeout = Short, RequestTimeout = Short },
        Http = new HttpLimits { HeadersTimeout = Short, IdleTimeout = Short },
    };

    private static async Task AskAsync(RawConnection connection, string text)
    {
        await connection.SayAsync(text);
        await ReadAsync(connection, "+PONG\r\n");
    }

    private static async Task ReadAsync(RawConnection connection, string expected)
    {
        byte[] reply = new byte[expected.Length];
        using CancellationTokenSource patience = new(RunningServer.Patience);
        await connection.Stream.ReadExactlyAsync(reply, patience.Token);
        Assert.Equal(expected, Encoding.Latin1.GetString(reply));
    }
}
