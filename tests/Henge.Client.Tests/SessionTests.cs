using System.Collections.Concurrent;
using Google.Protobuf;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Microsoft.Extensions.Time.Testing;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

public sealed class SessionTests
{
    private static HengeClientOptions Options(params FakeNode[] nodes) => new()
    {
        Peers = [.. nodes.Select(n => n.Address)],
        RouteToLeaders = false,
        SessionsPerNode = 1,
        InitialBackoff = TimeSpan.FromMilliseconds(1),
        MaxBackoff = TimeSpan.FromMilliseconds(5),
    };

    /// <summary>A node whose sessions do what <paramref name="session"/> says, and everything else what the store does.</summary>
    private static Task<FakeNode> StartAsync(RealStore store, Func<FakeCall, Task> session) =>
        FakeNode.StartAsync(call => call.Method == "Session" ? session(call) : store.HandleAsync(call));

    [Fact]
    public async Task Operations_go_over_a_stream_and_no_calls_of_their_own()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await using HengeClient client = new(Options(node));

        await client.PutAsync("a", "1");
        await client.GetAsync("a");
        await client.DeleteAsync("a");

        Assert.Equal(["/henge.v1.KVStore/Session"], node.Calls);
    }

    [Theory]
    [InlineData(10_000, 1_000, 900)]
    [InlineData(600, 1_000, 500)]
    [InlineData(100, 1_000, 50)]
    public async Task A_node_is_told_how_long_an_operation_may_take(int deadlineMs, int attemptMs, uint toldMs)
    {
        await using RealStore store = await RealStore.StartAsync();
        ConcurrentQueue<uint> told = [];
        await using FakeNode node = await StartAsync(store, async call =>
        {
            await call.Http.Response.StartAsync();
            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                foreach (Wire.SessionOperation operation in request.Operations)
                {
                    told.Enqueue(operation.TimeoutMs);
                }

                await call.WriteAsync(new Wire.SessionResponse { Results = { await store.AnswerAsync(request.Operations) } });
            }
        });
        HengeClientOptions options = Options(node);
        options.AttemptTimeout = TimeSpan.FromMilliseconds(attemptMs);
        using HengeClient client = new(options);

        await client.PutAsync("warm", "the connection");
        told.Clear();
        await client.PutAsync("a", "1", new PutOptions { Deadline = TimeSpan.FromMilliseconds(deadlineMs) });

        Assert.Equal(toldMs, told.First());
    }

    [Fact]
    public async Task What_waits_while_a_batch_is_under_way_is_the_next_batch()
    {
        await using RealStore store = await RealStore.StartAsync();
        int messages = 0;
        int operations = 0;
        await using FakeNode node = await StartAsync(store, async call =>
        {
            await call.Http.Response.StartAsync();
            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                // The client may have several streams, each with a handler.
                Interlocked.Increment(ref messages);
                Interlocked.Add(ref operations, request.Operations.Count);
                Wire.SessionResponse response = new();

                // In any order: the numbers tell which is which.
                response.Results.AddRange(await store.AnswerAsync([.. request.Operations.Reverse()]));
                await call.WriteAsync(response);
            }
        });
        // It is the batches that count: on a busy machine the last of so many calls waits for long.
        HengeClientOptions options = Options(node);
        options.DefaultDeadline = TimeSpan.FromMinutes(2);
        await using HengeClient client = new(options);

        await Task.WhenAll(Enumerable.Range(0, 2000).Select(async i =>
        {
            await client.PutAsync($"k{i}", $"v{i}");
            Assert.Equal($"v{i}", (await client.GetAsync($"k{i}")).Text);
        }));

        Assert.Equal(4000, operations);
        Assert.True(messages < 2000, $"{messages} messages");
    }

    [Fact]
    public async Task A_stream_that_breaks_loses_nothing_and_repeats_nothing()
    {
        await using RealStore store = await RealStore.StartAsync();
        Random random = new(5);
        await using FakeNode node = await StartAsync(store, async call =>
        {
            await call.Http.Response.StartAsync();
            int left;
            lock (random)
            {
                left = random.Next(1, 20);
            }

            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                Wire.SessionResponse response = new();
                foreach (Wire.SessionOperation operation in request.Operations)
                {
                    Wire.SessionResult result = await store.AnswerAsync(operation);
                    if (left-- > 0)
                    {
                        response.Results.Add(result);
                    }
                }

                await call.WriteAsync(response);
                if (left < 0)
                {
                    // Some effects were not answered.
                    call.Abort();
                    return;
                }
            }
        });
        await using HengeClient client = new(Options(node));

        await Task.WhenAll(Enumerable.Range(0, 300).Select(async i =>
        {
            // A condition that only the first attempt can meet: a repetition with another number would fail it.
            PutResult put = await client.PutAsync($"k{i}", $"v{i}", new PutOptions { IfVersion = default(Core.Version) });
            Assert.True(put.Succeeded);
        }));

        for (int i = 0; i < 300; i++)
        {
            Assert.Equal(1, await store.WritesAsync($"k{i}"));
        }
        Assert.True(node.Count("Put") > 0);
    }

    [Fact]
    public async Task An_error_of_one_operation_is_its_own()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await StartAsync(store, async call =>
        {
            await call.Http.Response.StartAsync();
            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                Wire.SessionResponse response = new();
                foreach (Wire.SessionOperation operation in request.Operations)
                {
                    response.Results.Add(operation.Get?.Key.ToStringUtf8() == "bad"
                        ? new Wire.SessionResult
                        {
                            Id = operation.Id,
                            Error = new Wire.Error
                            {
                                Code = (uint)ErrorCode.HistoryGone,
                                Message = "gone"
                            }
                        }
                        : await store.AnswerAsync(operation));
                }

                await call.WriteAsync(response);
            }
        });
        await using HengeClient client = new(Options(node));

        Task<GetResult> bad = client.GetAsync("bad").AsTask();
        Task<GetResult> good = client.GetAsync("good").AsTask();

        Assert.Equal("gone", (await Assert.ThrowsAsync<HistoryGoneException>(() => bad)).Message);
        Assert.False((await good).Found);
    }

    [Fact]
    public async Task A_refusal_with_a_hint_is_followed_to_the_leader()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode leader = await FakeNode.StartAsync(store.HandleAsync);
        await using FakeNode follower = await StartAsync(store, async call =>
        {
            await call.Http.Response.StartAsync();
            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                Wire.SessionResponse response = new();
                response.Results.AddRange(request.Operations.Select(o => new Wire.SessionResult
                {
                    Id = o.Id,
                    Error = new Wire.Error { Code = (uint)ErrorCode.NotLeader, Message = "not I", LeaderHint = leader.Address },
                }));
                await call.WriteAsync(response);
            }
        });
        await using HengeClient client = new(Options(follower));

        Assert.True((await client.PutAsync("a", "1")).Succeeded);
        Assert.Equal(1, leader.Count("Put"));
    }

    [Fact]
    public async Task A_node_without_sessions_is_asked_in_the_other_way()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await StartAsync(store, call =>
        {
            call.Fail(ErrorCode.UnsupportedFormat, "no such method");
            return Task.CompletedTask;
        });
        await using HengeClient client = new(Options(node));

        for (int i = 0; i < 5; i++)
        {
            Assert.True((await client.PutAsync("a", $"{i}")).Succeeded);
        }

        Assert.InRange(node.Count("Session"), 1, 2);
        Assert.Equal(5, node.Count("Put"));
    }

    [Fact]
    public async Task A_session_that_is_silent_ends_reads_by_their_deadline_and_leaves_writes_unknown()
    {
        await using RealStore store = await RealStore.StartAsync();
        using SemaphoreSlim arrived = new(0);
        await using FakeNode node = await StartAsync(store, async call =>
        {
            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                arrived.Release(request.Operations.Count);
            }
        });
        FakeTimeProvider time = new();
        HengeClientOptions options = Options(node);
        options.TimeProvider = time;
        await using HengeClient client = new(options);
        TimeSpan deadline = TimeSpan.FromMilliseconds(100);

        // Time passes only once the node has the request: a write that was not sent by its deadline would not be of unknown outcome.
        Task<GetResult> get = client.GetAsync("a", new GetOptions { Deadline = deadline }).AsTask();
        await arrived.WaitAsync(TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => AfterAsync(time, get));
        Task<PutResult> put = client.PutAsync("a", "1", new PutOptions { Deadline = deadline }).AsTask();
        await arrived.WaitAsync(TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<UnknownOutcomeException>(() => AfterAsync(time, put));
    }

    // The session looks at deadlines every so often, so time goes on until it has looked.
    private static async Task AfterAsync(FakeTimeProvider time, Task call)
    {
        while (!call.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(50));
            await Task.Yield();
        }

        await call;
    }

    [Fact]
    public async Task Cancelled_calls_end_at_once_and_their_late_answers_are_ignored()
    {
        await using RealStore store = await RealStore.StartAsync();
        ConcurrentQueue<Wire.SessionOperation> held = [];
        TaskCompletionSource arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using FakeNode node = await StartAsync(store, async call =>
        {
            await call.Http.Response.StartAsync();
            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                Wire.SessionResponse response = new();
                foreach (Wire.SessionOperation operation in request.Operations)
                {
                    if (operation.Get.Key.ToStringUtf8() == "slow")
                    {
                        held.Enqueue(operation);
                        arrived.TrySetResult();
                        continue;
                    }

                    // The late answer goes out before the one that reuses its place.
                    while (held.TryDequeue(out Wire.SessionOperation? late))
                    {
                        response.Results.Add(new Wire.SessionResult
                        {
                            Id = late.Id,
                            Get = new Wire.GetResponse
                            {
                                Found = true,
                                Value = ByteString.CopyFromUtf8("late")
                            }
                        });
                    }

                    response.Results.Add(await store.AnswerAsync(operation));
                }

                await call.WriteAsync(response);
            }
        });
        await using HengeClient client = new(Options(node));
        using CancellationTokenSource stop = new();
        Task<GetResult> slow = client.GetAsync("slow", cancellationToken: stop.Token).AsTask();
        await arrived.Task;

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => slow);
        Assert.False((await client.GetAsync("other")).Found);
    }

    [Theory]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF })]
    [InlineData(new byte[] { 0x0A, 0x7F, 0x08 })]
    [InlineData(new byte[] { 0x00 })]
    public async Task What_is_no_answer_breaks_the_stream_and_leaves_writes_unknown(byte[] garbage)
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await StartAsync(store, async call =>
        {
            await call.ReadAsync(Wire.SessionRequest.Parser);
            await call.WriteRawAsync([0, 0, 0, 0, (byte)garbage.Length, .. garbage]);
            await call.HangAsync();
        });
        HengeClientOptions options = Options(node);
        options.RetryBudget = 0;
        await using HengeClient client = new(options);

        await Assert.ThrowsAsync<UnknownOutcomeException>(async () => await client.PutAsync("a", "1"));
    }

    [Fact]
    public async Task Too_much_at_a_time_is_refused_before_memory_is_taken()
    {
        await using FakeNode node = await FakeNode.StartAsync(call => call.HangAsync());
        HengeClientOptions options = Options(node);
        options.MaxPendingBytes = 100_000;
        options.RetryBudget = 0;
        await using HengeClient client = new(options);
        byte[] value = new byte[50_000];

        Task<PutResult>[] puts =
        [
            .. Enumerable
                .Range(0, 40)
                .Select(i => client.PutAsync($"k{i}", value, new PutOptions { Deadline = TimeSpan.FromMilliseconds(500) }).AsTask()),
        ];
        await Task.WhenAll(puts.Select(async p => await Record.ExceptionAsync(() => p)));

        Assert.Contains(puts, p => p.Exception?.InnerException is ResourceExhaustedException);
    }

    [Fact]
    public async Task Large_values_go_beside_the_stream()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await using HengeClient client = new(Options(node));
        byte[] value = new byte[1024 * 1024];

        await client.PutAsync("big", value);

        Assert.Equal(1, node.Count("Put"));
        Assert.Equal(value.Length, (await client.GetAsync("big")).Value.Length);
    }

    [Fact]
    public async Task Calls_under_way_end_when_the_client_is_disposed_of()
    {
        TaskCompletionSource arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            arrived.TrySetResult();
            return call.HangAsync();
        });
        HengeClient client = new(Options(node));
        Task<GetResult> get = client.GetAsync("a").AsTask();
        await arrived.Task;

        await client.DisposeAsync();

        await Assert.ThrowsAnyAsync<Exception>(() => get.WaitAsync(TimeSpan.FromSeconds(10)));
    }
}
