using Henge.Core;
using Henge.Node.StateMachine;
using static Henge.Node.Tests.StateMachine.MachineHarness;

namespace Henge.Node.Tests.StateMachine;

public sealed class ExpiryTests
{
    private readonly MachineHarness _h = new();

    private static PutOptions Ttl(long ms) => new() { Expiry = Expiry.After(ms) };

    [Fact]
    public void A_key_whose_time_has_come_is_deleted_once()
    {
        _h.Apply(Put("a", "1", Ttl(100)));
        _h.Apply(Put("b", "1", Ttl(200)));
        _h.NowMs += 99;
        Assert.Equal(0, _h.Expire());
        _h.NowMs += 1;
        Assert.Equal(1, _h.Expire());
        Assert.True(_h.Results[^1].Result.Found);
        Assert.Equal(0, _h.Expire());
        Assert.Equal(1, _h.CountSystem(SystemKeys.ExpiryTag));
        Assert.Equal(_h.NowMs + 100, _h.Machine.NextDueMs);
        _h.NowMs += 1000;
        Assert.Equal(1, _h.Expire());
        Assert.Equal((0, long.MaxValue), (_h.Expire(), _h.Machine.NextDueMs));
        _h.Reopen();
        Assert.Equal(0, _h.Expire());
    }

    [Fact]
    public void A_value_that_was_replaced_or_kept_alive_is_not_deleted()
    {
        _h.Apply(Put("a", "1", Ttl(100)));
        _h.Apply(Put("a", "2"));
        _h.Apply(Put("b", "1", Ttl(100)));
        _h.Apply(Command(w => CommandEncoder.SetExpiry(w, "b"u8, Expiry.After(10_000))));
        _h.NowMs += 200;
        Assert.Equal(2, _h.Expire());
        Assert.All(_h.Results.TakeLast(2), static r => Assert.False(r.Result.Found));
        Assert.Equal(("2", "1"), (_h.Get("a"), _h.Get("b")));
        _h.NowMs += 10_000;
        Assert.Equal(1, _h.Expire());
        Assert.True(_h.Results[^1].Result.Found);
    }

    [Fact]
    public void Two_leaders_that_propose_the_same_delete_it_once()
    {
        _h.Apply(Put("a", "1", Ttl(100)));
        _h.NowMs += 100;
        var first = new EntryBuilder();
        var second = new EntryBuilder();
        Assert.Equal(1, _h.Machine.CollectDue(_h.NowMs, 10, first));
        Assert.Equal(1, _h.Machine.CollectDue(_h.NowMs, 10, second));
        LogIndex next = _h.Machine.AppliedIndex.Next;
        _h.Machine.ApplyEntry(next, first.ToArray(_h.NextVersion(1)), _h);
        _h.Machine.ApplyEntry(next.Next, second.ToArray(_h.NextVersion(1)), _h);
        _h.Machine.CommitBatch();
        Assert.Equal([true, false], _h.Results.TakeLast(2).Select(static r => r.Result.Found));
    }

    [Fact]
    public void A_put_between_the_proposal_and_its_application_wins()
    {
        _h.Apply(Put("a", "1", Ttl(100)));
        _h.NowMs += 100;
        var entry = new EntryBuilder();
        _h.Machine.CollectDue(_h.NowMs, 10, entry);
        _h.Apply(Put("a", "2"));
        _h.Machine.ApplyEntry(_h.Machine.AppliedIndex.Next, entry.ToArray(_h.NextVersion(1)), _h);
        _h.Machine.CommitBatch();
        Assert.False(_h.Results[^1].Result.Found);
        Assert.Equal("2", _h.Get("a"));

        _h.Apply(Put("a", "3", Ttl(100)));
        _h.NowMs += 100;
        entry.Clear();
        _h.Machine.CollectDue(_h.NowMs, 10, entry);
        _h.Apply(Put("a", "4"), Delete("a"));
        _h.Machine.ApplyEntry(_h.Machine.AppliedIndex.Next, entry.ToArray(_h.NextVersion(1)), _h);
        _h.Machine.CommitBatch();
        Assert.False(_h.Results[^1].Result.Found);
    }

    [Fact]
    public void A_clock_that_jumps_back_deletes_nothing_too_early()
    {
        _h.Apply(Put("a", "1", Ttl(100)));
        var entry = new EntryBuilder();
        Assert.Equal(1, _h.Machine.CollectDue(_h.NowMs + 100, 10, entry));
        _h.Machine.ApplyEntry(_h.Machine.AppliedIndex.Next, entry.ToArray(_h.NextVersion(1)), _h);
        _h.Machine.CommitBatch();
        Assert.Equal("1", _h.Get("a"));
        _h.NowMs += 100;
        Assert.Equal(1, _h.Expire());
        Assert.True(_h.Results[^1].Result.Found);
    }

    [Fact]
    public void A_long_time_to_live_is_exact_in_the_end_and_rewriting_the_key_does_not_grow_the_index()
    {
        const long day = 86_400_000;
        long end = 0;
        for (int i = 0; i < 2000; i++)
        {
            _h.Apply(Put("a", "v", Ttl(30 * day)));
            end = _h.NowMs + (30 * day);
            _h.NowMs += day / 100;
        }

        Assert.InRange(_h.CountSystem(SystemKeys.ExpiryTag), 1, 130);
        while (_h.NowMs < end - 1)
        {
            _h.NowMs = Math.Min(end - 1, Math.Max(_h.NowMs, _h.Machine.NextDueMs));
            _h.Expire();
            Assert.Equal("v", _h.Get("a"));
        }

        Assert.Equal(1, _h.CountSystem(SystemKeys.ExpiryTag));
        _h.NowMs = end;
        Assert.Equal(1, _h.Expire());
        Assert.True(_h.Results[^1].Result.Found);
        Assert.Null(_h.Get("a"));
    }

    [Fact]
    public void Due_keys_are_taken_a_few_at_a_time_in_order()
    {
        for (int i = 0; i < 25; i++)
        {
            _h.Apply(Put($"k{i}", "v", Ttl(100 + i)));
        }

        _h.NowMs += 1000;
        Assert.Equal([10, 10, 5, 0], new[] { _h.Expire(10), _h.Expire(10), _h.Expire(10), _h.Expire(10) });
        Assert.Equal(25, _h.Results.Count(static r => r.Result.Found));
    }
}
