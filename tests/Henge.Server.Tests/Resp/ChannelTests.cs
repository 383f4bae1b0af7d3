using System.Net.Sockets;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Metrics;
using Henge.Server.Resp;
using Henge.Server.Resp.Wire;
using Henge.Server.Tests.Fakes;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Tests.Resp;

/// <summary>PUBLISH and SUBSCRIBE between clients, of one node and of two.</summary>
public sealed class ChannelTests
{
    private const string Subscribed = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";

    [Fact]
    public async Task A_message_comes_once_for_each_subscription_by_name_and_by_pattern()
    {
        await using Nodes nodes = await Nodes.StartAsync(1);
        using Client subscriber = await nodes.ConnectAsync(),
            publisher = await nodes.ConnectAsync();
        await subscriber.AskAsync(
            Command("SUBSCRIBE", "news.a", "news.\u00FF"),
            "*3\r\n$9\r\nsubscribe\r\n$6\r\nnews.a\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$6\r\nnews.\u00FF\r\n:2\r\n");
        await subscriber.AskAsync(Command("PSUBSCRIBE", "news.*"), "*3\r\n$10\r\npsubscribe\r\n$6\r\nnews.*\r\n:3\r\n");
        await publisher.AskAsync(
            Command("PUBLISH", "news.a", "1")
                + Command("PUBLISH", "news.b", "2")
                + Command("PUBLISH", "other", "3")
                + Command("PUBLISH", "news.\u00FF", ""),
            ":2\r\n:1\r\n:0\r\n:2\r\n");
        await subscriber.ExpectAsync(
            "*3\r\n$7\r\nmessage\r\n$6\r\nnews.a\r\n$1\r\n1\r\n"
                + "*4\r\n$8\r\npmessage\r\n$6\r\nnews.*\r\n$6\r\nnews.a\r\n$1\r\n1\r\n"
                + "*4\r\n$8\r\npmessage\r\n$6\r\nnews.*\r\n$6\r\nnews.b\r\n$1\r\n2\r\n"
                + "*3\r\n$7\r\nmessage\r\n$6\r\nnews.\u00FF\r\n$0\r\n\r\n"
                + "*4\r\n$8\r\npmessage\r\n$6\r\nnews.*\r\n$6\r\nnews.\u00FF\r\n$0\r\n\r\n");
        await publisher.AskAsync(
            Command("PUBSUB", "NUMSUB", "news.a", "none")
                + Command("PUBSUB", "NUMPAT")
                + Command("PUBSUB", "CHANNELS", "*.a")
                + Command("PUBSUB", "SHARDCHANNELS"),
            "*4\r\n$6\r\nnews.a\r\n:1\r\n$4\r\nnone\r\n:0\r\n:1\r\n*1\r\n$6\r\nnews.a\r\n*0\r\n");
        await subscriber.AskAsync(Command("UNSUBSCRIBE", "news.a"), "*3\r\n$11\r\nunsubscribe\r\n$6\r\nnews.a\r\n:2\r\n");
        await publisher.AskAsync(Command("PUBLISH", "news.a", "4"), ":1\r\n");
        await subscriber.AskAsync(Command("RESET"), "*4\r\n$8\r\npmessage\r\n$6\r\nnews.*\r\n$6\r\nnews.a\r\n$1\r\n4\r\n+RESET\r\n");
        await publisher.AskAsync(Command("PUBLISH", "news.a", "5") + Command("PUBSUB", "NUMPAT"), ":0\r\n:0\r\n");
    }

    [Fact]
    public async Task Shard_channels_are_a_space_of_their_own()
    {
        await using Nodes nodes = await Nodes.StartAsync(1);
        using Client subscriber = await nodes.ConnectAsync(), publisher = await nodes.ConnectAsync();
        await subscriber.AskAsync(
            Command("SUBSCRIBE", "c") + Command("SSUBSCRIBE", "c", "d") + Command("SUNSUBSCRIBE", "d"),
            Subscribed
                + "*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$10\r\nssubscribe\r\n$1\r\nd\r\n:2\r\n*3\r\n$12\r\nsunsubscribe\r\n$1\r\nd\r\n:1\r\n"
        );
        await publisher.AskAsync(
            Command("SPUBLISH", "c", "s")
                + Command("PUBLISH", "c", "p")
                + Command("PUBSUB", "SHARDNUMSUB", "c", "d")
                + Command("PUBSUB", "SHARDCHANNELS"),
            ":1\r\n:1\r\n*4\r\n$1\r\nc\r\n:1\r\n$1\r\nd\r\n:0\r\n*1\r\n$1\r\nc\r\n");
        await subscriber.ExpectAsync("*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\ns\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n");
    }

