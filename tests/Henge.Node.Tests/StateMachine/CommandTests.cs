using System.Buffers;
using Henge.Core;
using Henge.Node.StateMachine;
using static Henge.Node.Tests.StateMachine.MachineHarness;

namespace Henge.Node.Tests.StateMachine;

public sealed class CommandTests
{
    private readonly MachineHarness _h = new();

    [Theory]
    [InlineData(Core.Version.MaxValue)]
    [InlineData(Core.Version.MaxValue - CommandLimits.MaxEntryCommands + 1)]
    [InlineData(ulong.MaxValue)]
    public void An_entry_whose_versions_there_cannot_be_counts_as_empty_and_the_next_one_is_applied(ulong version)
    {
        var h = new MachineHarness();
        h.Apply(Put("k", "1"));
        Core.Version before = h.Machine.LastVersion;
        byte[] beyond = h.Entry(Put("k", "2"));
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(beyond.AsSpan(1), version);
        h.Machine.ApplyEntry(h.Machine.AppliedIndex.Next, beyond, h);
        h.Machine.CommitBatch();
        Assert.Equal((before, "1"), (h.Machine.LastVersion, h.Get("k")));
        Assert.Equal(2UL, h.Machine.AppliedIndex.Value);
        h.Reopen();
        Assert.Equal(2UL, h.Machine.AppliedIndex.Value);
        h.Apply(Put("k", "3"));
        Assert.Equal("3", h.Get("k"));
    }

    [Fact]
    public void A_put_is_there_and_rises_in_version()
    {
        Core.Version a = _h.Apply(Put("k", "1")).Version;
        Core.Version b = _h.Apply(Put("k", "2")).Version;
        Assert.True(b > a);
        Assert.Equal("2", _h.Get("k"));
        Assert.Equal(b, _h.Machine.LastVersion);
        Assert.Equal(2UL, _h.Machine.AppliedIndex.Value);
    }

    [Fact]
    public void Commands_of_one_entry_see_each_other_and_have_versions_of_their_own()
    {
        _h.Apply(
            Put("k", "1"),
            Put("k", "2", new PutOptions { Condition = PutCondition.IfAbsent }),
            Put("k", "3", new PutOptions { Condition = PutCondition.IfPresent, ReturnPrevious = true }),
            Delete("k"),
            Put("k", "4", new PutOptions { Condition = PutCondition.IfAbsent }));
        Assert.Equal(
            [CommandStatus.Ok, CommandStatus.ConditionFailed, CommandStatus.Ok, CommandStatus.Ok, CommandStatus.Ok],
            _h.Results.Select(static r => r.Result.Status));
        Core.Version first = _h.Results[0].Result.Version;
        Assert.Equal(first, _h.Results[1].Result.Version);
        Assert.Equal(first.Value + 2, _h.Results[2].Result.Version.Value);
        Assert.True(EntryView.TryRead(_h.Results[2].Payload, out EntryView previous));
        Assert.Equal("1", Text(previous.Value));
        Assert.Equal(first, previous.Version);
        Assert.True(_h.Results[3].Result.Found);
        Assert.Equal("4", _h.Get("k"));
    }

    [Fact]
    public void Conditions_on_versions_hold_or_tell_the_version()
    {
        Core.Version v = _h.Apply(Put("k", "1")).Version;
        CommandResult wrong = _h.Apply(
            Put("k", "2", new PutOptions { Condition = PutCondition.IfVersion, IfVersion = new Core.Version(5) }));
        Assert.Equal((CommandStatus.ConditionFailed, v), (wrong.Status, wrong.Version));
        Assert.Equal(CommandStatus.ConditionFailed, _h.Apply(Put("k", "2", new PutOptions { Condition = PutCondition.IfVersion })).Status);
        Assert.Equal(
            CommandStatus.Ok,
            _h.Apply(Put("k", "2", new PutOptions { Condition = PutCondition.IfVersion, IfVersion = v })).Status);
        Assert.Equal(CommandStatus.Ok, _h.Apply(Put("new", "1", new PutOptions { Condition = PutCondition.IfVersion })).Status);
        Assert.Equal(CommandStatus.ConditionFailed, _h.Apply(Delete("k", v)).Status);
        Assert.Equal("2", _h.Get("k"));
        Assert.Equal(CommandStatus.ConditionFailed, _h.Apply(Delete("none", v)).Status);
    }

