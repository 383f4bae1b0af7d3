using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Node.Tests.StateMachine;
using Henge.Node.Watch;
using Henge.Storage.Lsm;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Watch;

public sealed class WatchTests : IDisposable
{
    private readonly LsmEngine _engine = WatchPropertyTests.TinyLsm(new SimulatedFileSystem());
    private readonly ShardedHarness _h;
    private int _signals;

    public WatchTests() => _h = new ShardedHarness(4, engine: _engine);

    public void Dispose() => _engine.Dispose();

    private static WatchQuery Prefix(string prefix) =>
        new() { Lower = MachineHarness.Bytes(prefix), Upper = MachineHarness.Bytes(prefix[..^1] + (char)(prefix[^1] + 1)) };

    private IWatch Open(WatchQuery query) => _h.Watches.Open(query, () => _signals++);

    private static List<string> ReadAll(IWatch watch, int items = 100, int bytes = 100_000)
    {
        var recorder = new WatchRecorder();
        for (int i = 0; watch.TryRead(recorder, items, bytes) && i < 10_000; i++)
        {
            Assert.True(i < 9_999);
        }

        return recorder.Events;
    }

    [Fact]
    public void Events_from_now_on_come_once_and_in_order_and_wake_the_reader_once()
    {
        _h.Put("a", "0");
        using IWatch watch = Open(new WatchQuery { PreviousValues = true });
        Assert.Empty(ReadAll(watch));
        Assert.Equal(0, _signals);
        Core.Version v1 = _h.Put("a", "1");
        Core.Version v2 = _h.Put("a", "2", new PutOptions { Expiry = Expiry.After(100) });
        Assert.Equal(1, _signals);
        Assert.Equal(
            [$"{v1} Put a = 1 until 0, was 0 of {v1.Value - 1}", $"{v2} Put a = 2 until {_h.NowMs + 100}, was 1 of {v1}"],
            ReadAll(watch));
        _h.Delete("a");
        Assert.Equal(2, _signals);
        Assert.Contains("Delete a =", Assert.Single(ReadAll(watch)), StringComparison.Ordinal);
        Assert.Empty(ReadAll(watch));
    }

