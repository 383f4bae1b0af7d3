using System.Buffers;
using System.Net;
using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Access;
using Henge.Server.Audit;
using Henge.Server.Operations;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;
using Henge.Storage;
using Serilog.Events;
using Version = Henge.Core.Version;

namespace Henge.Server.Tests.Audit;

/// <summary>What the audit log says of operations that go through the guard.</summary>
public sealed class KeyAuditTests : IDisposable
{
    private static readonly IPEndPoint From = new(IPAddress.Parse("192.0.2.7"), 4711);
    private readonly FakeNode _node = new() { Inline = true };
    private readonly FixedAccess _access = new();
    private readonly FakeSink _sink = new();
    private readonly AuditLog _log;

    public KeyAuditTests() =>
        _log = AuditLog.Open(new AuditSettings { Path = "fake", Open = () => _sink }, "n1", new LinesLogger());

    public void Dispose()
    {
        _log.Dispose();
        _sink.Dispose();
        _node.Dispose();
    }

    [Fact]
    public async Task A_line_says_who_did_what_to_which_key_from_where_and_what_came_of_it()
    {
        GuardedNode node = Node(new AuditRule(AuditedAccess.All, "a"));
        await RunAsync(node, Put("a1", "secret value"));
        await RunAsync(node, Put("a1", "other", PutCondition.IfAbsent));
        await RunAsync(node, Of("a1", w => CommandEncoder.Increment(w, "a1"u8, 1)));
        await RunAsync(node, new Asked { Kind = OperationKind.Get, Key = "a1"u8.ToArray() });
        await RunAsync(node, new Asked { Kind = OperationKind.Get, Key = "b1"u8.ToArray() });
        await RunAsync(node, Put("b1", "v"));
        _node.Intercept = static o =>
        {
            o.Fail(o.Kind == OperationKind.Write ? ErrorCode.UnknownOutcome : ErrorCode.Unavailable, "lost");
            return true;
        };
        await RunAsync(node, Put("a1", "v"));
        await RunAsync(node, new Asked { Kind = OperationKind.Get, Key = "a1"u8.ToArray() });
        List<LogEvent> lines = await LinesAsync(6);
        Assert.Equal(
            [
                "Put a1 Ok", "Put a1 ConditionFailed", "Increment a1 WrongType", "Get a1 Ok", "Put a1 UnknownOutcome", "Get a1 Unavailable",
            ],
            lines.Select(Short));
        Assert.All(lines, static l => Assert.Equal(
            ("nobody", "192.0.2.7:4711", "test"),
            (FakeSink.Text(l, "User"), FakeSink.Text(l, "Address"), FakeSink.Text(l, "Door"))));
        Assert.All(lines, static l => Assert.DoesNotContain(
            "secret", string.Join(' ', l.Properties.Values.Select(static v => v.ToString())), StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_user_is_who_has_logged_in_and_who_is_refused_is_told_of()
    {
        _access.Set(new Grant(Permissions.Write, KeyRange.Prefix("a")));
        GuardedNode ann = Node(new Login("ann"), new AuditRule(AuditedAccess.All, ""));
        GuardedNode bob = Node(new Login("bob"), new AuditRule(AuditedAccess.All, ""));
        await RunAsync(ann, Put("a1", "v"));
        await RunAsync(bob, Put("a1", "v"));
        await RunAsync(Node(new AuditRule(AuditedAccess.All, "")), Put("a1", "v"));
        Asked[] batch = [Put("a2", "v"), Put("b2", "v")];
        ann.Submit([.. batch]);
        await Task.WhenAll(batch.Select(static b => b.Ended));
        List<LogEvent> lines = await LinesAsync(5);
        Assert.Equal(
            [
                "ann Put a1 Ok", "ann Put a2 Ok", "ann Put b2 PermissionDenied", "bob Put a1 PermissionDenied",
                "nobody Put a1 Unauthenticated",
            ],
            lines.Select(static l => $"{FakeSink.Text(l, "User")} {Short(l)}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Reads_and_writes_are_told_of_apart()
    {
        GuardedNode node = Node(new AuditRule(AuditedAccess.Read, "r"), new AuditRule(AuditedAccess.Write, "w"));
        foreach (string key in new[] { "r", "w" })
        {
            await RunAsync(node, Put(key, "v"));
            await RunAsync(node, new Asked { Kind = OperationKind.Get, Key = Encoding.ASCII.GetBytes(key) });

            // What tells of what is there reads.
            await RunAsync(node, Put(key, "v", PutCondition.IfPresent));
        }

        Assert.Equal(["Get r Ok", "Put r Ok", "Put w Ok", "Put w Ok"], (await LinesAsync(4)).Select(Short));
    }

    [Fact]
    public async Task Each_key_of_a_transaction_and_of_a_command_of_several_is_told_of()
    {
        GuardedNode node = Node(new AuditRule(AuditedAccess.All, ""));
        foreach (bool exists in new[] { false, true })
        {
            await RunAsync(node, Of("{t}1", w =>
            {
                var txn = new TxnBuilder();
                txn.CompareExistence("{t}1"u8, exists);
                Add(txn.Then, static part => CommandEncoder.Put(part, "{t}2"u8, "v"u8, new PutOptions()));
                Add(txn.Otherwise, static part => CommandEncoder.Get(part, "{t}3"u8));
                txn.Encode(w);
            }));
        }

        await RunAsync(node, Of(
            "{m}1",
            w => CommandEncoder.MultiPut(w, [new("{m}1"u8.ToArray(), "v"u8.ToArray()), new("{m}2"u8.ToArray(), "v"u8.ToArray())])));
        List<LogEvent> lines = await LinesAsync(8);
        Assert.Equal(
            [
                "Compare {t}1 Ok Compare", "Put {t}2 Ok Then", "Get {t}3 NotTaken Otherwise",
                "Compare {t}1 Ok Compare", "Put {t}2 NotTaken Then", "Get {t}3 Ok Otherwise",
                "MultiPut {m}1 Ok", "MultiPut {m}2 Ok",
            ],
            lines.Select(static l => $"{Short(l)} {FakeSink.Text(l, "Part")}".TrimEnd()));
    }

    [Fact]
    public async Task Scans_histories_and_watches_are_told_of_by_their_range()
    {
        _access.Set(new Grant(Permissions.Read | Permissions.Watch, KeyRange.Prefix("b")));
        GuardedNode node = Node(new Login("ann"), new AuditRule(AuditedAccess.Read, "bb"));
        Scan(node, "b", "c");
        Scan(node, "b", "bb");
        Scan(node, "bc", "c");
        Assert.Throws<HengeException>(() => Scan(node, "a", ""));
        node.ReadPage(PageFetch.OfHistory("bb1"u8.ToArray(), Version.Max, 10, 1000, isStale: true), Nobody.Instance);
        var query = new WatchQuery { Lower = "b"u8.ToArray(), Upper = "c"u8.ToArray() };
        using (IWatch watch = node.OpenWatch(query, static () => { }))
        {
            _access.Set(new Grant(Permissions.Read, KeyRange.Prefix("b")));
            Assert.Throws<HengeException>(() => watch.TryRead(Nobody.Instance, 1, 1));
        }

        Assert.Throws<HengeException>(() => node.OpenWatch(query, static () => { }));
        Assert.Equal(
            [
                "Scan b to c Ok", "Scan a to  PermissionDenied", "History bb1 Ok", "Watch b to c Ok", "WatchEnd b to c PermissionDenied",
                "Watch b to c PermissionDenied",
            ],
            (await LinesAsync(6)).Select(Short));
    }

    [Fact]
    public async Task One_in_so_many_is_told_of_and_who_is_refused_always()
    {
        int drawn = 0;
        AuditOptions options = new() { Keys = [new AuditRule(AuditedAccess.All, "")], KeysSample = 10 };
        KeyAudit audit = new(_log, options, most => drawn++ % most);
        GuardedNode node = new(_node, _access, new Caller(new Login("ann")), audit, new AuditedCaller(audit, "test", From));
        for (int i = 0; i < 100; i++)
        {
            await RunAsync(node, Put($"k{i}", "v"));
        }

        _access.Set(new Grant(Permissions.Read, KeyRange.Prefix("a")));
        for (int i = 0; i < 5; i++)
        {
            await RunAsync(node, Put("refused", "v"));
        }

        List<LogEvent> lines = await LinesAsync(15);
        Assert.Equal(
            [.. Enumerable.Range(0, 10).Select(static i => $"Put k{i * 10} Ok"), .. Enumerable.Repeat("Put refused PermissionDenied", 5)],
            lines.Select(Short));
        Assert.Equal(100, drawn);
    }

    [Fact]
    public void Keys_are_shown_so_that_none_looks_like_another_and_none_is_endless()
    {
        Assert.Equal("plain key", AuditText.Key("plain key"u8));
        Assert.Equal("\\x00\\xff\\x5cx\\x0a\\xc3\\xa4", AuditText.Key([0, 255, (byte)'\\', (byte)'x', (byte)'\n', 0xC3, 0xA4]));
        Assert.Equal(new string('k', 256) + "\\+744", AuditText.Key(Encoding.ASCII.GetBytes(new string('k', 1000))));
        Assert.Equal(2048 + 5, AuditText.Bounded(new string('x', 2048 + 100)).Length);
    }

    [Fact]
    public void A_range_is_told_of_when_it_has_a_key_in_common_with_what_is_audited()
    {
        KeyRules rules = new([new AuditRule(AuditedAccess.Read, "b")]);
        (string Lower, string Upper, bool Has)[] table =
        [
            ("", "", true), ("a", "b", false), ("a", "b\0", true), ("b", "c", true), ("bz", "c", true), ("c", "", false), ("a", "", true),
            ("", "a", false), ("", "bb", true),
        ];
        Assert.All(table, t => Assert.Equal(t.Has, rules.HasRange(Encoding.ASCII.GetBytes(t.Lower), Encoding.ASCII.GetBytes(t.Upper))));
        Assert.True(new KeyRules([new AuditRule(AuditedAccess.All, "")]).HasRange("x"u8, "y"u8));
        Assert.False(new KeyRules([new AuditRule(AuditedAccess.Write, "")]).HasRange("x"u8, "y"u8));
    }

    private GuardedNode Node(params AuditRule[] rules) => Node(null, rules);

    private GuardedNode Node(Login? login, params AuditRule[] rules)
    {
        KeyAudit audit = new(_log, new AuditOptions { Keys = rules });
        return new GuardedNode(_node, _access, audit: audit).For(new Caller(login), "test", From);
    }

    private async Task<List<LogEvent>> LinesAsync(int count)
    {
        await GrpcRulesTests.Until(() => _log.Waiting == 0);
        List<LogEvent> lines = [.. _sink.Events.Skip(1)];
        Assert.Equal(count, lines.Count);
        return lines;
    }

    private static string Short(LogEvent line)
    {
        string keys = FakeSink.Text(line, "Event") == "Key"
            ? FakeSink.Text(line, "Key")
            : $"{FakeSink.Text(line, "From")} to {FakeSink.Text(line, "To")}";
        return $"{FakeSink.Text(line, "Operation")} {keys} {FakeSink.Text(line, "Outcome")}";
    }

    private static void Scan(GuardedNode node, string lower, string upper) => node.ReadPage(
        PageFetch.OfScan(
            new ScanQuery
            {
                Version = node.Now,
                Lower = Encoding.ASCII.GetBytes(lower),
                Upper = Encoding.ASCII.GetBytes(upper),
                LimitItems = 10,
                LimitBytes = 1000,
            },
            isStale: true),
        Nobody.Instance);

    private static async Task RunAsync(GuardedNode node, Asked operation)
    {
        node.Submit(operation);
        await operation.Ended;
    }

    private static Asked Put(string key, string value, PutCondition condition = PutCondition.None) => Of(
        key,
        w => CommandEncoder.Put(w, Encoding.ASCII.GetBytes(key), Encoding.ASCII.GetBytes(value), new PutOptions { Condition = condition }));

    private static Asked Of(string key, Action<ArrayBufferWriter<byte>> encode)
    {
        var command = new ArrayBufferWriter<byte>();
        encode(command);
        return new Asked { Kind = OperationKind.Write, Key = Encoding.ASCII.GetBytes(key), Command = command.WrittenMemory };
    }

    private static void Add(TxnBranch branch, Action<ArrayBufferWriter<byte>> encode)
    {
        var part = new ArrayBufferWriter<byte>();
        encode(part);
        branch.Add(part.WrittenSpan);
    }

    private sealed class Asked : Operation
    {
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Ended => _ended.Task;

        protected override void OnCompleted() => _ended.SetResult();
    }

    private sealed class Nobody : IWatchReceiver, IScanReceiver
    {
        public static Nobody Instance { get; } = new();

        public void OnEvent(in WatchEventView watchEvent)
        {
        }

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Version version, EntryKind kind, long expiresAtMs)
        {
        }
    }

    private sealed class FixedAccess : IAccessControl
    {
        private ulong _revision;

        public event Action? AccessChanged
        {
            add { }
            remove { }
        }

        public AccessView Access { get; private set; } = AccessView.None;

        public void Set(params Grant[] grants) => Access = AccessView.Of(
            true,
            new Version(++_revision),
            [("r", new RoleRecord("r", grants))],
            [("ann", new UserRecord("ann", "", ["r"])), ("bob", new UserRecord("bob", "", []))]);

        public void ChangeAccess(AccessChange change, long deadlineMs, Action<HengeException?> ended) => throw new NotSupportedException();
    }
}