    [Fact]
    public async Task In_RESP3_a_subscriber_goes_on_with_its_commands_and_its_own_messages_come_behind_the_replies()
    {
        await using Nodes nodes = await Nodes.StartAsync(1);
        using Client client = await nodes.ConnectAsync();
        await client.SendAsync(Command("HELLO", "3"));
        await client.UntilAsync("modules\r\n*0\r\n");
        await client.AskAsync(
            Command("SUBSCRIBE", "c") + Command("MULTI") + Command("PUBLISH", "c", "m") + Command("SET", "k", "v") + Command("EXEC"),
            ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n+OK\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"
        );
    }

    [Fact]
    public async Task In_RESP2_a_subscriber_may_not_publish()
    {
        await using Nodes nodes = await Nodes.StartAsync(1);
        using Client client = await nodes.ConnectAsync();
        await client.AskAsync(
            Command("SUBSCRIBE", "c") + Command("PUBLISH", "c", "m"),
            Subscribed
                + "-ERR Can't execute 'publish': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
                + "context\r\n");
    }

    [Fact]
    public async Task A_transaction_that_does_not_happen_publishes_nothing()
    {
        await using Nodes nodes = await Nodes.StartAsync(1);
        using Client subscriber = await nodes.ConnectAsync(), publisher = await nodes.ConnectAsync();
        await subscriber.AskAsync(Command("SUBSCRIBE", "c"), Subscribed);
        await publisher.AskAsync(Command("MULTI") + Command("PUBLISH", "c", "no") + Command("DISCARD"), "+OK\r\n+QUEUED\r\n+OK\r\n");
        await publisher.AskAsync(
            Command("WATCH", "k")
                + Command("SET", "k", "other")
                + Command("MULTI")
                + Command("PUBLISH", "c", "no")
                + Command("GET", "k")
                + Command("EXEC"),
            "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n");
        await publisher.AskAsync(Command("PUBLISH", "c", "yes"), ":1\r\n");
        await subscriber.ExpectAsync("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\nyes\r\n");
    }

