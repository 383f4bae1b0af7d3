using Google.Protobuf;
using Henge.Client.Tests.Fakes;
using Henge.Client.Watching;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

public sealed class WatchTests
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
    public async Task A_watch_whose_connection_breaks_goes_on_without_gap_or_repetition()
    {
        const int events = 50;
        await using RealStore store = await RealStore.StartAsync();
        Random random = new(7);
        int connections = 0;
        async Task BreakingAsync(FakeCall call)
        {
            if (call.Method == "Watch")
            {
                int most;
                lock (random)
                {
                    most = random.Next(0, 15);
                }

                Interlocked.Increment(ref connections);
                await store.WatchAsync(call, most);
                return;
            }

            await store.HandleAsync(call);
        }

        await using FakeNode first = await FakeNode.StartAsync(BreakingAsync);
        await using FakeNode second = await FakeNode.StartAsync(BreakingAsync);
        using HengeClient client = new(Options(first, second));
        Core.Version start = (await client.PutAsync("other", "x")).Version;
        for (int i = 0; i < events; i++)
        {
            await client.PutAsync($"k{i % 7}", $"{i}");
        }

        List<string> seen = [];
        await foreach (
            WatchEvent watchEvent in client.WatchAsync(
                new WatchOptions { StartVersion = start, Range = KeyRange.Prefix("k") }))
        {
            seen.Add(watchEvent.ValueText);
            if (seen.Count == events)
            {
                break;
            }
        }

        Assert.Equal(Enumerable.Range(0, events).Select(i => $"{i}"), seen);
        Assert.True(connections > 3, $"only {connections} connections");
    }

    [Fact]
    public async Task A_token_lets_a_later_watch_go_on_behind_its_event()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        using HengeClient client = new(Options(node));
        Core.Version start = (await client.PutAsync("k", "0")).Version;
        for (int i = 1; i < 5; i++)
        {
            await client.PutAsync("k", $"{i}");
        }

        WatchEvent third = default!;
        int count = 0;
        await foreach (WatchEvent watchEvent in client.WatchAsync(new WatchOptions { StartVersion = start }))
        {
            third = watchEvent;
            if (++count == 3)
            {
                break;
            }
        }

        await foreach (WatchEvent watchEvent in client.WatchAsync(new WatchOptions { ResumeToken = third.ResumeToken }))
        {
            Assert.Equal("3", watchEvent.ValueText);
            break;
        }
    }

    [Fact]
    public async Task A_watch_says_when_the_history_is_gone()
    {
        int calls = 0;
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await call.ReadAsync(Wire.WatchRequest.Parser);
            if (Interlocked.Increment(ref calls) == 1)
            {
                await call.WriteAsync(
                    new Wire.WatchEvent
                    {
                        Key = ByteString.CopyFromUtf8("a"),
                        Version = 5,
                        EventType = "PUT",
                        ResumeToken = ByteString.CopyFromUtf8("t"),
                    });
                call.Fail(ErrorCode.Stopping);
            }
            else
            {
                call.Fail(ErrorCode.HistoryGone, "The oldest version there is is 9.");
            }
        });
        using HengeClient client = new(Options(node));
        List<ulong> versions = [];

        await Assert.ThrowsAsync<HistoryGoneException>(async () =>
        {
            await foreach (WatchEvent watchEvent in client.WatchAsync())
            {
                versions.Add(watchEvent.Version.Value);
            }
        });

        Assert.Equal([5UL], versions);
    }

    [Fact]
    public async Task A_watch_that_meets_damage_on_a_node_goes_on_at_another()
    {
        List<string> asked = [];
        await using FakeNode damaged = await FakeNode.StartAsync(async call =>
        {
            Wire.WatchRequest request = (await call.ReadAsync(Wire.WatchRequest.Parser))!;
            asked.Add("damaged " + request.ResumeToken.ToStringUtf8());
            await call.WriteAsync(EventOf(5));
            call.Fail(ErrorCode.Corruption, "Table '7.sst' is damaged.");
        });
        await using FakeNode whole = await FakeNode.StartAsync(async call =>
        {
            Wire.WatchRequest request = (await call.ReadAsync(Wire.WatchRequest.Parser))!;
            asked.Add("whole " + request.ResumeToken.ToStringUtf8());
            await call.WriteAsync(EventOf(6));
            await call.WriteAsync(EventOf(7));
        });
        using HengeClient client = new(Options(damaged, whole));
        List<ulong> versions = [];
        await foreach (WatchEvent watchEvent in client.WatchAsync())
        {
            versions.Add(watchEvent.Version.Value);
            if (versions.Count == 3)
            {
                break;
            }
        }

        Assert.Equal([5UL, 6UL, 7UL], versions);
        Assert.Equal(["damaged ", "whole t5"], asked);
    }

    private static Wire.WatchEvent EventOf(ulong version) => new()
    {
        Key = ByteString.CopyFromUtf8("a"),
        Version = version,
        EventType = "PUT",
        ResumeToken = ByteString.CopyFromUtf8($"t{version}"),
    };

    [Fact]
    public async Task A_watch_of_the_only_node_ends_with_the_damage_that_it_meets()
    {
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await call.ReadAsync(Wire.WatchRequest.Parser);
            call.Fail(ErrorCode.Corruption, "Table '7.sst' is damaged.");
        });
        using HengeClient client = new(Options(node));
        CorruptionException error = await Assert.ThrowsAsync<CorruptionException>(async () =>
        {
            await foreach (WatchEvent watchEvent in client.WatchAsync())
            {
                Assert.Fail($"There is nobody who could have sent {watchEvent}.");
            }
        });
        Assert.Contains("7.sst", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_watch_that_is_cut_off_for_too_long_says_so()
    {
        await using RealStore store = await RealStore.StartAsync();
        FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await node.DisposeAsync();
        using HengeClient client = new(Options(node));

        await Assert.ThrowsAsync<UnavailableException>(async () =>
        {
            await foreach (
                WatchEvent watchEvent in client.WatchAsync(new WatchOptions { ReconnectTimeout = TimeSpan.FromMilliseconds(50) }))
            {
                Assert.Fail($"There is nobody who could have sent {watchEvent}.");
            }
        });
    }

    [Fact]
    public async Task Progress_marks_come_only_when_asked_for()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        using HengeClient client = new(Options(node));
        Core.Version start = (await client.PutAsync("k", "1")).Version;

        await foreach (WatchEvent watchEvent in client.WatchAsync(new WatchOptions { Progress = true }))
        {
            Assert.Equal(WatchEventKind.Progress, watchEvent.Kind);
            break;
        }

        await foreach (WatchEvent watchEvent in client.WatchAsync(new WatchOptions { StartVersion = start }))
        {
            Assert.Equal(WatchEventKind.Put, watchEvent.Kind);
            break;
        }
    }

    [Fact]
    public async Task Leaving_a_watch_tells_the_node()
    {
        TaskCompletionSource gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await call.ReadAsync(Wire.WatchRequest.Parser);
            await call.WriteAsync(
                new Wire.WatchEvent
                {
                    Key = ByteString.CopyFromUtf8("a"),
                    Version = 5,
                    EventType = "PUT",
                    ResumeToken = ByteString.CopyFromUtf8("t"),
                });
            await call.HangAsync();
            gone.SetResult();
        });
        using HengeClient client = new(Options(node));

        await foreach (WatchEvent _ in client.WatchAsync())
        {
            break;
        }

        await gone.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }
}