    [Fact]
    public void A_delete_of_nothing_writes_nothing()
    {
        CommandResult result = _h.Apply(Delete("k"));
        Assert.Equal((CommandStatus.Ok, false), (result.Status, result.Found));
        Assert.Equal(1, _h.Engine.GetStatistics().Entries);
    }

    [Fact]
    public void Increments_check_type_and_range()
    {
        byte[] Increment(string key, long by) => Command(w => CommandEncoder.Increment(w, Bytes(key), by));
        Assert.Equal(5, _h.Apply(Increment("n", 5)).Number);
        Assert.Equal(-3, _h.Apply(Increment("n", -8)).Number);
        Assert.Equal("-3", _h.Get("n"));
        _h.Apply(Put("n", long.MaxValue.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        Assert.Equal(CommandProblem.IntegerOverflow, _h.Apply(Increment("n", 1)).Problem);
        Assert.Equal(0, _h.Apply(Increment("n", -long.MaxValue)).Number);
        foreach (string bad in new[] { "x", "", " 1", "1 ", "+1", "01", "1.0", "9223372036854775808", "-", "-0" })
        {
            _h.Apply(Put("n", bad));
            CommandResult result = _h.Apply(Increment("n", 1));
            Assert.Equal(
                (CommandStatus.Failed, CommandProblem.NotAnInteger, ErrorCode.WrongType),
                (result.Status, result.Problem, result.Error));
        }
    }

    [Theory]
    [InlineData("10.5", "0.1", "10.6")]
    [InlineData("5.0e3", "2.0e2", "5200")]
    [InlineData("1", "-1", "0")]
    [InlineData("1e20", "1", "100000000000000000000")]
    [InlineData("0.0000001", "0", "0.0000001")]
    [InlineData("1.5e-7", "0", "0.00000015")]
    [InlineData("3.0", "1.200", "4.2")]
    [InlineData("abc", "1", null)]
    [InlineData("1.7e308", "1.7e308", null)]
    public void Numbers_add_in_decimal_text(string value, string difference, string? sum)
    {
        _h.Apply(Put("n", value));
        CommandResult result = _h.Apply(Command(w => CommandEncoder.IncrementFloat(w, Bytes("n"), Bytes(difference))));
        Assert.Equal(sum is null ? CommandStatus.Failed : CommandStatus.Ok, result.Status);
        Assert.Equal(sum ?? value, _h.Get("n"));
        Assert.Equal(sum ?? "", Text(_h.LastPayload));
    }

    [Fact]
    public void Append_joins_and_is_bounded()
    {
        byte[] Append(string tail) => Command(w => CommandEncoder.Append(w, Bytes("k"), Bytes(tail), 6));
        Assert.Equal(3, _h.Apply(Append("abc")).Number);
        Assert.Equal(6, _h.Apply(Append("def")).Number);
        Assert.Equal(CommandProblem.ValueTooLarge, _h.Apply(Append("g")).Problem);
        Assert.Equal("abcdef", _h.Get("k"));
    }

    [Fact]
    public void A_value_ends_with_its_time_and_the_expiry_is_kept_or_changed()
    {
        _h.Apply(Put("k", "1", new PutOptions { Expiry = Expiry.After(500) }));
        _h.NowMs += 499;
        Assert.Equal("1", _h.Get("k"));
        _h.Apply(Put("k", "2", new PutOptions { KeepExpiry = true }));
        _h.NowMs += 1;
        Assert.Null(_h.Get("k"));
        Assert.False(_h.Apply(Delete("k")).Found);
        Assert.Equal(CommandStatus.Ok, _h.Apply(Put("k", "3", new PutOptions { Condition = PutCondition.IfAbsent })).Status);
        Assert.Equal("3", _h.Get("k"));

        byte[] SetExpiry(Expiry e, ExpiryCondition c = ExpiryCondition.None) =>
            Command(w => CommandEncoder.SetExpiry(w, Bytes("k"), e, c, returnValue: true));
        Assert.Equal(0, _h.Apply(SetExpiry(Expiry.Never)).Number);
        Assert.Equal(CommandStatus.ConditionFailed, _h.Apply(SetExpiry(Expiry.After(10), ExpiryCondition.IfSome)).Status);
        Assert.Equal(1, _h.Apply(SetExpiry(Expiry.After(1000), ExpiryCondition.IfNone)).Number);
        Assert.Equal(CommandStatus.ConditionFailed, _h.Apply(SetExpiry(Expiry.After(10), ExpiryCondition.IfLater)).Status);
        Assert.Equal(1, _h.Apply(SetExpiry(Expiry.After(100), ExpiryCondition.IfEarlier)).Number);
        Assert.True(EntryView.TryRead(_h.LastPayload, out EntryView before));
        Assert.Equal(_h.NowMs + 1000, before.ExpiresAtMs);
        Assert.Equal(1, _h.Apply(SetExpiry(Expiry.Never)).Number);
        _h.NowMs += 10_000;
        Assert.Equal("3", _h.Get("k"));
        Assert.Equal(1, _h.Apply(SetExpiry(Expiry.At(_h.NowMs - 1))).Number);
        Assert.Null(_h.Get("k"));
        Assert.False(_h.Apply(SetExpiry(Expiry.After(5))).Found);
    }

    [Fact]
    public void A_transaction_does_one_branch_at_one_version()
    {
        Core.Version v = _h.Apply(Put("a", "1")).Version;
        TxnBuilder txn = new TxnBuilder()
            .CompareVersion(Bytes("a"), CompareRelation.Equal, v)
            .CompareExistence(Bytes("b"), false)
            .CompareValue(Bytes("a"), CompareRelation.Less, Bytes("2"));
        txn.Then.Add(Put("a", "2"));
        txn.Then.Add(Command(w => CommandEncoder.Get(w, Bytes("a"))));
        txn.Then.Add(Put("b", "x"));
        txn.Then.Add(Delete("b"));
        txn.Then.Add(Delete("a"));
        txn.Then.Add(Command(w => CommandEncoder.Increment(w, Bytes("a"), 7)));
        txn.Otherwise.Add(Command(w => CommandEncoder.Get(w, Bytes("a"))));
        byte[] command = Command(w => txn.Encode(w));

        CommandResult done = _h.Apply(command);
        Assert.Equal((CommandStatus.Ok, true), (done.Status, done.Succeeded));
        var results = new List<string>();
        var reader = new TxnResultReader(_h.LastPayload);
        while (reader.MoveNext())
        {
            Assert.Equal(done.Version, reader.Current.Version);
            results.Add(
                $"{reader.Current.Status} {reader.Current.Found} {reader.Current.Number} "
                    + $"{(EntryView.TryRead(reader.Payload, out EntryView e) ? Text(e.Value) : "-")}");
        }

        Assert.False(reader.Damaged);
        Assert.Equal(["Ok False 0 -", "Ok True 0 2", "Ok False 0 -", "Ok True 0 -", "Ok True 0 -", "Ok False 7 -"], results);
        Assert.Equal("7", _h.Get("a"));
        Assert.Null(_h.Get("b"));

        CommandResult again = _h.Apply(command);
        Assert.False(again.Succeeded);
        var otherwise = new TxnResultReader(_h.LastPayload);
        Assert.True(otherwise.MoveNext());
        Assert.True(EntryView.TryRead(otherwise.Payload, out EntryView entry));
        Assert.Equal(("7", done.Version), (Text(entry.Value), entry.Version));
        Assert.False(otherwise.MoveNext());
    }

    [Fact]
    public void A_key_made_and_deleted_in_one_transaction_leaves_no_trace()
    {
        var txn = new TxnBuilder();
        txn.Then.Add(Put("b", "x"));
        txn.Then.Add(Delete("b"));
        long before = _h.Engine.GetStatistics().Entries;
        _h.Apply(Command(w => txn.Encode(w)));
        Assert.Equal(before + 1, _h.Engine.GetStatistics().Entries);
    }

    [Fact]
    public void Several_keys_are_put_and_deleted_at_one_version()
    {
        static KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Pair(string k, string v) => new(Bytes(k), Bytes(v));
        byte[] put = Command(w => CommandEncoder.MultiPut(w, [Pair("a", "1"), Pair("b", "2"), Pair("a", "3")], ifAllAbsent: true));
        CommandResult done = _h.Apply(put);
        Assert.Equal((CommandStatus.Ok, 3), (done.Status, done.Number));
        Assert.Equal(("3", "2"), (_h.Get("a"), _h.Get("b")));
        Assert.Equal(CommandStatus.ConditionFailed, _h.Apply(put).Status);
        Assert.Equal(2, _h.Apply(Command(w => CommandEncoder.MultiDelete(w, [Bytes("a"), Bytes("a"), Bytes("b"), Bytes("c")]))).Number);
        Assert.Null(_h.Get("a"));
    }

    [Fact]
    public void An_unknown_command_is_a_result_and_the_rest_goes_on()
    {
        _h.Apply([99, 0, 1], Put("k", "1"));
        Assert.Equal((CommandStatus.Failed, CommandProblem.UnknownCommand), (_h.Results[0].Result.Status, _h.Results[0].Result.Problem));
        Assert.Equal("1", _h.Get("k"));
    }

    [Fact]
    public void A_damaged_entry_is_refused()
    {
        byte[] entry = _h.Entry(Put("k", "1"));
        entry[0] = 9;
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => _h.Machine.ApplyEntry(new LogIndex(1), entry, null)).Code);
    }