    [Fact]
    public void An_expired_key_is_told_apart_from_a_deleted_one_live_and_from_history()
    {
        using IWatch live = Open(new WatchQuery { PreviousValues = true });
        Core.Version start = _h.Put("{t}a", "1", new PutOptions { Expiry = Expiry.After(100) });
        _h.Put("{t}b", "2", new PutOptions { Expiry = Expiry.After(100) });
        _h.Delete("{t}b");
        _h.NowMs += 100;
        _h.Expire(_h.Map.ShardOf("t"u8).Value);
        using IWatch past = Open(new WatchQuery { PreviousValues = true, Start = start });
        List<string> events = ReadAll(live);
        Assert.Equal(events, ReadAll(past));
        Assert.Equal(["Put", "Put", "Delete", "Expired"], events.Select(static e => e.Split(' ')[1]));
        Assert.Contains("was 1 of", events[^1], StringComparison.Ordinal);

        // When the value that ended has itself left history, the reason is still known.
        _h.NowMs += 1000;
        Core.Version expired = new(ulong.Parse(events[^1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture));
        _h.History.Advance(new Core.Version(expired.Value - 1));
        _engine.Compact();
        using IWatch late = Open(new WatchQuery { Lower = "{t}a"u8.ToArray(), Upper = "{t}b"u8.ToArray(), Start = expired });
        Assert.Contains("Expired {t}a", Assert.Single(ReadAll(late)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_range_sees_its_keys_only()
    {
        using IWatch watch = Open(Prefix("user:"));
        _h.Put("user:1", "a");
        _h.Put("users", "b");
        _h.Put("user", "c");
        _h.Put("user:2", "d");
        Assert.Equal(["user:1", "user:2"], ReadAll(watch).Select(static e => e.Split(' ')[2]).Order());
    }

    [Fact]
    public void A_transaction_comes_whole_even_over_the_limit()
    {
        using IWatch watch = Open(new WatchQuery());
        using IWatch past = Open(new WatchQuery { Start = new Core.Version(1) });
        var txn = new TxnBuilder();
        for (int i = 0; i < 10; i++)
        {
            txn.Then.Add(MachineHarness.Put("{t}" + i, "v"));
        }

        _h.Do("{t}", MachineHarness.Command(w => txn.Encode(w)));
        _h.Put("{t}x", "after");
        foreach (IWatch each in new[] { watch, past })
        {
            var recorder = new WatchRecorder();
            Assert.True(each.TryRead(recorder, 1, 1));
            Assert.Equal(10, recorder.Events.Count);
            using IWatch resumed = Open(new WatchQuery { Resume = each.ResumeToken });
            Assert.Contains("after", Assert.Single(ReadAll(resumed)), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Progress_marks_rise_and_promise_only_what_was_given()
    {
        using IWatch watch = Open(new WatchQuery { Progress = true });
        var recorder = new WatchRecorder();
        for (int i = 0; i < 20; i++)
        {
            _h.NowMs += 400;
            Core.Version put = _h.Put("k" + i, "v");
            while (watch.TryRead(recorder, 10, 1000))
            {
            }

            Core.Version closed = _h.Advance();
            while (watch.TryRead(recorder, 10, 1000))
            {
            }

            Assert.True(recorder.Marks[^1] <= closed);
            Assert.Equal(i + 1, recorder.Events.Count);
        }

        Assert.InRange(recorder.Marks.Count, 8, 12);
        Assert.Equal(recorder.Marks.Order().Distinct(), recorder.Marks);
    }

    [Fact]
    public void A_start_below_history_is_refused_and_a_watch_that_falls_below_it_is_told()
    {
        Core.Version first = _h.Put("{t}a", "1");
        using IWatch slow = Open(new WatchQuery { Start = first });
        _h.NowMs += 1000;
        _h.Put("{t}a", "2");
        _h.History.Advance(new Core.Version(_h.Machines[_h.Map.ShardOf("t"u8).Value].LastVersion.Value - 1));
        var recorder = new WatchRecorder();
        HengeException told = Assert.Throws<HengeException>(() => slow.TryRead(recorder, 10, 1000));
        Assert.Equal(ErrorCode.HistoryGone, told.Code);
        Assert.Contains(_h.History.Floor.ToString(), told.Message, StringComparison.Ordinal);
        Assert.Throws<HengeException>(() => slow.TryRead(recorder, 10, 1000));
        Assert.Empty(recorder.Events);
        Assert.Equal(ErrorCode.HistoryGone, Assert.Throws<HengeException>(() => Open(new WatchQuery { Start = first })).Code);
    }

    [Fact]
    public void A_receiver_that_fails_gets_the_version_again()
    {
        using IWatch watch = Open(new WatchQuery());
        _h.Put("{t}a", "1");
        _h.Put("{t}a", "2");
        Assert.Throws<InvalidOperationException>(() => watch.TryRead(new Failing(1), 10, 1000));
        Assert.Equal(["2"], ReadAll(watch).Select(static e => e.Split(' ')[4]));
        _h.Put("{t}a", "3");
        Assert.Throws<InvalidOperationException>(() => watch.TryRead(new Failing(0), 10, 1000));
        Assert.Equal(["3"], ReadAll(watch).Select(static e => e.Split(' ')[4]));
    }

    [Fact]
    public void The_number_of_watches_is_bounded_and_closed_ones_make_room()
    {
        var h = new ShardedHarness(2, limits: new NodeLimits { Watches = 2 });
        IWatch a = h.Watches.Open(new WatchQuery(), () => { });
        using IWatch b = h.Watches.Open(new WatchQuery(), () => { });
        Assert.Equal(ErrorCode.ResourceExhausted, Assert.Throws<HengeException>(() => h.Watches.Open(new WatchQuery(), () => { })).Code);
        Assert.All(h.Machines, static m => Assert.Equal(2, ((WatchHub)m.Feed).Readers));
        a.Dispose();
        a.Dispose();
        Assert.Equal(1, h.Watches.Count);
        using IWatch c = h.Watches.Open(new WatchQuery { Lower = "k"u8.ToArray(), Upper = "k\0"u8.ToArray() }, () => { });
        Assert.Equal(3, h.Machines.Sum(static m => ((WatchHub)m.Feed).Readers));
    }

    [Fact]
    public void A_token_of_other_keys_is_refused()
    {
        using IWatch one = Open(new WatchQuery { Lower = "k"u8.ToArray(), Upper = "k\0"u8.ToArray() });
        Assert.Equal(
            ErrorCode.InvalidArgument,
            Assert.Throws<HengeException>(() => Open(new WatchQuery { Resume = one.ResumeToken })).Code);
        Assert.Equal(
            ErrorCode.InvalidArgument,
            Assert.Throws<HengeException>(() => Open(new WatchQuery { Lower = "b"u8.ToArray(), Upper = "a"u8.ToArray() })).Code);
    }

    [Fact]
    public void A_token_with_shards_that_the_cluster_does_not_have_is_refused()
    {
        using IWatch other = new ShardedHarness(5).Watches.Open(new WatchQuery(), static () => { });
        Assert.Equal(
            ErrorCode.InvalidArgument,
            Assert.Throws<HengeException>(() => Open(new WatchQuery { Resume = other.ResumeToken })).Code);
    }

    private sealed class Failing(int after) : IWatchReceiver
    {
        private int _left = after;

        public void OnEvent(in WatchEventView watchEvent)
        {
            if (_left-- == 0)
            {
                throw new InvalidOperationException("no more");
            }
        }
    }
}
