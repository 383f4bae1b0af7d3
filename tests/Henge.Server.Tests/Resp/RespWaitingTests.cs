using System.Net.Sockets;
using System.Text;
using Henge.Core;
using Henge.Server.Metrics;
using Henge.Server.Resp;
using Henge.Server.Resp.Wire;
using Henge.Server.Tests.Fakes;
using Henge.Testing;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Tests.Resp;

/// <summary>Replies that wait for a client that does not read yet (decision 0147), and commands that fail alone.</summary>
public sealed class RespWaitingTests
{
    private const int ValueBytes = 256 * 1024;

    [Fact]
    public async Task A_client_that_sends_its_whole_pipeline_before_it_reads_gets_all_replies()
    {
        const int Pairs = 100;
        await using Door door = await Door.StartAsync();
        await door.SendAsync(Enumerable.Repeat(SetAndGet(), Pairs));
        await door.ExpectAsync(string.Concat(Enumerable.Repeat(Replies(), Pairs)));
        await door.SendAsync(["PING\r\n"]);
        await door.ExpectAsync("+PONG\r\n");
        await door.NothingWaitsAsync();
    }

    [Fact]
    public Task Over_the_bound_of_a_connection_it_gets_an_error_and_ends() =>
        OverAsync(new RespLimits { WaitingBytes = 4 << 20 }, "limit-resp-waiting-bytes");

    [Fact]
    public Task Over_the_bound_of_all_connections_one_gets_an_error_and_ends() =>
        OverAsync(new RespLimits { WaitingMemoryBytes = 4 << 20 }, "limit-resp-waiting-memory");

    [Fact]
    public async Task A_single_reply_over_the_bound_is_an_error_and_not_half_a_reply()
    {
        await using Door door = await Door.StartAsync(new RespLimits { WaitingBytes = 2 << 20 });
        string set = SetAndGet()[..SetAndGet().IndexOf("*2", StringComparison.Ordinal)];
        await door.SendAsync([set, "MGET " + string.Join(' ', Enumerable.Repeat("k", 20)) + "\r\n"]);
        await door.ExpectAsync("+OK\r\n-ERR Closing this connection: ");
        Assert.Contains("limit-resp-waiting-bytes", await door.RestAsync(), StringComparison.Ordinal);
        await door.NothingWaitsAsync();
    }

    [Fact]
    public async Task The_same_large_value_asked_for_many_times_in_one_command_is_refused_before_more_memory_is_taken()
    {
        // Less may wait than the values would take: an error after the fact would end the connection.
        const int Value = 4 << 20;
        await using Door door = await Door.StartAsync(new RespLimits { WaitingBytes = RespErrors.MostReplyBytes + (16 << 20) });
        string value = new('v', Value), many = string.Concat(Enumerable.Repeat("$1\r\nk\r\n", 1000));
        await door.SendAsync([$"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${Value}\r\n{value}\r\n", $"*1001\r\n$4\r\nMGET\r\n{many}", "PING\r\n"]);
        await door.ExpectAsync(
            $"+OK\r\n-ERR the reply would have more than {RespErrors.MostReplyBytes} bytes; ask for fewer keys at once\r\n+PONG\r\n");

        // As much as is allowed comes.
        await door.SendAsync([$"*17\r\n$4\r\nMGET\r\n{many[..(16 * "$1\r\nk\r\n".Length)]}"]);
        await door.ExpectAsync("*16\r\n" + string.Concat(Enumerable.Repeat($"${Value}\r\n{value}\r\n", 16)));
        await door.NothingWaitsAsync();
    }

