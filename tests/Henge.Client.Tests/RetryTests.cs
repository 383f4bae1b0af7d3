using System.Collections.Concurrent;
using Henge.Client.Errors;
using Henge.Client.Retry;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Henge.Protocol.Grpc;
using Microsoft.Extensions.Time.Testing;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

public sealed class RetryTests
{
    private static HengeClientOptions Options(params FakeNode[] nodes) => new()
    {
        Peers = [.. nodes.Select(n => n.Address)],
        RouteToLeaders = false,
        UseSessions = false,
        InitialBackoff = TimeSpan.FromMilliseconds(1),
        MaxBackoff = TimeSpan.FromMilliseconds(5),
    };

    [Fact]
    public async Task A_redirect_is_followed_to_the_leader()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode leader = await FakeNode.StartAsync(store.HandleAsync);
        await using FakeNode follower = await FakeNode.StartAsync(call =>
        {
            call.Fail(ErrorCode.NotLeader, "ask the leader", leader.Address);
            return Task.CompletedTask;
        });
        using HengeClient client = new(Options(follower));

        PutResult put = await client.PutAsync("a", "1");

        Assert.True(put.Succeeded);
        Assert.Equal(1, follower.Count("Put"));
        Assert.Equal(1, leader.Count("Put"));
    }

    [Fact]
    public async Task A_refusal_in_the_seeds_manner_is_followed_too()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode leader = await FakeNode.StartAsync(store.HandleAsync);
        await using FakeNode follower = await FakeNode.StartAsync(call =>
            call.WriteAsync(new Wire.PutResponse { LeaderHint = leader.Address }));
        using HengeClient client = new(Options(follower));

        Assert.True((await client.PutAsync("a", "1")).Succeeded);
        Assert.Equal(1, leader.Count("Put"));
    }

    [Theory]
    [InlineData("not an address")]
    [InlineData("http://evil/")]
    [InlineData("")]
    public async Task A_hint_that_is_no_address_is_not_followed(string hint)
    {
        int calls = 0;
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            if (Interlocked.Increment(ref calls) > 1)
            {
                return store.HandleAsync(call);
            }

            call.Fail(ErrorCode.NotLeader, "somebody else", hint);
            return Task.CompletedTask;
        });
        using HengeClient client = new(Options(node));

        Assert.True((await client.PutAsync("a", "1")).Succeeded);
        Assert.Equal(2, calls);
    }

    [Fact]
    public async Task Nodes_that_point_at_each_other_do_not_make_a_storm()
    {
        FakeNode? second = null;
        await using FakeNode first = await FakeNode.StartAsync(call =>
        {
            call.Fail(ErrorCode.NotLeader, "second leads", second!.Address);
            return Task.CompletedTask;
        });
        second = await FakeNode.StartAsync(call =>
        {
            call.Fail(ErrorCode.NotLeader, "first leads", first.Address);
            return Task.CompletedTask;
        });
        await using FakeNode _ = second;
        HengeClientOptions options = Options(first, second);
        options.RetryBudget = 50;
        using HengeClient client = new(options);

        await Assert.ThrowsAsync<NotLeaderException>(async () => await client.PutAsync("a", "1"));

        Assert.InRange(first.Calls.Count + second.Calls.Count, 2, 60);
    }

    [Fact]
    public async Task Another_node_is_asked_when_one_cannot_be_reached()
    {
        await using RealStore store = await RealStore.StartAsync();
        FakeNode dead = await FakeNode.StartAsync(store.HandleAsync);
        await dead.DisposeAsync();
        await using FakeNode alive = await FakeNode.StartAsync(store.HandleAsync);
        using HengeClient client = new(Options(dead, alive));

        Assert.True((await client.PutAsync("a", "1")).Succeeded);
        Assert.Equal("1", (await client.GetAsync("a")).Text);
    }

    [Fact]
    public async Task A_write_whose_answer_was_lost_is_retried_with_the_same_number_and_takes_effect_once()
    {
        await using RealStore store = await RealStore.StartAsync();
        ConcurrentQueue<(ulong, ulong)> numbers = [];
        int calls = 0;
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            Wire.PutRequest request = (await call.ReadAsync(Wire.PutRequest.Parser))!;
            numbers.Enqueue((request.ClientId, request.Sequence));
            Wire.PutResponse response = await store.Stub.PutAsync(request);
            if (Interlocked.Increment(ref calls) < 3)
            {
                call.Abort();
            }
            else
            {
                await call.WriteAsync(response);
            }
        });
        using HengeClient client = new(Options(node));

        PutResult put = await client.PutAsync("a", "1", new PutOptions { IfVersion = default(Core.Version) });

        // Without the number the second attempt would have found its own first one, and would have said that the condition failed.
        Assert.True(put.Succeeded);
        Assert.Equal(3, numbers.Count);
        Assert.Single(numbers.Distinct());
        Assert.NotEqual(0UL, numbers.First().Item1);
        Assert.Equal(1, await store.WritesAsync("a"));
    }

    [Fact]
    public async Task A_write_that_may_have_happened_ends_as_unknown_even_when_later_attempts_are_refused()
    {
        int calls = 0;
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await call.ReadAsync(Wire.PutRequest.Parser);
            if (Interlocked.Increment(ref calls) == 1)
            {
                call.Abort();
            }
            else
            {
                call.Fail(ErrorCode.Unavailable, "no majority");
            }
        });
        HengeClientOptions options = Options(node);
        options.RetryBudget = 3;
        using HengeClient client = new(options);

        await Assert.ThrowsAsync<UnknownOutcomeException>(async () => await client.PutAsync("a", "1"));

        Assert.True(calls > 1);
    }

    [Fact]
    public async Task Without_a_majority_a_write_ends_as_unavailable_within_its_deadline()
    {
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await call.ReadAsync(Wire.PutRequest.Parser);
            call.Fail(ErrorCode.Unavailable, "There is no majority.");
        });
        using HengeClient client = new(Options(node));

        UnavailableException error = await Assert.ThrowsAsync<UnavailableException>(
            async () => await client.PutAsync("a", "1", new PutOptions { Deadline = TimeSpan.FromMilliseconds(500) }));

        Assert.Contains("There is no majority", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_read_that_is_not_answered_ends_with_its_deadline_and_a_write_as_unknown()
    {
        // Time passes only once the node has the request: a write that was not sent by its deadline would not be of unknown outcome.
        using SemaphoreSlim arrived = new(0);
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            arrived.Release();
            await call.HangAsync();
        });
        FakeTimeProvider time = new();
        HengeClientOptions options = Options(node);
        options.TimeProvider = time;
        using HengeClient client = new(options);
        TimeSpan deadline = TimeSpan.FromMilliseconds(100);

        Task<GetResult> get = client.GetAsync("a", new GetOptions { Deadline = deadline }).AsTask();
        await arrived.WaitAsync(TestContext.Current.CancellationToken);
        time.Advance(deadline);
        await Assert.ThrowsAsync<DeadlineExceededException>(() => get);
        Task<PutResult> put = client.PutAsync("a", "1", new PutOptions { Deadline = deadline }).AsTask();
        await arrived.WaitAsync(TestContext.Current.CancellationToken);
        time.Advance(deadline);
        await Assert.ThrowsAsync<UnknownOutcomeException>(() => put);
    }

    [Fact]
    public void Not_one_node_can_be_reached_is_said_only_when_each_was_tried()
    {
        HengeClientOptions options = new() { UnreachableTimeout = TimeSpan.FromSeconds(2) };
        RetryState retries = new(options, new RetryBudget(100, TimeProvider.System), changesState: false, repeatable: true);
        AttemptFailedException refused = new(ErrorCode.Unavailable, "refused", AttemptOutcome.NothingDone, connectionFailed: true);
        TimeSpan late = TimeSpan.FromSeconds(3), left = TimeSpan.FromSeconds(2);

        // On a machine that is busy the time may have passed with the first attempt.
        Assert.Null(retries.OnFailure(refused, late, left, nodes: 3, leader: null).Error);
        Assert.Null(retries.OnFailure(refused, late, left, nodes: 3, leader: null).Error);
        Assert.IsType<UnavailableException>(retries.OnFailure(refused, late, left, nodes: 3, leader: null).Error);
    }

    [Fact]
    public async Task A_node_that_hangs_is_left_for_another_after_the_attempts_time()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode hanging = await FakeNode.StartAsync(call => call.HangAsync());
        await using FakeNode good = await FakeNode.StartAsync(store.HandleAsync);
        HengeClientOptions options = Options(hanging, good);

        // Long enough for the good one to answer in on a busy machine, or the hanging one would be tried again.
        options.AttemptTimeout = TimeSpan.FromSeconds(1);
        using HengeClient client = new(options);

        Assert.True((await client.PutAsync("a", "1")).Succeeded);
        Assert.Equal(1, hanging.Count("Put"));
    }

    [Fact]
    public async Task The_deadline_travels_with_the_request()
    {
        string? timeout = null;
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            timeout = call.Header(GrpcHeaders.Timeout);
            return store.HandleAsync(call);
        });
        using HengeClient client = new(Options(node));

        await client.GetAsync("a", new GetOptions { Deadline = TimeSpan.FromSeconds(2) });

        Assert.True(GrpcTimeout.TryParse(timeout, out long ms));
        Assert.InRange(ms, 1, 2000);
    }

    [Fact]
    public async Task Cancelling_ends_a_call_at_once()
    {
        TaskCompletionSource arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            arrived.TrySetResult();
            return call.HangAsync();
        });
        using HengeClient client = new(Options(node));
        using CancellationTokenSource stop = new();
        Task<GetResult> get = client.GetAsync("a", cancellationToken: stop.Token).AsTask();
        await arrived.Task;

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => get);
    }

    [Theory]
    [InlineData(ErrorCode.InvalidArgument, typeof(InvalidRequestException))]
    [InlineData(ErrorCode.TooLarge, typeof(TooLargeException))]
    [InlineData(ErrorCode.HistoryGone, typeof(HistoryGoneException))]
    [InlineData(ErrorCode.CrossShard, typeof(CrossShardException))]
    [InlineData(ErrorCode.Corruption, typeof(CorruptionException))]
    [InlineData(ErrorCode.Misconfigured, typeof(MisconfiguredException))]
    [InlineData(ErrorCode.SessionExpired, typeof(SessionExpiredException))]
    [InlineData(ErrorCode.DiskFull, typeof(DiskFullException))]
    [InlineData(ErrorCode.WrongType, typeof(WrongTypeException))]
    [InlineData(ErrorCode.UnsupportedFormat, typeof(UnsupportedFormatException))]
    [InlineData(ErrorCode.Internal, typeof(InternalErrorException))]
    public async Task An_error_that_repeating_does_not_mend_is_told_at_once_by_its_type(ErrorCode code, Type type)
    {
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            call.Fail(code, "50% über dem Limit");
            return Task.CompletedTask;
        });
        using HengeClient client = new(Options(node));

        HengeException error = (HengeException)await Assert.ThrowsAsync(type, async () => await client.GetAsync("a"));

        Assert.Equal(code, error.Code);
        Assert.Equal("50% über dem Limit", error.Message);
        Assert.Equal(1, node.Count("Get"));
    }

    [Fact]
    public async Task An_empty_budget_ends_the_retries()
    {
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            call.Fail(ErrorCode.Unavailable);
            return Task.CompletedTask;
        });
        HengeClientOptions options = Options(node);
        options.RetryBudget = 3;
        options.TimeProvider = new FrozenTime();
        using HengeClient client = new(options);

        await Assert.ThrowsAsync<UnavailableException>(async () => await client.GetAsync("a"));

        Assert.Equal(4, node.Count("Get"));
    }

    [Fact]
    public async Task Unavailable_from_something_that_is_not_Henge_leaves_a_write_unknown()
    {
        // A proxy may say so after it has passed the request on.
        int calls = 0;
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            if (Interlocked.Increment(ref calls) == 1)
            {
                call.FailBare(GrpcStatusCode.Unavailable, "upstream reset");
            }
            else
            {
                call.Fail(ErrorCode.CrossShard, "refused while applying");
            }

            return Task.CompletedTask;
        });
        HengeClientOptions options = Options(node);
        options.RetryBudget = 0;
        using HengeClient client = new(options);

        await Assert.ThrowsAsync<UnknownOutcomeException>(async () => await client.PutAsync("a", "1"));
    }

    [Fact]
    public async Task A_request_over_the_limit_fails_before_anything_is_sent()
    {
        await using FakeNode node = await FakeNode.StartAsync(call => call.HangAsync());
        HengeClientOptions options = Options(node);
        options.MaxSendMessageBytes = 100;
        using HengeClient client = new(options);

        await Assert.ThrowsAsync<TooLargeException>(async () => await client.PutAsync("a", new byte[200]));

        Assert.Empty(node.Calls);
    }
}

/// <summary>A clock that stands still, with timers that are real.</summary>
internal sealed class FrozenTime : TimeProvider
{
    public override long GetTimestamp() => 1;
}
