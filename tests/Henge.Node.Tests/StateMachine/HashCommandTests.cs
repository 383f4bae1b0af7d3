using Henge.Core;
using Henge.Node.StateMachine;
using Henge.Storage;
using static Henge.Node.Tests.StateMachine.MachineHarness;

namespace Henge.Node.Tests.StateMachine;

/// <summary>Hashes, parts of values, and moves, against the state machine alone.</summary>
public sealed class HashCommandTests
{
    private const int Limit = 1000;
    private readonly MachineHarness _h = new();

    [Fact]
    public void A_hash_keeps_its_fields_in_order_and_goes_with_the_last()
    {
        Assert.Equal(2, _h.Apply(Set("h", ("b", "1"), ("a", "2"))).Number);
        Assert.Equal(1, _h.Apply(Set("h", ("a", "3"), ("c", "4"), ("c", "5"))).Number);
        Assert.Equal("b=1 a=3 c=5", Fields("h"));
        Assert.Equal(2, _h.Apply(Delete("h", "b", "none", "c")).Number);
        Assert.Equal("a=3", Fields("h"));
        Assert.Equal(1, _h.Apply(Delete("h", "a")).Number);
        Assert.Null(_h.Get("h"));
        Assert.Equal(0, _h.Apply(Delete("h", "a")).Number);
    }

    [Fact]
    public void Bytes_that_look_like_a_hash_stay_bytes_and_types_do_not_mix()
    {
        _h.Apply(Set("h", ("f", "v")));
        _h.Apply(Put("s", _h.Get("h")!));
        Assert.Equal(_h.Get("h"), _h.Get("s"));
        Assert.Equal(CommandProblem.WrongKind, _h.Apply(Set("s", ("f", "v"))).Problem);
        Assert.Equal(CommandProblem.WrongKind, _h.Apply(Delete("s", "f")).Problem);
        Assert.Equal(CommandProblem.WrongKind, _h.Apply(Command(static w => CommandEncoder.Increment(w, "h"u8, 1))).Problem);
        Assert.Equal(CommandProblem.WrongKind, _h.Apply(Command(static w => CommandEncoder.Append(w, "h"u8, "x"u8, Limit))).Problem);
        Assert.Equal(CommandProblem.WrongKind, _h.Apply(Command(static w => CommandEncoder.SetBit(w, "h"u8, 0, true, Limit))).Problem);
        Assert.Equal(CommandProblem.WrongKind, _h.Apply(Put("h", "x", new PutOptions { ReturnPrevious = true })).Problem);
        Assert.Equal("f=v", Fields("h"));
        Assert.Equal(CommandStatus.Ok, _h.Apply(Put("h", "x")).Status);
        Assert.Equal("x", _h.Get("h"));
    }

    [Fact]
    public void A_type_outlives_a_new_expiry_an_increment_and_a_move()
    {
        _h.Apply(Set("h", ("f", "v")));
        _h.Apply(Command(static w => CommandEncoder.SetExpiry(w, "h"u8, Expiry.After(5000))));
        Assert.Equal(2, _h.Apply(Command(static w => CommandEncoder.HashIncrement(w, "h"u8, "n"u8, 2, Limit))).Number);
        Assert.Equal("f=v n=2", Fields("h"));
        Assert.Equal(CommandStatus.Ok, _h.Apply(Command(static w => CommandEncoder.Move(w, "h"u8, "h2"u8))).Status);
        Assert.Null(_h.Get("h"));
        Assert.Equal("f=v n=2", Fields("h2"));
        _h.NowMs += 6000;
        Assert.Null(_h.Get("h2"));
    }

    [Fact]
    public void A_hash_over_the_limit_of_values_is_refused_whole()
    {
        _h.Apply(Set("h", ("f", "v")));
        Assert.Equal(CommandProblem.HashTooLarge, _h.Apply(Set("h", ("g", new string('x', Limit)))).Problem);
        Assert.Equal("f=v", Fields("h"));
        Assert.Equal(
            CommandProblem.HashValueNotAnInteger,
            _h.Apply(Command(static w => CommandEncoder.HashIncrement(w, "h"u8, "f"u8, 1, Limit))).Problem);
        Assert.Equal(
            CommandProblem.ValueTooLarge,
            _h.Apply(Command(static w => CommandEncoder.SetRange(w, "r"u8, long.MaxValue, "x"u8, Limit))).Problem);
        Assert.Equal(5, _h.Apply(Command(static w => CommandEncoder.SetRange(w, "r"u8, 3, "ab"u8, Limit))).Number);
        Assert.Equal("\0\0\0ab", _h.Get("r"));
    }

