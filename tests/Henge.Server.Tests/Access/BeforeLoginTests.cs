using System.Net.Sockets;
using System.Text;
using Henge.Server.Ports;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;

namespace Henge.Server.Tests.Access;

/// <summary>What clients of RESP and JSON lines may send, and for how long they may stay, before they have logged in.</summary>
public sealed class BeforeLoginTests : IAsyncLifetime
{
    private const string Secret = $"'{GuardedHost.Password}'";
    private GuardedHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await GuardedHost.StartAsync();

    public async ValueTask DisposeAsync() => await _host.DisposeAsync();

    [Fact]
    public async Task A_command_of_a_client_that_has_not_logged_in_is_short()
    {
        string ten = "*10\r\n" + string.Concat(Enumerable.Repeat("$1\r\nx\r\n", 10));
        Assert.StartsWith("-ERR unknown command", await _host.TalkAsync(ten), StringComparison.Ordinal);
        Assert.Equal(
            "-ERR Protocol error: unauthenticated multibulk length\r\n",
            await AnswerAsync("*11\r\n"));
        Assert.Equal(
            "-ERR Protocol error: unauthenticated multibulk length\r\n",
            await AnswerAsync("*1048576\r\n"));
        Assert.Equal("-NOAUTH Authentication required.\r\n", await _host.TalkAsync(Set(16 * 1024)));

        // The length alone is enough: nothing is waited for, and nothing is kept.
        Assert.Equal(
            "-ERR Protocol error: unauthenticated bulk length\r\n",
            await AnswerAsync("*3\r\n$3\r\nSET\r\n$3\r\na/1\r\n$16385\r\n"));
        Assert.Equal("-ERR Protocol error: too big inline request\r\n", await AnswerAsync("GET " + new string('a', 16 * 1024)));
        Assert.Equal(
            "-ERR Protocol error: too big inline request\r\n",
            await AnswerAsync("GET " + new string('a', 16 * 1024) + "\r\n"));
        Assert.Equal(0, _host.Host.Server.InputBytes);
    }

    [Fact]
    public async Task Once_it_has_logged_in_it_is_as_long_as_any_also_behind_the_login_in_one_piece()
    {
        Assert.Equal("+OK\r\n+OK\r\n", await _host.TalkAsync($"AUTH ann {Secret}\r\n{Set(100_000)}"));
        string many = "*21\r\n$3\r\nDEL\r\n" + string.Concat(Enumerable.Repeat("$3\r\na/1\r\n", 20));
        Assert.StartsWith("+OK\r\n:", await _host.TalkAsync($"AUTH ann {Secret}\r\n{many}"), StringComparison.Ordinal);

        // And short again when it is nobody again.
        Assert.Equal(
            "+OK\r\n+RESET\r\n-ERR Protocol error: unauthenticated multibulk length\r\n",
            await _host.TalkAsync($"AUTH ann {Secret}\r\nRESET\r\n{many}"));
    }

    [Fact]
    public async Task A_JSON_request_is_short_too()
    {
        string set = $"{{\"Set\":{{\"key\":\"a/1\",\"value\":\"{new string('x', 20_000)}\"}}}}";
        Assert.StartsWith(
            "{\"Err\":\"Protocol error: unauthenticated request length",
            await _host.TalkAsync(set),
            StringComparison.Ordinal);
        Assert.StartsWith(
            "{\"Err\":\"Protocol error: unauthenticated request length",
            await AnswerAsync(set[..17_000]),
            StringComparison.Ordinal);
        Assert.Equal(
            "{\"Ok\":null}\n{\"Ok\":null}\n",
            await _host.TalkAsync($"{{\"Auth\":{{\"user\":\"ann\",\"password\":\"{GuardedHost.Password}\"}}}}{set}"));
    }

    [Fact]
    public async Task Where_access_is_not_checked_nobody_has_to_be_short()
    {
        await using GuardedHost open = await GuardedHost.StartAsync(
            static o => o with { Port = new PortLimits { UnauthenticatedConnections = 1, LoginTimeout = TimeSpan.FromMilliseconds(1) } },
            enable: false);
        using TcpClient first = await ConnectAsync(open), second = await ConnectAsync(open);
        Assert.Equal("+PONG\r\n", await AskAsync(first, "PING\r\n", 7));
        Assert.Equal("+PONG\r\n", await AskAsync(second, "PING\r\n", 7));
        Assert.Equal("+OK\r\n", await open.TalkAsync(Set(100_000)));
        Assert.Equal("+PONG\r\n", await AskAsync(first, "PING\r\n", 7));
    }