    [Fact]
    public async Task What_is_published_on_one_node_reaches_the_subscribers_of_others_and_each_node_counts_its_own()
    {
        await using Nodes nodes = await Nodes.StartAsync(3);
        using Client one = await nodes.ConnectAsync(0), two = await nodes.ConnectAsync(1), three = await nodes.ConnectAsync(2);
        await one.AskAsync(Command("SUBSCRIBE", "c"), Subscribed);
        await three.AskAsync(Command("PSUBSCRIBE", "?"), "*3\r\n$10\r\npsubscribe\r\n$1\r\n?\r\n:1\r\n");
        await three.AskAsync(Command("SSUBSCRIBE", "c"), "*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n");
        await two.AskAsync(
            Command("PUBLISH", "c", "1") + Command("SPUBLISH", "c", "2") + Command("PUBLISH", "c", "3"),
            ":0\r\n:0\r\n:0\r\n");
        await one.ExpectAsync("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n3\r\n");
        await three.ExpectAsync(
            "*4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n2\r\n*4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\nc\r\n$1\r\n3\r\n"
        );
        Assert.Contains("henge_pubsub_messages_published_total 3\n", await nodes.MetricsAsync(1), StringComparison.Ordinal);
        Assert.Contains("henge_pubsub_messages_received_total 3\n", await nodes.MetricsAsync(2), StringComparison.Ordinal);
        Assert.Contains("henge_pubsub_messages_delivered_total 3\n", await nodes.MetricsAsync(2), StringComparison.Ordinal);
        Assert.Contains("henge_pubsub_subscriptions 2\n", await nodes.MetricsAsync(2), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Messages_of_peers_that_make_no_sense_are_dropped()
    {
        await using Nodes nodes = await Nodes.StartAsync(2);
        using Client subscriber = await nodes.ConnectAsync(1), publisher = await nodes.ConnectAsync(0);
        await subscriber.AskAsync(Command("SUBSCRIBE", "c"), Subscribed);
        byte[][] bad =
        [
            [],
            [1],
            [1, 1, 0, 0],
            [1, 1, 0, 0, 0],
            [1, 255, 255, 255, 255, (byte)'c'],
            [2, 1, 0, 0, 0, (byte)'c'],
            [9, 1, 0, 0, 0, (byte)'c', (byte)'x'],
        ];
        foreach (byte[] message in bad)
        {
            nodes.Peers[0].Post(message, []);
        }

        await publisher.AskAsync(Command("PUBLISH", "c", "good"), ":0\r\n");
        await subscriber.ExpectAsync("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ngood\r\n");
    }

    [Fact]
    public async Task A_connection_has_at_most_1024_subscriptions_and_a_command_over_it_subscribes_to_nothing()
    {
        await using Nodes nodes = await Nodes.StartAsync(1);
        using Client client = await nodes.ConnectAsync();
        string[] names = [.. Enumerable.Range(0, 1023).Select(static i => $"n{i}")];
        await client.SendAsync(Command(["SUBSCRIBE", .. names]));
        await client.UntilAsync(":1023\r\n");
        const string Refused = "-ERR too many subscriptions: at most 1024 a connection; nothing was subscribed to\r\n";
        await client.AskAsync(Command("PSUBSCRIBE", "a", "b"), Refused);
        await client.AskAsync(
            Command("SSUBSCRIBE", "a", "a", "a"),
            string.Concat(Enumerable.Repeat("*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n", 3)));
        await client.AskAsync(Command("SUBSCRIBE", "more"), Refused);
        await client.AskAsync(Command("SUBSCRIBE", "n7"), "*3\r\n$9\r\nsubscribe\r\n$2\r\nn7\r\n:1023\r\n");
        await client.AskAsync(Command("SUNSUBSCRIBE"), "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
        await client.AskAsync(Command("SUBSCRIBE", "more"), "*3\r\n$9\r\nsubscribe\r\n$4\r\nmore\r\n:1024\r\n");
    }

    [Fact]
    public async Task Names_and_messages_are_bounded()
    {
        await using Nodes nodes = await Nodes.StartAsync(1);
        NodeLimits limits = nodes.Node.Limits;
        using Client client = await nodes.ConnectAsync();
        string longest = new('n', limits.KeyBytes);
        string tooLong =
            $"-ERR the name of the channel has {limits.KeyBytes + 1} bytes; at most {limits.KeyBytes} are allowed (limit-key-bytes)\r\n";
        await client.AskAsync(
            Command("PUBLISH", longest, "") + Command("PUBLISH", longest + "n", "") + Command("SUBSCRIBE", "a", longest + "n"),
            ":0\r\n" + tooLong + tooLong);
        await client.AskAsync(
            Command("PUBLISH", "c", new string('m', limits.ValueBytes + 1)) + Command("PUBLISH", "c", new string('m', limits.ValueBytes)),
            $"-ERR the message has {limits.ValueBytes + 1} bytes; at most {limits.ValueBytes} are allowed (limit-value-bytes)\r\n:0\r\n");
        string[] many = [.. Enumerable.Range(0, 65).Select(i => $"{i:000}{longest[3..]}")];
        await client.AskAsync(
            Command(["SUBSCRIBE", .. many]),
            "-ERR the names of what this connection is subscribed to are too long: at most 1048576 bytes together; nothing was subscribed "
                + "to\r\n");
        await client.AskAsync(Command("PUBSUB", "CHANNELS"), "*0\r\n");
    }

    [Fact]
    public async Task A_subscriber_that_does_not_read_is_cut_and_others_get_everything()
    {
        const int MessageBytes = 64 * 1024, Messages = 1000;
        LinesLogger logger = new();
        await using Nodes nodes = await Nodes.StartAsync(1, new RespLimits { SubscriberBytes = 1 << 20 }, logger);
        using Client slow = await nodes.ConnectAsync(), publisher = await nodes.ConnectAsync(), quick = await nodes.ConnectAsync();
        await slow.AskAsync(Command("SUBSCRIBE", "c"), Subscribed);
        string publish = Command("PUBLISH", "c", new string('m', MessageBytes));
        int subscribers = 1, published = 0;
        while (subscribers == 1)
        {
            await publisher.SendAsync(publish);
            subscribers = (await publisher.LineAsync())[1] - '0';
            Assert.True(++published <= Messages, "the slow subscriber was not cut");
        }

        await slow.EndAsync();
        string line = Assert.Single(logger.Lines);
        Assert.Contains("limit-resp-subscriber-bytes", line, StringComparison.Ordinal);
        Assert.Contains("henge_pubsub_subscribers_cut_total 1\n", await nodes.MetricsAsync(0), StringComparison.Ordinal);
        await quick.AskAsync(Command("SUBSCRIBE", "c"), Subscribed);
        string message = $"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n${MessageBytes}\r\n{new string('m', MessageBytes)}\r\n";
        for (int i = 0; i < 100; i++)
        {
            await publisher.AskAsync(publish, ":1\r\n");
            await quick.ExpectAsync(message);
        }

        await quick.AskAsync(Command("RESET"), "+RESET\r\n");
        await nodes.NothingWaitsAsync();
    }

    private static string Command(params string[] arguments) =>
        $"*{arguments.Length}\r\n" + string.Concat(arguments.Select(a => $"${Encoding.Latin1.GetByteCount(a)}\r\n{a}\r\n"));

    /// <summary>Nodes whose doors hear of each other's messages at once.</summary>
    private sealed class Nodes : IAsyncDisposable
    {
        private readonly List<RunningServer> _servers = [];
        private readonly List<RespProtocol> _protocols = [];

        public List<FakePeers> Peers { get; } = [];

        public FakeNode Node => _servers[0].Node;

        public static async Task<Nodes> StartAsync(int count, RespLimits? limits = null, ILogger? logger = null)
        {
            Nodes nodes = new();
            for (int i = 0; i < count; i++)
            {
                FakeNode node = new();
                ServerMetrics metrics = new();
                nodes.Peers.Add(new FakePeers(nodes.Peers));
                nodes._protocols.Add(new RespProtocol(node, metrics, limits, logger, nodes.Peers[i]));
                nodes._servers.Add(await RunningServer.StartAsync(node, protocols: [nodes._protocols[i]], metrics: metrics));
            }

            return nodes;
        }

        public Task<Client> ConnectAsync(int node = 0) => Client.ConnectAsync(_servers[node].Server.EndPoint.Port);

        public async Task<string> MetricsAsync(int node)
        {
            using HttpClient http = new();
            return await http.GetStringAsync($"http://{_servers[node].Address}/metrics", TestContext.Current.CancellationToken);
        }

        public async Task NothingWaitsAsync()
        {
            using CancellationTokenSource patience = new(RunningServer.Patience);
            while (_protocols[0].WaitingBytes != 0)
            {
                await Task.Yield();
                patience.Token.ThrowIfCancellationRequested();
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (RunningServer server in _servers)
            {
                await server.DisposeAsync();
            }
        }
    }

    private sealed class FakePeers(List<FakePeers> all) : IPeerMessages
    {
        private readonly List<byte[]> _posted = [];

        public PeerMessageHandler? Receiver { get; set; }

        public void Post(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
        {
            lock (_posted)
            {
                _posted.Add([.. head, .. body]);
            }
        }

        public void Flush()
        {
            lock (_posted)
            {
                foreach (byte[] message in _posted)
                {
                    all.Where(p => p != this).ToList().ForEach(p => p.Receiver?.Invoke(NodeId.None, message));
                }

                _posted.Clear();
            }
        }

        public long DroppedFor(NodeId peer) => 0;
    }

    private sealed class Client : IDisposable
    {
        private readonly TcpClient _client = new() { NoDelay = true };

        public static async Task<Client> ConnectAsync(int port)
        {
            Client client = new();
            await client._client.ConnectAsync("127.0.0.1", port);
            return client;
        }

        public async Task SendAsync(string request)
        {
            using CancellationTokenSource patience = new(RunningServer.Patience);
            await _client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request), patience.Token);
        }

        public async Task ExpectAsync(string expected)
        {
            byte[] reply = new byte[expected.Length];
            using CancellationTokenSource patience = new(RunningServer.Patience);
            int read = await _client.GetStream().ReadAtLeastAsync(reply, reply.Length, throwOnEndOfStream: false, patience.Token);
            Assert.Equal(expected, Encoding.Latin1.GetString(reply, 0, read));
        }

        public async Task AskAsync(string request, string expected)
        {
            await SendAsync(request);
            await ExpectAsync(expected);
        }

        public Task<string> LineAsync() => UntilAsync("\r\n");

        /// <summary>Reads until these are the last characters.</summary>
        public async Task<string> UntilAsync(string end)
        {
            StringBuilder text = new();
            byte[] one = new byte[1];
            using CancellationTokenSource patience = new(RunningServer.Patience);
            while (text.Length < end.Length || text.ToString(text.Length - end.Length, end.Length) != end)
            {
                await _client.GetStream().ReadExactlyAsync(one, patience.Token);
                text.Append((char)one[0]);
            }

            return text.ToString();
        }

        /// <summary>Reads whatever comes until the other side has ended the connection.</summary>
        public async Task EndAsync()
        {
            using CancellationTokenSource patience = new(RunningServer.Patience);
            try
            {
                await _client.GetStream().CopyToAsync(Stream.Null, patience.Token);
            }
            catch (IOException)
            {
                // Cut in the middle of what it had not taken.
                return;
            }
        }

        public void Dispose() => _client.Dispose();
    }
}