    [Fact]
    public void Random_edits_of_hashes_agree_with_a_list()
    {
        var random = new Random(7);
        List<(string Field, string Value)> model = [];
        for (int round = 0; round < 400; round++)
        {
            string[] fields = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => $"f{random.Next(60)}")];
            int before = model.Count;
            if (random.Next(2) == 0)
            {
                (string, string)[] pairs = [.. fields.Select(f => (f, $"{round}"))];
                foreach ((string f, string v) in pairs)
                {
                    int at = model.FindIndex(m => m.Field == f);
                    if (at < 0)
                    {
                        model.Add((f, v));
                    }
                    else
                    {
                        model[at] = (f, v);
                    }
                }

                Assert.Equal(model.Count - before, _h.Apply(Set("h", pairs)).Number);
            }
            else
            {
                model.RemoveAll(m => fields.Contains(m.Field));
                Assert.Equal(before - model.Count, _h.Apply(Delete("h", fields)).Number);
            }

            Assert.Equal(string.Join(' ', model.Select(static m => $"{m.Field}={m.Value}")), _h.Get("h") is null ? "" : Fields("h"));
        }
    }

    [Fact]
    public void Entries_that_older_builds_cannot_do_say_so()
    {
        var txn = new TxnBuilder();
        txn.Then.Add(Set("h", ("f", "v")));
        Assert.Equal(2, _h.Entry(Put("k", "v"))[0]);
        Assert.Equal(3, _h.Entry(Put("k", "v"), Set("h", ("f", "v")))[0]);
        Assert.Equal(3, _h.Entry(Put("k", "v", new PutOptions { Condition = PutCondition.IfValue, Comparand = Bytes("x") }))[0]);
        Assert.Equal(3, _h.Entry(Command(w => txn.Encode(w)))[0]);
    }

    [Fact]
    public void Conditions_on_values_and_digests_hold_as_in_Redis()
    {
        Assert.Equal(0xb6acb9d84a38ff74UL, ValueDigest.Of("Hello world"u8));
        PutOptions Eq(string v) => new() { Condition = PutCondition.IfValue, Comparand = Bytes(v) };
        PutOptions Ne(string v) => new() { Condition = PutCondition.IfNotValue, Comparand = Bytes(v) };
        Assert.Equal(CommandStatus.ConditionFailed, _h.Apply(Put("k", "1", Eq("0"))).Status);
        Assert.Equal(CommandStatus.Ok, _h.Apply(Put("k", "1", Ne("0"))).Status);
        Assert.Equal(CommandStatus.ConditionFailed, _h.Apply(Put("k", "2", Ne("1"))).Status);
        Assert.Equal(CommandStatus.Ok, _h.Apply(Put("k", "2", Eq("1"))).Status);
        byte[] digest = ValueDigest.ToComparand(ValueDigest.Of("2"u8));
        Assert.Equal(
            CommandStatus.ConditionFailed,
            _h.Apply(Command(w => CommandEncoder.DeleteIf(w, "k"u8, PutCondition.IfNotDigest, digest))).Status);
        Assert.True(_h.Apply(Command(w => CommandEncoder.DeleteIf(w, "k"u8, PutCondition.IfDigest, digest))).Found);
        Assert.Null(_h.Get("k"));
    }

    private static byte[] Set(string key, params (string Field, string Value)[] fields) =>
        Command(w =>
            CommandEncoder.HashSet(
                w,
                Bytes(key),
                fields
                    .Select(static f => new KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>(Bytes(f.Field), Bytes(f.Value)))
                    .ToArray(),
                Limit));

    private static byte[] Delete(string key, params string[] fields) =>
        Command(w => CommandEncoder.HashDelete(w, Bytes(key), fields.Select(static f => (ReadOnlyMemory<byte>)Bytes(f)).ToArray()));

    private string Fields(string key)
    {
        Assert.True(
            _h.Engine.TryGet(SystemKeys.UserKeyspace(_h.Shard), Bytes(key), new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
        Assert.Equal(DataType.Hash, value.Type);
        var reader = new HashReader(value.Span);
        List<string> fields = [];
        while (reader.MoveNext())
        {
            fields.Add($"{Text(reader.Field)}={Text(reader.Value)}");
        }

        Assert.False(reader.Damaged);
        Assert.Equal(reader.Count, fields.Count);
        value.Dispose();
        return string.Join(' ', fields);
    }
}