    [Fact]
    public async Task Replies_that_are_not_read_are_bounded_closer_before_the_login()
    {
        using TcpClient client = await ConnectAsync(_host);
        NetworkStream stream = client.GetStream();
        byte[] pings = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("PING\r\n", 10_000)));
        for (int i = 0; i < 150; i++)
        {
            // The replies are six times as long as the commands, and nobody reads them: 51 MB, far from the bound for all others.
            await stream.WriteAsync(pings).AsTask().WaitAsync(RunningServer.Patience);
        }

        client.Client.Shutdown(SocketShutdown.Send);
        long read = (await EndAsync(client, stream)).Length;
        Assert.True(read < 150 * 10_000L * "-NOAUTH Authentication required.\r\n".Length, $"all {read} bytes of replies were kept for it");
    }

    [Fact]
    public async Task Only_so_many_connections_wait_for_a_login_and_those_that_have_logged_in_are_none_of_them()
    {
        await using GuardedHost host = await GuardedHost.StartAsync(
            static o => o with { Port = new PortLimits { UnauthenticatedConnections = 2 } });
        using TcpClient known = await ConnectAsync(host);
        Assert.Equal("+OK\r\n", await AskAsync(known, $"AUTH ann {Secret}\r\n", 5));
        List<TcpClient> strangers = [];
        try
        {
            for (int i = 0; i < 3; i++)
            {
                TcpClient stranger = await ConnectAsync(host);
                strangers.Add(stranger);
                Assert.StartsWith("-NOAUTH", await AskAsync(stranger, "PING\r\n", 34), StringComparison.Ordinal);
            }

            // The first had to go, and the others are still there.
            Assert.Equal("", await EndAsync(strangers[0]));
            Assert.StartsWith("-NOAUTH", await AskAsync(strangers[1], "PING\r\n", 34), StringComparison.Ordinal);
            Assert.Equal("$-1\r\n", await AskAsync(known, "GET a/9\r\n", 5));
            Assert.Equal("+OK\r\n", await AskAsync(strangers[2], $"AUTH ann {Secret}\r\n", 5));
        }
        finally
        {
            strangers.ForEach(static s => s.Dispose());
        }
    }

    [Fact]
    public async Task Who_does_not_log_in_in_time_is_cut_off_by_either_protocol()
    {
        await using GuardedHost host = await GuardedHost.StartAsync(
            static o => o with { Port = new PortLimits { LoginTimeout = TimeSpan.FromMilliseconds(300) } });
        foreach (string begin in (string[])["*1\r\n", "PING\r\n", "{\"Get\"", "{\"Get\":{\"key\":\"a/1\"}}"])
        {
            using TcpClient stranger = await ConnectAsync(host);
            await stranger.GetStream().WriteAsync(Encoding.ASCII.GetBytes(begin));
            await EndAsync(stranger);
        }

        await GrpcRulesTests.Until(() => host.Host.Server.OpenConnections <= 1);
    }

    private static string Set(int bytes) => $"*3\r\n$3\r\nSET\r\n$3\r\na/1\r\n${bytes}\r\n{new string('x', bytes)}\r\n";

    private static async Task<TcpClient> ConnectAsync(GuardedHost host)
    {
        TcpClient client = new() { NoDelay = true };
        await client.ConnectAsync(host.Host.Server.EndPoint);
        return client;
    }

    private static async Task<string> AskAsync(TcpClient client, string text, int length)
    {
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(text));
        byte[] reply = new byte[length];
        using CancellationTokenSource patience = new(RunningServer.Patience);
        int read = await client.GetStream().ReadAtLeastAsync(reply, length, throwOnEndOfStream: false, patience.Token);
        return Encoding.ASCII.GetString(reply, 0, read);
    }

    /// <summary>What still comes until the node ends the connection.</summary>
    private static async Task<string> EndAsync(TcpClient client, NetworkStream? stream = null)
    {
        stream ??= client.GetStream();
        using CancellationTokenSource patience = new(RunningServer.Patience);
        StringBuilder text = new();
        byte[] buffer = new byte[4096];
        try
        {
            int read;
            while ((read = await stream.ReadAsync(buffer, patience.Token)) > 0)
            {
                text.Append(Encoding.ASCII.GetString(buffer, 0, read));
            }
        }
        catch (IOException)
        {
            return text.ToString();
        }

        return text.ToString();
    }

    /// <summary>What the node says to something, and that it closes the connection by itself.</summary>
    private async Task<string> AnswerAsync(string text)
    {
        using TcpClient client = await ConnectAsync(_host);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(text));
        return await EndAsync(client);
    }
}
