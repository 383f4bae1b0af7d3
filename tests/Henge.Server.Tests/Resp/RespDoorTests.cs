using System.Buffers;
using System.Net.Sockets;
using System.Text;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp;
using Henge.Server.Resp.Wire;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Resp;

/// <summary>The RESP door on a real port, over a node that is a dictionary.</summary>
public sealed class RespDoorTests
{
    private static async Task<(RunningServer Server, TcpClient Client)> StartAsync()
    {
        var node = new FakeNode();
        RunningServer server = await RunningServer.StartAsync(node, protocols: [new RespProtocol(node)]);
        var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
        return (server, client);
    }

    /// <summary>Sends some text and reads until the reply is as long as what is expected.</summary>
    private static async Task<string> AskAsync(TcpClient client, string text, int length)
    {
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(text));
        var reply = new byte[length];
        using var patience = new CancellationTokenSource(RunningServer.Patience);
        int read = await client.GetStream().ReadAtLeastAsync(reply, length, throwOnEndOfStream: false, patience.Token);
        return Encoding.Latin1.GetString(reply, 0, read);
    }

    private static string Command(params string[] arguments) =>
        $"*{arguments.Length}\r\n" + string.Concat(arguments.Select(a => $"${Encoding.Latin1.GetByteCount(a)}\r\n{a}\r\n"));

    [Fact]
    public async Task A_watched_key_that_comes_and_goes_while_EXEC_is_under_way_empties_the_transaction()
    {
        var node = new FakeNode();
        await using RunningServer server = await RunningServer.StartAsync(node, protocols: [new RespProtocol(node)]);
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
        int transactions = 0;
        node.Intercept = operation =>
        {
            if (operation.Kind == OperationKind.Write && operation.Command.Span[0] == (byte)CommandKind.Txn && transactions++ == 0)
            {
                // All that EXEC looks at is looked at. Writes of a shard keep their order.
                node.Submit(Plain(static w => CommandEncoder.Put(w, "q"u8, "1"u8)));
                node.Submit(Plain(static w => CommandEncoder.Delete(w, "q"u8)));
            }

            return false;
        };

        const string Request = "WATCH q\r\nMULTI\r\nSET q 2\r\nEXEC\r\n";
        const string Answers = "+OK\r\n+OK\r\n+QUEUED\r\n";
        Assert.Equal(Answers + "*-1\r\n$-1\r\n", await AskAsync(client, Request + "GET q\r\n", Answers.Length + 10));
        Assert.Equal(Answers + "*1\r\n+OK\r\n", await AskAsync(client, Request, Answers.Length + 9));
    }

    private static Unheard Plain(Action<ArrayBufferWriter<byte>> encode)
    {
        var command = new ArrayBufferWriter<byte>();
        encode(command);
        return new Unheard { Kind = OperationKind.Write, Key = "q"u8.ToArray(), Command = command.WrittenMemory };
    }

    private static async Task ExpectAsync(string request, string expected)
    {
        (RunningServer server, TcpClient client) = await StartAsync();
        await using (server)
        using (client)
        {
            Assert.Equal(expected, await AskAsync(client, request, expected.Length));
        }
    }

    [Fact]
    public Task A_pipeline_is_answered_in_order_and_reads_see_the_writes_before_them() =>
        ExpectAsync(
            Command("SET", "a", "1")
                + Command("GET", "a")
                + Command("SET", "a", "2")
                + Command("GET", "a")
                + Command("DEL", "a", "b")
                + Command("GET", "a")
                + Command("PING"),
            "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n:1\r\n$-1\r\n+PONG\r\n");

    [Fact]
    public async Task A_walk_over_the_keys_is_whole_for_a_client_that_has_closed_its_sending_side()
    {
        const int Keys = 300;
        var node = new FakeNode { Limits = new Henge.Node.Api.NodeLimits { ScanPageItems = 1 } };
        await using RunningServer server = await RunningServer.StartAsync(node, protocols: [new RespProtocol(node)]);
        IEnumerable<string> pairs = Enumerable.Range(0, Keys).SelectMany(i => new[] { $"k{i:D3}", "v" });
        Assert.Equal("+OK\r\n", await AskOnceAsync(Command(["MSET", .. pairs])));
        Assert.Equal($":{Keys}\r\n", await AskOnceAsync(Command("DBSIZE")));
        Assert.StartsWith($"*{Keys}\r\n", await AskOnceAsync(Command("KEYS", "k*")), StringComparison.Ordinal);
        Assert.Equal("+OK\r\n", await AskOnceAsync(Command("FLUSHDB")));
        Assert.Equal(":0\r\n", await AskOnceAsync(Command("DBSIZE")));

        async Task<string> AskOnceAsync(string request)
        {
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
            NetworkStream stream = client.GetStream();
            await stream.WriteAsync(Encoding.Latin1.GetBytes(request));
            client.Client.Shutdown(SocketShutdown.Send);
            using var reader = new StreamReader(stream, Encoding.Latin1);
            return await reader.ReadToEndAsync().WaitAsync(RunningServer.Patience);
        }
    }

    [Fact]
    public Task Inline_commands_work_as_from_telnet() => ExpectAsync("PING\r\nset k \"a b\"\r\nget k\r\n", "+PONG\r\n+OK\r\n$3\r\na b\r\n");

    [Fact]
    public Task Errors_are_in_Redis_words_and_do_not_end_the_connection() =>
        ExpectAsync(
            Command("FOO", "x")
                + Command("GET")
                + Command("SET", "k", "v", "EX", "0")
                + Command("SET", "k", "v", "NX", "XX")
                + Command("AUTH", "p")
                + Command("SELECT", "1")
                + Command("PING"),
            "-ERR unknown command 'FOO', with args beginning with: 'x' \r\n-ERR wrong number of arguments for 'get' command\r\n-ERR "
                + "invalid expire time in 'set' command\r\n-ERR syntax error\r\n"
                + "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is "
                + "correct?\r\n-ERR DB index is out of range\r\n+PONG\r\n");

    [Fact]
    public Task A_transaction_is_queued_and_done_as_one() => ExpectAsync(
        Command("MULTI") + Command("SET", "{t}a", "1") + Command("GET", "{t}a") + Command("EXEC") + Command("EXEC"),
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\n1\r\n-ERR EXEC without MULTI\r\n");

    [Fact]
    public Task A_transaction_with_a_bad_command_is_discarded() =>
        ExpectAsync(
            Command("MULTI") + Command("SET", "{t}a") + Command("EXEC") + Command("GET", "{t}a"),
            "+OK\r\n-ERR wrong number of arguments for 'set' command\r\n-EXECABORT Transaction discarded because of previous "
                + "errors.\r\n$-1\r\n");

    [Fact]
    public Task A_command_with_bad_arguments_in_a_transaction_fails_alone_when_its_turn_comes() =>
        ExpectAsync(
            Command("MULTI")
                + Command("SET", "{t}a", "1")
                + Command("INCRBY", "{t}a", "x")
                + Command("SET", "{t}a", "2", "EX", "0")
                + Command("SET", "{t}b", "3")
                + Command("EXEC")
                + Command("MGET", "{t}a", "{t}b"),
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+OK\r\n-ERR value is not an integer or out of range\r\n-ERR invalid "
                + "expire time in 'set' command\r\n+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n3\r\n");

    [Fact]
    public Task A_subscriber_in_RESP2_may_not_begin_a_transaction() => ExpectAsync(
        Command("PSUBSCRIBE", "__keyspace@0__:x*") + Command("MULTI") + Command("PUNSUBSCRIBE") + Command("MULTI"),
        "*3\r\n$10\r\npsubscribe\r\n$17\r\n__keyspace@0__:x*\r\n:1\r\n" +
        "-ERR Can't execute 'multi': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n" +
        "*3\r\n$12\r\npunsubscribe\r\n$17\r\n__keyspace@0__:x*\r\n:0\r\n+OK\r\n");

    [Fact]
    public async Task A_watched_key_that_changes_empties_the_transaction()
    {
        (RunningServer server, TcpClient client) = await StartAsync();
        await using (server)
        using (client)
        using (var other = new TcpClient())
        {
            await other.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
            Assert.Equal("+OK\r\n", await AskAsync(client, Command("WATCH", "{t}a"), 5));
            Assert.Equal("+OK\r\n", await AskAsync(other, Command("SET", "{t}a", "x"), 5));
            const string Expected = "+OK\r\n+QUEUED\r\n*-1\r\n";
            Assert.Equal(
                Expected,
                await AskAsync(client, Command("MULTI") + Command("SET", "{t}a", "y") + Command("EXEC"), Expected.Length));
        }
    }

    [Fact]
    public Task Keys_of_different_shards_in_a_transaction_get_CROSSSLOT()
    {
        string sets = string.Concat(Enumerable.Range(0, 20).Select(i => Command("SET", "key" + i, "v")));
        return ExpectAsync(
            Command("MULTI") + sets + Command("EXEC"),
            "+OK\r\n" + string.Concat(Enumerable.Repeat("+QUEUED\r\n", 20)) + "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    }

    [Fact]
    public Task RESP3_begins_with_HELLO() =>
        ExpectAsync(
            Command("HELLO", "4") + Command("HELLO", "3") + Command("GET", "none"),
            "-NOPROTO unsupported protocol "
                + "version\r\n%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n_\r\n"
        );

    [Fact]
    public async Task A_large_value_in_many_pieces_arrives_whole()
    {
        (RunningServer server, TcpClient client) = await StartAsync();
        await using (server)
        using (client)
        {
            string value = new('v', 3_000_000);
            Assert.Equal("+OK\r\n", await AskAsync(client, Command("SET", "big", value), 5));
            string expected = $"${value.Length}\r\n{value}\r\n";
            Assert.Equal(expected, await AskAsync(client, Command("GET", "big"), expected.Length));
        }
    }

    [Fact]
    public async Task What_is_too_large_is_refused_and_the_next_command_works()
    {
        var node = new FakeNode { Limits = new() { KeyBytes = 10, ValueBytes = 10 } };
        await using RunningServer server = await RunningServer.StartAsync(node, protocols: [new RespProtocol(node)]);
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
        const string Expected =
            "-ERR The key has 11 bytes; the limit is 10. Use a shorter key, or raise the node's limit for keys.\r\n-ERR The value has 11 "
                + "bytes; the limit is 10. Split the value, or raise the node's limit for values.\r\n+PONG\r\n";
        Assert.Equal(
            Expected,
            await AskAsync(
                client,
                Command("SET", "01234567890", "v") + Command("SET", "k", "01234567890") + Command("PING"),
                Expected.Length));
    }

    [Fact]
    public async Task Garbage_ends_the_connection_after_an_error()
    {
        (RunningServer server, TcpClient client) = await StartAsync();
        await using (server)
        using (client)
        {
            const string Expected = "+PONG\r\n-ERR Protocol error: expected '$', got 'x'\r\n";
            Assert.Equal(Expected, await AskAsync(client, Command("PING") + "*1\r\nxyz\r\n", Expected.Length + 1));
        }
    }

    [Fact]
    public async Task A_walk_by_SCAN_gives_every_key_once()
    {
        (RunningServer server, TcpClient client) = await StartAsync();
        await using (server)
        using (client)
        {
            string sets = string.Concat(Enumerable.Range(10, 50).Select(i => Command("SET", "k" + i, "v")));
            Assert.Equal(50 * 5, (await AskAsync(client, sets, 50 * 5)).Length);
            Assert.Equal(":50\r\n", await AskAsync(client, Command("DBSIZE"), 5));
            string cursor = "0";
            var found = new List<string>();
            do
            {
                await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(Command("SCAN", cursor, "COUNT", "7", "MATCH", "k*")));
                string[] lines = await ReadLinesAsync(client);
                cursor = lines[2];
                found.AddRange(lines.Where(l => l.StartsWith('k')));
            }
            while (cursor != "0");
            Assert.Equal(Enumerable.Range(10, 50).Select(i => "k" + i), found.Order(StringComparer.Ordinal));
        }
    }

    // A reply of SCAN: *2, the cursor, the array of keys.
    private static async Task<string[]> ReadLinesAsync(TcpClient client)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        using var patience = new CancellationTokenSource(RunningServer.Patience);
        while (true)
        {
            text.Append(Encoding.Latin1.GetString(buffer, 0, await client.GetStream().ReadAsync(buffer, patience.Token)));
            string[] lines = text.ToString().Split("\r\n");
            if (lines.Length > 4 && lines[3].StartsWith('*') && lines.Length == 5 + (2 * int.Parse(lines[3][1..])))
            {
                return lines;
            }
        }
    }

    [Theory]
    [InlineData("*", "anything", true)]
    [InlineData("k?y", "key", true)]
    [InlineData("k?y", "ky", false)]
    [InlineData("[a-c]x", "bx", true)]
    [InlineData("[^a-c]x", "bx", false)]
    [InlineData("a\\*b", "a*b", true)]
    [InlineData("a\\*b", "axb", false)]
    [InlineData("*a*b*c*", "xxaxxbxxcxx", true)]
    [InlineData("*a*b*c", "xxaxxbxxcxx", false)]
    public void Patterns_match_as_in_Redis(string pattern, string text, bool matches) =>
        Assert.Equal(matches, Glob.Matches(Encoding.ASCII.GetBytes(pattern), Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void A_hostile_pattern_does_not_take_for_ever() =>
        Assert.False(
            Glob.Matches(
                Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("a*", 200)) + "b"),
                Encoding.ASCII.GetBytes(new string('a', 5_000))));

    private sealed class Unheard : Operation
    {
        protected override void OnCompleted()
        {
        }
    }
}
