using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Henge.Client.Sessions;
using Henge.Client.Tests.Fakes;
using Henge.Client.Transport;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

/// <summary>What was never sent, or refused before it was proposed, is never called unknown.</summary>
public sealed class OutcomeTests
{
    private static readonly PutOptions Short = new() { Deadline = TimeSpan.FromMilliseconds(300) };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_write_for_which_there_was_no_connection_in_time_was_not_sent(bool sessions)
    {
        // It takes connections, and never says a word of TLS on them.
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        HengeClientOptions options = new()
        {
            Peers = [silent.LocalEndpoint.ToString()!],
            RouteToLeaders = false,
            UseSessions = sessions,
            Tls = new SslClientAuthenticationOptions(),
        };
        await using HengeClient client = new(options);
        Assert.IsType<DeadlineExceededException>(await Record.ExceptionAsync(async () => await client.PutAsync("a", "1", Short)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_write_to_a_node_whose_certificate_is_not_trusted_was_not_sent(bool sessions)
    {
        using X509Certificate2 certificate = TlsTests.SelfSigned();
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync, certificate: certificate);
        HengeClientOptions options = new()
        {
            Peers = [node.Address],
            RouteToLeaders = false,
            UseSessions = sessions,
            UnreachableTimeout = TimeSpan.FromMilliseconds(200),
            Tls = new SslClientAuthenticationOptions(),
        };
        await using HengeClient client = new(options);
        Assert.IsType<UnavailableException>(await Record.ExceptionAsync(async () => await client.PutAsync("a", "1")));
        Assert.Empty(node.Calls);
    }

    [Theory]
    [InlineData(true, typeof(DeadlineExceededException))]
    [InlineData(false, typeof(UnknownOutcomeException))]
    public async Task A_change_of_the_cluster_without_an_answer_is_unknown_and_a_dry_run_never_is(bool dryRun, Type error)
    {
        await using FakeNode node = await FakeNode.StartAsync(static async call =>
        {
            _ = await call.ReadAsync(Wire.ChangeRequest.Parser);
            await call.HangAsync();
        });
        HengeClientOptions options = new()
        {
            Peers = [node.Address],
            RouteToLeaders = false,
            DefaultDeadline = TimeSpan.FromSeconds(1),
        };
        await using HengeClient client = new(options);
        Wire.ChangeRequest change = new() { Kind = Wire.ChangeRequest.Types.Kind.Drain, NodeId = "node1", DryRun = dryRun };
        Assert.IsType(error, await Record.ExceptionAsync(() => client.ChangeClusterAsync(change)));
    }

    [Fact]
    public async Task A_write_that_waited_behind_a_stream_that_took_nothing_is_withdrawn_and_was_not_sent()
    {
        const int largeBytes = 200 * 1024;
        await using RealStore store = await RealStore.StartAsync();
        ConcurrentQueue<string> keys = [];
        TaskCompletionSource reads = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await call.Http.Response.StartAsync();
            await reads.Task;
            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                Wire.SessionResponse response = new();
                foreach (Wire.SessionOperation operation in request.Operations)
                {
                    keys.Enqueue(operation.Put.Key.ToStringUtf8());
                    response.Results.Add(await store.AnswerAsync(operation));
                }

                await call.WriteAsync(response);
            }
        });
        HengeClientOptions options = new()
        {
            Peers = [node.Address],
            RouteToLeaders = false,
            SessionsPerNode = 1,
            AttemptTimeout = TimeSpan.FromMinutes(1),
            DefaultDeadline = TimeSpan.FromMinutes(1),
        };
        await using HengeClient client = new(options);

        // More than a stream's window holds: the last of them are on their way, and what comes behind them waits in the client.
        List<Task<PutResult>> large = [];
        for (int i = 0; i < 10; i++)
        {
            large.Add(client.PutAsync($"large{i}", new byte[largeBytes]).AsTask());
            await Task.Yield();
        }

        // The stream takes what the connection has room for; until that is full a small one may still go out, and then its outcome is
        // unknown.
        List<string> unsent = [];
        for (int i = 0; unsent.Count < 2; i++)
        {
            Exception? ended = await Record.ExceptionAsync(async () => await client.PutAsync($"small{i}", "1", Short));
            if (ended is DeadlineExceededException)
            {
                unsent.Add($"small{i}");
                continue;
            }

            Assert.IsType<UnknownOutcomeException>(ended);
        }

        Task<PutResult> next = client.PutAsync("next", "1").AsTask();
        reads.SetResult();
        await Task.WhenAll(large);
        await next;
        Assert.Contains("next", keys);
        Assert.All(unsent, key => Assert.DoesNotContain(key, keys));
    }

    [Fact]
    public void A_withdrawn_operation_is_one_that_nodes_skip()
    {
        SessionBuffer buffer = new();
        byte[] element = new Wire.SessionRequest { Operations = { new Wire.SessionOperation { Id = 7 } } }.ToByteArray();
        byte[] other = new Wire.SessionRequest { Operations = { new Wire.SessionOperation { Id = 8 } } }.ToByteArray();
        element.CopyTo(buffer.Take(element.Length));
        int place = buffer.Length - element.Length;
        other.CopyTo(buffer.Take(other.Length));
        buffer.Withdraw(place);
        buffer.Seal();
        Wire.SessionRequest read = Wire.SessionRequest.Parser.ParseFrom(buffer.Next());
        Assert.Equal([8UL], read.Operations.Select(static o => o.Id));
    }

    [Theory]
    [InlineData(true, 1_000, 900)]
    [InlineData(true, 100, 50)]
    [InlineData(false, 900, 300)]
    public void A_node_that_has_not_answered_yet_is_told_less(bool warm, int patienceMs, int toldMs) =>
        Assert.Equal(TimeSpan.FromMilliseconds(toldMs), AttemptTiming.TimeoutOfNode(TimeSpan.FromMilliseconds(patienceMs), warm));
}
