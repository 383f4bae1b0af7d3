using Henge.Core;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using static Henge.Node.Tests.StateMachine.MachineHarness;

namespace Henge.Node.Tests.StateMachine;

public sealed class SessionTests
{
    private static byte[] Increment(ulong client, ulong sequence) =>
        Command(w => CommandEncoder.Increment(w, "n"u8, 1, new SessionStamp(client, sequence)));

    private static byte[] Increment(ulong client, ulong sequence, SessionFlags flags) =>
        Command(w => CommandEncoder.Increment(w, "n"u8, 1, new SessionStamp(client, sequence, flags)));

    private static byte[] Nothing(ulong client, ulong sequence) => Command(w =>
    {
        var builder = new TxnBuilder();
        builder.CompareVersion("n"u8, CompareRelation.Equal, Core.Version.Max);
        builder.Encode(w, new SessionStamp(client, sequence));
    });

    [Theory]
    [InlineData(SessionFlags.None)]
    [InlineData(SessionFlags.Continues)]
    public void What_comes_under_a_number_that_a_transaction_of_nothing_has_used_up_is_not_done(SessionFlags flags)
    {
        // As little room as there can be: the number stays known over all that a lane of the client gives out after it.
        MachineHarness h = With(new SessionLimits { TotalBytes = 1 });
        h.Apply(Increment(7, 1, SessionFlags.None));
        Assert.False(h.Apply(Nothing(7, 2)).Succeeded);
        for (ulong sequence = 3; sequence < 18; sequence++)
        {
            h.Apply(Increment(7, sequence, SessionFlags.Continues));
        }

        h.Apply(Increment(7, 2, flags));
        h.Reopen();
        h.Apply(Increment(7, 2, flags));
        Assert.Equal("16", h.Get("n"));
    }

    [Fact]
    public void A_transaction_of_nothing_under_the_number_of_what_was_done_changes_nothing()
    {
        var h = new MachineHarness();
        CommandResult first = h.Apply(Increment(7, 1));
        Assert.Equal(first, h.Apply(Nothing(7, 1)));
        Assert.Equal("1", h.Get("n"));
    }

    private static MachineHarness With(SessionLimits limits) => new(new StateMachineOptions { Sessions = limits });