    [Fact]
    public void An_advance_closes_history_up_to_its_version()
    {
        _h.Machine.ApplyEntry(new LogIndex(1), EntryBuilder.Advance(new Core.Version(12_345)), null);
        _h.Machine.ApplyEmpty(new LogIndex(2));
        _h.Machine.CommitBatch();
        Assert.Equal((12_345UL, 2UL), (_h.Machine.LastVersion.Value, _h.Machine.AppliedIndex.Value));
        _h.Reopen();
        Assert.Equal((12_345UL, 2UL), (_h.Machine.LastVersion.Value, _h.Machine.AppliedIndex.Value));
    }

    [Fact]
    public void Encoders_refuse_what_makes_no_sense()
    {
        var writer = new ArrayBufferWriter<byte>();
        Assert.Throws<HengeException>(() => CommandEncoder.Put(writer, "k"u8, "v"u8, new PutOptions { Expiry = Expiry.After(0) }));
        Assert.Throws<HengeException>(() =>
            CommandEncoder.Put(writer, "k"u8, "v"u8, new PutOptions { Expiry = Expiry.After(5), KeepExpiry = true }));
        Assert.Throws<HengeException>(() => CommandEncoder.MultiDelete(writer, []));
        Assert.Throws<HengeException>(() => CommandEncoder.IncrementFloat(writer, "k"u8, "nan"u8));
        Assert.Throws<HengeException>(() => new TxnBuilder().Then.Add(Put("k", "v", default, new SessionStamp(1, 1))));
        Assert.Equal(0, writer.WrittenCount);
    }

