using System.Collections.Concurrent;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

/// <summary>A client's operations on one key keep their order when nobody waits between them.</summary>
public sealed class KeyOrderTests
{
    private const int Writes = 200;

    private static HengeClientOptions Options(FakeNode node, bool sessions) => new()
    {
        Peers = [node.Address],
        RouteToLeaders = false,
        UseSessions = sessions,
        InitialBackoff = TimeSpan.FromMilliseconds(1),
        MaxBackoff = TimeSpan.FromMilliseconds(3),
    };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Writes_to_one_key_keep_their_order_when_some_have_to_be_tried_again(bool sessions)
    {
        await using RealStore store = await RealStore.StartAsync();
        int calls = 0;
        await using FakeNode node = await FakeNode.StartAsync(call =>
            AnswerAsync(call, store, () => Interlocked.Increment(ref calls) % 7 == 1));
        await using HengeClient client = new(Options(node, sessions));

        List<Task<PutResult>> puts = [];
        for (int i = 0; i < Writes; i++)
        {
            puts.Add(client.PutAsync("one", $"{i}").AsTask());
        }

        PutResult[] results = await Task.WhenAll(puts);
        Assert.Equal(results.Select(static r => r.Version).Order(), results.Select(static r => r.Version));
        Assert.Equal($"{Writes - 1}", (await client.GetAsync("one")).Text);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_read_sees_the_write_that_was_called_before_it(bool sessions)
    {
        await using RealStore store = await RealStore.StartAsync();
        int calls = 0;
        await using FakeNode node = await FakeNode.StartAsync(call =>
            AnswerAsync(call, store, () => Interlocked.Increment(ref calls) % 5 == 1));
        await using HengeClient client = new(Options(node, sessions));
        for (int i = 0; i < 50; i++)
        {
            Task<PutResult> put = client.PutAsync("one", $"{i}").AsTask();
            Task<TransactionResult> both = client.Transaction()
                .Then(TransactionOperation.Put("one", $"{i}!"), TransactionOperation.Put("two", $"{i}!")).CommitAsync();
            Task<GetResult> one = client.GetAsync("one").AsTask(), two = client.GetAsync("two").AsTask();
            Assert.Equal(($"{i}!", $"{i}!"), ((await one).Text, (await two).Text));
            await Task.WhenAll(put, both);
        }
    }

    [Fact]
    public async Task A_write_behind_one_that_is_not_answered_is_not_sent_and_ends_in_its_time()
    {
        ConcurrentQueue<string> seen = [];
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await call.Http.Response.StartAsync();
            while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
            {
                foreach (Wire.SessionOperation operation in request.Operations)
                {
                    seen.Enqueue(operation.Put.Value.ToStringUtf8());
                    if (operation.Put.Key.ToStringUtf8() == "two")
                    {
                        await call.WriteAsync(new Wire.SessionResponse { Results = { await store.AnswerAsync(operation) } });
                    }
                }
            }
        });
        HengeClientOptions options = Options(node, sessions: true);
        options.AttemptTimeout = TimeSpan.FromMinutes(1);
        await using HengeClient client = new(options);
        Task<PutResult> first = client.PutAsync("one", "first", new PutOptions { Deadline = TimeSpan.FromMinutes(1) }).AsTask();
        Task<PutResult> late = client.PutAsync("one", "late", new PutOptions { Deadline = TimeSpan.FromMilliseconds(100) }).AsTask();
        using CancellationTokenSource cancel = new();
        Task<PutResult> cancelled = client.PutAsync("one", "cancelled", cancellationToken: cancel.Token).AsTask();
        Task<TransactionResult> both = client
            .Transaction()
            .Then(TransactionOperation.Put("one", "both"), TransactionOperation.Put("three", "both"))
            .CommitAsync(TimeSpan.FromMilliseconds(100));
        Assert.True((await client.PutAsync("two", "other")).Succeeded);

        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await late);
        await Assert.ThrowsAsync<DeadlineExceededException>(async () => await both);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await cancelled);
        Assert.Equal(["first", "other"], seen.Order());
        client.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(async () => await first);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task A_write_behind_one_of_unknown_outcome_is_sent_when_the_number_of_that_one_is_used_up(bool sessions, bool cancels)
    {
        await using RealStore store = await RealStore.StartAsync();
        ConcurrentQueue<string> seen = [];
        TaskCompletionSource sent = new(TaskCreationOptions.RunContinuationsAsynchronously),
            voided = new(TaskCreationOptions.RunContinuationsAsynchronously),
            answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        (ulong Client, ulong Sequence) lost = default,
            used = default;
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            switch (call.Method)
            {
                case "Session":
                    await call.Http.Response.StartAsync();
                    while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
                    {
                        foreach (Wire.SessionOperation operation in request.Operations)
                        {
                            if (!IsLost(operation.Put))
                            {
                                await call.WriteAsync(new Wire.SessionResponse { Results = { await store.AnswerAsync(operation) } });
                            }
                        }
                    }

                    break;
                case "Put":
                    Wire.PutRequest put = (await call.ReadAsync(Wire.PutRequest.Parser))!;
                    if (IsLost(put))
                    {
                        await Task.Delay(Timeout.Infinite, call.Http.RequestAborted);
                    }

                    await call.WriteAsync(new Wire.PutResponse { Success = true, Version = 9 });
                    break;
                case "Txn":
                    Wire.TxnRequest nothing = (await call.ReadAsync(Wire.TxnRequest.Parser))!;
                    used = (nothing.ClientId, nothing.Sequence);
                    Assert.Empty(nothing.Then.Concat(nothing.Otherwise));
                    seen.Enqueue("used up");
                    voided.TrySetResult();
                    await answer.Task;
                    await call.WriteAsync(new Wire.TxnResponse());
                    break;
            }
        });

        bool IsLost(Wire.PutRequest put)
        {
            seen.Enqueue(put.Value.ToStringUtf8());
            if (put.Value.ToStringUtf8() != "lost")
            {
                return false;
            }

            lost = (put.ClientId, put.Sequence);
            sent.TrySetResult();
            return true;
        }

        await using HengeClient client = new(Options(node, sessions));
        using CancellationTokenSource cancel = new();
        Task<PutResult> first = client
            .PutAsync("one", "lost", new PutOptions { Deadline = TimeSpan.FromSeconds(cancels ? 60 : 1) }, cancel.Token)
            .AsTask();
        await sent.Task;
        if (cancels)
        {
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await first);
        }
        else
        {
            await Assert.ThrowsAsync<UnknownOutcomeException>(async () => await first);
        }

        Task<PutResult> next = client.PutAsync("one", "next", new PutOptions { Deadline = TimeSpan.FromMinutes(1) }).AsTask();
        await voided.Task;
        Assert.True((await client.PutAsync("two", "other")).Succeeded);
        Assert.DoesNotContain("next", seen);
        answer.SetResult();
        Assert.True((await next).Succeeded);
        Assert.Equal(lost, used);
        Assert.Equal("next", seen.Last());
    }

    [Fact]
    public async Task Without_the_order_calls_overlap()
    {
        await using RealStore store = await RealStore.StartAsync();
        TaskCompletionSource two = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int waiting = 0;
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            if (Interlocked.Increment(ref waiting) == 2)
            {
                two.SetResult();
            }

            await two.Task;
            await store.HandleAsync(call);
        });
        HengeClientOptions options = Options(node, sessions: false);
        options.OrderByKey = false;
        await using HengeClient client = new(options);
        PutResult[] results = await Task.WhenAll(client.PutAsync("one", "1").AsTask(), client.PutAsync("one", "2").AsTask());
        Assert.All(results, static r => Assert.True(r.Succeeded));
    }

    private static async Task AnswerAsync(FakeCall call, RealStore store, Func<bool> refuses)
    {
        if (call.Method != "Session")
        {
            if (refuses())
            {
                call.Fail(ErrorCode.NotLeader, "not now");
                return;
            }

            await store.HandleAsync(call);
            return;
        }

        await call.Http.Response.StartAsync();
        while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
        {
            Wire.SessionResponse response = new();
            foreach (Wire.SessionOperation operation in request.Operations)
            {
                response.Results.Add(
                    refuses()
                        ? new Wire.SessionResult
                        {
                            Id = operation.Id,
                            Error = new Wire.Error { Code = (uint)ErrorCode.NotLeader, Message = "not now" },
                        }
                        : await store.AnswerAsync(operation));
            }

            await call.WriteAsync(response);
        }
    }
}