    [Fact]
    public void A_retry_takes_effect_once_and_gives_the_same_result()
    {
        var h = new MachineHarness();
        CommandResult first = h.Apply(Increment(7, 1));
        Assert.Equal(first, h.Apply(Increment(7, 1)));
        h.Reopen();
        Assert.Equal(first, h.Apply(Increment(7, 1)));
        Assert.Equal(2, h.Apply(Increment(8, 1)).Number);
        Assert.Equal("2", h.Get("n"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_retry_whose_session_was_pushed_out_is_not_done_again(bool reopen)
    {
        MachineHarness h = With(new SessionLimits { Sessions = 2, ProtectedMs = 1 });
        h.Apply(Increment(7, 1));
        h.NowMs += 10;
        h.Apply(Increment(8, 1), Increment(9, 1));
        if (reopen)
        {
            h.Reopen();
        }

        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 1, SessionFlags.Retry)).Problem);
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 1, SessionFlags.Retry | SessionFlags.Continues)).Problem);
        Assert.Equal("3", h.Get("n"));
    }

    [Fact]
    public void A_retry_whose_session_was_idle_too_long_is_not_done_again_and_a_new_request_goes_on()
    {
        MachineHarness h = With(new SessionLimits { IdleMs = 1_000 });
        h.Apply(Increment(7, 1));
        h.NowMs += 5_000;
        h.Apply(Increment(8, 1));
        Assert.Equal(1, h.Machine.SessionCount);
        Assert.Equal(3, h.Apply(Increment(7, 5, SessionFlags.Continues)).Number);

        // Not with the session that has come after it either; what is sent for the first time is done.
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 1, SessionFlags.Retry | SessionFlags.Continues)).Problem);
        Assert.Equal(4, h.Apply(Increment(7, 4, SessionFlags.Continues)).Number);
        h.Reopen();
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 4, SessionFlags.Retry | SessionFlags.Continues)).Problem);
        Assert.Equal(3, h.Apply(Increment(7, 5, SessionFlags.Retry | SessionFlags.Continues)).Number);
        Assert.Equal("4", h.Get("n"));
    }

    [Fact]
    public void A_first_attempt_that_comes_after_its_retry_was_done_and_forgotten_is_not_done_again()
    {
        MachineHarness h = With(new SessionLimits { Window = 2, MinimumWindow = 2 });
        Assert.Equal(1, h.Apply(Increment(7, 1, SessionFlags.Continues)).Number);
        Assert.Equal(2, h.Apply(Increment(7, 2, SessionFlags.Retry | SessionFlags.Continues)).Number);
        Assert.Equal(3, h.Apply(Increment(7, 3, SessionFlags.Continues)).Number);
        Assert.Equal(4, h.Apply(Increment(7, 4, SessionFlags.Continues)).Number);
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 2, SessionFlags.Continues)).Problem);
            Assert.Equal(4, h.Apply(Increment(7, 4, SessionFlags.Continues)).Number);
            h.Reopen();
        }
    }

    [Fact]
    public void A_first_attempt_is_done_that_only_was_overtaken_when_its_session_began_anew()
    {
        MachineHarness h = With(new SessionLimits { Sessions = 1, ProtectedMs = 1, Window = 2, MinimumWindow = 2 });
        h.Apply(Increment(7, 1));
        h.NowMs += 10;
        h.Apply(Increment(8, 1));
        h.NowMs += 10;
        Assert.Equal(3, h.Apply(Increment(7, 5, SessionFlags.Continues)).Number);
        h.Reopen();
        Assert.Equal(4, h.Apply(Increment(7, 4, SessionFlags.Continues)).Number);
        h.Apply(Increment(7, 6, SessionFlags.Continues));
        h.Apply(Increment(7, 7, SessionFlags.Continues));
        for (int i = 0; i < 2; i++)
        {
            // Now results of this session have been given up, and it cannot be told from one of those.
            Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 3, SessionFlags.Continues)).Problem);
            h.Reopen();
        }
    }

    [Fact]
    public void A_retry_is_done_where_no_session_has_ever_ended()
    {
        var h = new MachineHarness();
        Assert.Equal(1, h.Apply(Increment(7, 1, SessionFlags.Retry)).Number);
        Assert.Equal(1, h.Apply(Increment(7, 1, SessionFlags.Retry)).Number);
    }

    [Fact]
    public void An_earlier_write_that_is_retried_is_done_where_no_session_has_ever_ended()
    {
        // A client that had answers of other shards only: what it says of its session is not true of this one.
        var h = new MachineHarness();
        Assert.Equal(1, h.Apply(Increment(7, 9, SessionFlags.Continues)).Number);
        Assert.Equal(2, h.Apply(Increment(7, 5, SessionFlags.Retry | SessionFlags.Continues)).Number);
        Assert.Equal(3, h.Apply(Increment(7, 6, SessionFlags.Retry)).Number);
        h.Reopen();
        Assert.Equal(2, h.Apply(Increment(7, 5, SessionFlags.Retry)).Number);
        Assert.Equal(4, h.Apply(Increment(7, 4, SessionFlags.Retry)).Number);
        Assert.Equal("4", h.Get("n"));
    }

    [Fact]
    public void A_snapshot_says_that_sessions_have_ended()
    {
        MachineHarness h = With(new SessionLimits { IdleMs = 1_000 });
        h.Apply(Increment(7, 1));
        h.NowMs += 5_000;
        h.Apply(Increment(8, 1));
        MachineHarness target = With(new SessionLimits { IdleMs = 1_000 });
        target.NowMs = h.NowMs + 10;
        using (ShardSnapshotReader reader = h.Machine.CreateSnapshot(new Term(1), default))
        using (ShardSnapshotInstaller installer = target.Machine.BeginInstall())
        {
            var buffer = new byte[500];
            while (reader.TryRead(buffer, out int written, out _))
            {
                installer.Write(buffer.AsSpan(0, written));
            }

            installer.Complete();
        }

        Assert.Equal(h.Machine.StateHash(), target.Machine.StateHash());
        Assert.Equal(CommandProblem.SequenceForgotten, target.Apply(Increment(7, 1, SessionFlags.Retry)).Problem);
    }

    [Fact]
    public void A_retry_in_the_same_batch_is_seen()
    {
        var h = new MachineHarness();
        h.Apply(Increment(7, 1), Increment(7, 1), Increment(7, 2), Increment(7, 1));
        Assert.Equal([1L, 1, 2, 1], h.Results.Select(static r => r.Result.Number));
    }

    [Fact]
    public void Many_requests_of_one_client_in_a_batch_cost_one_record()
    {
        var h = new MachineHarness();
        for (ulong batch = 0; batch < 30; batch++)
        {
            h.Apply([.. Enumerable.Range(1, 100).Select(i => Increment(7, (batch * 100) + (ulong)i))]);
        }

        // The window of 1024 is in the chunks of eleven batches, and the one before is written over.
        Assert.InRange(h.CountSystem(SystemKeys.SessionTag), 11, 12);
        h.Reopen();
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 3000 - 1024)).Problem);
        Assert.Equal(3000 - 1023, h.Apply(Increment(7, 3000 - 1023)).Number);
        Assert.Equal("3000", h.Get("n"));
    }

    [Fact]
    public void A_session_without_a_sequence_number_is_none()
    {
        var h = new MachineHarness();
        h.Apply(Increment(7, 0));
        Assert.Equal(2, h.Apply(Increment(7, 0)).Number);
        Assert.Equal(0, h.Machine.SessionCount);
    }

    [Fact]
    public void Failures_and_failed_conditions_are_repeated_too()
    {
        var h = new MachineHarness();
        byte[] put = Put("k", "1", new PutOptions { Condition = PutCondition.IfPresent }, new SessionStamp(7, 1));
        Assert.Equal(CommandStatus.ConditionFailed, h.Apply(put).Status);
        h.Apply(Put("k", "0"));
        Assert.Equal(CommandStatus.ConditionFailed, h.Apply(put).Status);
        Assert.Equal("0", h.Get("k"));
    }

    [Fact]
    public void Requests_may_overtake_each_other_within_the_window()
    {
        MachineHarness h = With(new SessionLimits { Window = 4, MinimumWindow = 2 });
        foreach (ulong sequence in new ulong[] { 5, 2, 9, 3 })
        {
            Assert.Equal(CommandStatus.Ok, h.Apply(Increment(7, sequence)).Status);
        }

        Assert.Equal(1, h.Apply(Increment(7, 5)).Number);
        Assert.Equal(5, h.Apply(Increment(7, 10)).Number);

        // 2 was given up for 10, so what is at or below it cannot be told.
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 2)).Problem);
        Assert.Equal(ErrorCode.SessionExpired, h.Apply(Increment(7, 1)).Error);
        Assert.Equal(4, h.Apply(Increment(7, 3)).Number);
        Assert.Equal("5", h.Get("n"));
        h.Reopen();
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 2)).Problem);
        Assert.Equal(4, h.Apply(Increment(7, 3)).Number);
        Assert.Equal(6, h.Apply(Increment(7, 4)).Number);
    }

    [Fact]
    public void A_request_that_comes_later_than_the_window_reaches_is_done_once_and_then_forgotten()
    {
        MachineHarness h = With(new SessionLimits { Window = 4, MinimumWindow = 2 });
        foreach (ulong sequence in new ulong[] { 5, 6, 7, 8 })
        {
            h.Apply(Increment(7, sequence));
        }

        Assert.Equal(5, h.Apply(Increment(7, 2)).Number);
        for (int i = 0; i < 2; i++)
        {
            // It had no room among higher ones, and took none of theirs.
            Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 2)).Problem);
            Assert.Equal([1L, 2, 3, 4], new ulong[] { 5, 6, 7, 8 }.Select(s => h.Apply(Increment(7, s)).Number));
            h.Reopen();
        }

        // What was given up stays given up, whatever comes in between.
        Assert.Equal(6, h.Apply(Increment(7, 9)).Number);
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 4)).Problem);
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Increment(7, 5)).Problem);
        Assert.Equal("6", h.Get("n"));
    }

    [Fact]
    public void A_session_that_is_idle_too_long_ends_and_its_records_go()
    {
        MachineHarness h = With(new SessionLimits { IdleMs = 1000 });
        h.Apply(Increment(7, 1));
        h.Apply(Increment(7, 2));
        Assert.Equal(2, h.CountSystem(SystemKeys.SessionTag));
        h.NowMs += 2000;
        Assert.Equal(3, h.Apply(Increment(7, 1)).Number);

        // With the record that says that sessions have ended.
        Assert.Equal((1, 2), (h.Machine.SessionCount, h.CountSystem(SystemKeys.SessionTag)));
        h.NowMs += 2000;
        h.Apply(Put("k", "v"));
        Assert.Equal((0, 1), (h.Machine.SessionCount, h.CountSystem(SystemKeys.SessionTag)));
    }

    [Fact]
    public void Too_many_sessions_push_out_the_idle_and_refuse_when_all_are_busy()
    {
        MachineHarness h = With(new SessionLimits { Sessions = 3, ProtectedMs = 100 });
        for (ulong client = 1; client <= 3; client++)
        {
            h.Apply(Increment(client, 1));
        }

        CommandResult refused = h.Apply(Increment(4, 1));
        Assert.Equal((CommandProblem.TooManySessions, ErrorCode.ResourceExhausted), (refused.Problem, refused.Error));
        Assert.Equal("3", h.Get("n"));
        h.NowMs += 100;
        h.Apply(Increment(1, 2));
        Assert.Equal(5, h.Apply(Increment(4, 1)).Number);
        Assert.Equal(3, h.Machine.SessionCount);

        // Client 2 was the one not used for longest.
        h.NowMs += 200;
        Assert.Equal(1, h.Apply(Increment(1, 1)).Number);
        Assert.Equal(6, h.Apply(Increment(2, 1)).Number);
    }

    [Fact]
    public void A_large_result_is_not_kept_and_the_retry_says_so()
    {
        MachineHarness h = With(new SessionLimits { PayloadBytes = 50, SessionPayloadBytes = 100 });
        h.Apply(Put("k", new string('x', 60)));
        byte[] swap = Put("k", "y", new PutOptions { ReturnPrevious = true }, new SessionStamp(7, 1));
        Assert.True(EntryView.TryRead(h.Apply(swap).Status == CommandStatus.Ok ? h.LastPayload : default, out _));
        for (int i = 0; i < 2; i++)
        {
            CommandResult again = h.Apply(swap);
            Assert.Equal((CommandStatus.Failed, ErrorCode.UnknownOutcome), (again.Status, again.Error));
            h.Reopen();
        }
    }

    [Fact]
    public void Payloads_of_a_session_are_bounded()
    {
        MachineHarness h = With(new SessionLimits { PayloadBytes = 50, SessionPayloadBytes = 100, MinimumWindow = 2 });
        for (ulong i = 1; i <= 10; i++)
        {
            h.Apply(Put("k", new string('x', 40), new PutOptions { ReturnPrevious = true }, new SessionStamp(7, i)));
        }

        Assert.InRange(h.CountSystem(SystemKeys.SessionTag), 2, 3);
        Assert.Equal(CommandProblem.SequenceForgotten, h.Apply(Put("k", "z", default, new SessionStamp(7, 8))).Problem);
        Assert.Equal(CommandStatus.Ok, h.Apply(Put("k", "z", default, new SessionStamp(7, 9))).Status);
        Assert.Equal(new string('x', 40), h.Get("k"));
    }

    /// <summary>The client for .NET has 16 writes of one id under way, and they may overtake each other.</summary>
    [Fact]
    public void Large_results_do_not_push_out_what_a_client_has_under_way()
    {
        var h = new MachineHarness();
        string large = new('x', 16_000);
        h.Apply(Put("k", large, default, default));
        for (ulong i = 16; i >= 1; i--)
        {
            CommandResult result = h.Apply(
                Put("k", large, new PutOptions { ReturnPrevious = true }, new SessionStamp(7, i, SessionFlags.Continues)));
            Assert.Equal((CommandStatus.Ok, CommandProblem.None), (result.Status, result.Problem));
        }

        h.Reopen();
        for (ulong i = 1; i <= 16; i++)
        {
            Core.Version before = h.Machine.LastVersion;
            CommandResult again = h.Apply(
                Put("k", "other", new PutOptions { ReturnPrevious = true }, new SessionStamp(7, i, SessionFlags.Continues)));
            Assert.Equal((CommandStatus.Ok, CommandProblem.None), (again.Status, again.Problem));
            Assert.True(again.Version <= before);
        }

        Assert.Equal(large, h.Get("k"));
    }
}