    [Fact]
    public void Limits_are_checked_with_clear_errors_and_keys_must_share_a_shard()
    {
        var limits = new Api.NodeLimits
        {
            KeyBytes = 4,
            ValueBytes = 4,
            TxnOperations = 2,
            CommandBytes = 200,
        };
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => CommandLimits.Check(Put("12345", "v"), limits)).Code);
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => CommandLimits.Check(Put("k", "12345"), limits)).Code);
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => CommandLimits.Check(new byte[201], limits)).Code);
        Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<HengeException>(() => CommandLimits.Check(new byte[20], limits)).Code);
        var txn = new TxnBuilder();
        txn.Then.Add(Put("{a}1", "v"));
        txn.Otherwise.Add(Command(w => CommandEncoder.MultiDelete(w, [Bytes("{a}2"), Bytes("{a}3")])));
        byte[] good = Command(w => txn.Encode(w));
        CommandLimits.Check(good, limits);
        var map = new ShardMap(1024);
        Assert.Equal(map.ShardOf("a"u8), CommandEncoder.ShardOf(good, map));
        txn.Then.Add(Put("{b}1", "v"));
        Assert.Equal(
            ErrorCode.CrossShard,
            Assert.Throws<HengeException>(() => CommandEncoder.ShardOf(Command(w => txn.Encode(w)), map)).Code);
        Assert.Equal(
            ErrorCode.TooLarge,
            Assert.Throws<HengeException>(() => CommandLimits.Check(Command(w => txn.Encode(w)), limits)).Code);
    }
}