    [Fact]
    public async Task A_read_that_fails_is_the_error_of_its_command_alone()
    {
        var log = new LinesLogger();
        await using Door door = await Door.StartAsync(logger: log);
        door.Node.ReadProblem = static key =>
            key.Span.SequenceEqual("bad"u8) ? new HengeException(ErrorCode.Corruption, "Block 7 is damaged.")
            : key.Span.SequenceEqual("away"u8) ? new HengeException(ErrorCode.Unavailable, "The shard is being rebuilt.")
            : key.Span.SequenceEqual("odd"u8) ? new IOException("Input/output error")
            : null;
        await door.SendAsync([
            "SET good 1\r\nGET bad\r\nMGET good bad\r\nEXISTS away\r\nGET odd\r\nSCAN 0 MATCH bad*\r\nKEYS bad*\r\nWATCH bad\r\nSET good "
                + "2\r\nGET good\r\n",
        ]);
        await door.ExpectAsync(
            "+OK\r\n-ERR Block 7 is damaged.\r\n-ERR Block 7 is damaged.\r\n-CLUSTERDOWN The shard is being rebuilt.\r\n-ERR the command "
                + "failed on this node: Input/output error\r\n"
                + "-ERR Block 7 is damaged.\r\n-ERR Block 7 is damaged.\r\n-ERR Block 7 is damaged.\r\n+OK\r\n$1\r\n2\r\n");
        Assert.Equal(
            "A command of a RESP connection failed: Block 7 is damaged. (0 more problems of RESP connections since the last line)",
            Assert.Single(log.Lines));
        string metrics = await door.MetricsAsync();
        Assert.Contains("error_type=\"resp\"} 7", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public void Replies_that_the_socket_takes_at_once_are_sent_without_allocating()
    {
        var output = new RespOutput(
            Stream.Null,
            new RespWaitingBytes(new RespWaitingBudget(new RespLimits())),
            TimeSpan.FromMinutes(1),
            static _ => { });
        var writer = new RespWriter(output);
        byte[] value = new byte[100];
        for (int i = 0; i < 100; i++)
        {
            Round(output, writer, value);
        }

        Assert.Equal(0, Allocations.Fewest(() =>
        {
            for (int i = 0; i < 1000; i++)
            {
                Round(output, writer, value);
            }
        }));
    }

    private static void Round(RespOutput output, RespWriter writer, byte[] value)
    {
        for (int i = 0; i < 16; i++)
        {
            (int, int) mark = output.Mark();
            writer.Bulk(value);
            output.Rollback(mark);
            writer.Ok();
        }

        output.Flush();
    }

    private static string SetAndGet() =>
        $"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${ValueBytes}\r\n{new string('v', ValueBytes)}\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";

    private static string Replies() => $"+OK\r\n${ValueBytes}\r\n{new string('v', ValueBytes)}\r\n";

    private static async Task OverAsync(RespLimits limits, string setting)
    {
        await using Door door = await Door.StartAsync(limits);
        await door.SendAsync(Enumerable.Repeat(SetAndGet(), 200));
        string all = await door.RestAsync();
        int error = all.IndexOf("-ERR Closing this connection: ", StringComparison.Ordinal);
        Assert.True(error > 0, "there is no error");
        Assert.Contains(setting, all[error..], StringComparison.Ordinal);

        // What was answered was answered whole.
        string answered = all[..error];
        string pairs = string.Concat(Enumerable.Repeat(Replies(), (answered.Length / Replies().Length) + 1));
        Assert.StartsWith(answered, pairs, StringComparison.Ordinal);
        Assert.Contains(answered.Length % Replies().Length, (int[])[0, "+OK\r\n".Length]);
        await door.NothingWaitsAsync();
    }

    private sealed class Door(FakeNode node, RespProtocol protocol, RunningServer server, TcpClient client) : IAsyncDisposable
    {
        public FakeNode Node => node;

        public static async Task<Door> StartAsync(RespLimits? limits = null, ILogger? logger = null)
        {
            var node = new FakeNode();
            var metrics = new ServerMetrics();
            var protocol = new RespProtocol(node, metrics, limits, logger);
            RunningServer server = await RunningServer.StartAsync(node, protocols: [protocol], metrics: metrics);
            var client = new TcpClient { NoDelay = true };
            await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
            return new Door(node, protocol, server, client);
        }

        public async Task SendAsync(IEnumerable<string> requests)
        {
            using var patience = new CancellationTokenSource(RunningServer.Patience);
            foreach (string request in requests)
            {
                await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(request), patience.Token);
            }
        }

        public async Task ExpectAsync(string expected)
        {
            byte[] reply = new byte[expected.Length];
            using var patience = new CancellationTokenSource(RunningServer.Patience);
            int read = await client.GetStream().ReadAtLeastAsync(reply, reply.Length, throwOnEndOfStream: false, patience.Token);
            Assert.Equal(expected, Encoding.Latin1.GetString(reply, 0, read));
        }

        public async Task<string> RestAsync()
        {
            using var patience = new CancellationTokenSource(RunningServer.Patience);
            using var all = new MemoryStream();
            await client.GetStream().CopyToAsync(all, patience.Token);
            return Encoding.Latin1.GetString(all.GetBuffer(), 0, (int)all.Length);
        }

        public async Task<string> MetricsAsync()
        {
            using var http = new HttpClient();
            return await http.GetStringAsync($"http://{server.Address}/metrics", TestContext.Current.CancellationToken);
        }

        public async Task NothingWaitsAsync()
        {
            client.Close();
            using var patience = new CancellationTokenSource(RunningServer.Patience);
            while (protocol.WaitingBytes != 0)
            {
                await Task.Yield();
                patience.Token.ThrowIfCancellationRequested();
            }
        }

        public async ValueTask DisposeAsync()
        {
            client.Dispose();
            await server.DisposeAsync();
        }
    }
}