public sealed class WatchProgressTests
{
    private static Wire.WatchEvent Event(ulong version, string key, string token = "") => new()
    {
        Key = ByteString.CopyFromUtf8(key),
        Version = version,
        Reason = Wire.WatchReason.Put,
        EventType = "PUT",
        ResumeToken = ByteString.CopyFromUtf8(token),
    };

    private static Wire.WatchRequest Request(WatchProgress progress)
    {
        Wire.WatchRequest request = new();
        progress.ApplyTo(request);
        return request;
    }

    [Fact]
    public void Events_behind_the_last_token_are_dropped_when_they_are_repeated()
    {
        WatchProgress progress = new(new WatchOptions());
        Assert.True(progress.Advance(Event(1, "a", "t1")));
        Assert.True(progress.Advance(Event(2, "b")));
        Assert.True(progress.Advance(Event(2, "c")));
        Assert.Equal("t1", Request(progress).ResumeToken.ToStringUtf8());

        Assert.False(progress.Advance(Event(2, "b")));
        Assert.False(progress.Advance(Event(2, "c", "t2")));
        Assert.True(progress.Advance(Event(3, "b", "t3")));
        Assert.Equal("t3", Request(progress).ResumeToken.ToStringUtf8());
    }

    [Fact]
    public void A_repeated_event_with_an_older_token_does_not_forget_what_came_later()
    {
        WatchProgress progress = new(new WatchOptions { StartVersion = new Core.Version(1) });
        Assert.True(progress.Advance(Event(1, "a")));
        Assert.True(progress.Advance(Event(2, "b")));

        Assert.False(progress.Advance(Event(1, "a", "t1")));
        Assert.False(progress.Advance(Event(2, "b", "t2")));
        Assert.True(progress.Advance(Event(3, "c", "t3")));
    }

    [Fact]
    public void The_mark_with_which_a_connection_begins_does_not_forget_what_came_behind_its_token()
    {
        WatchProgress progress = new(new WatchOptions());
        Assert.True(progress.Advance(Event(1, "a", "t1")));
        Assert.True(progress.Advance(Event(2, "b")));
        Assert.Equal("t1", Request(progress).ResumeToken.ToStringUtf8());

        Assert.True(progress.Advance(new Wire.WatchEvent
        {
            Version = 9,
            Reason = Wire.WatchReason.Progress,
            EventType = "PROGRESS",
            ResumeToken = ByteString.CopyFromUtf8("t1"),
        }));
        Assert.False(progress.Advance(Event(2, "b", "t2")));
        Assert.True(progress.Advance(Event(3, "c", "t3")));
    }

    [Fact]
    public void Without_a_token_a_watch_goes_on_from_the_lowest_version_that_it_gave()
    {
        WatchProgress progress = new(new WatchOptions());
        Assert.Equal(0UL, Request(progress).StartVersion);
        progress.Advance(Event(9, "a"));
        progress.Advance(Event(7, "other shard"));

        Assert.Equal(7UL, Request(progress).StartVersion);
    }
}
