using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Node.Tests.Access;

/// <summary>What a user may do, over decoded operations: every kind of command with every set of permissions.</summary>
public sealed class AccessCheckTests
{
    private static readonly (string Name, Permissions Needed, Action<ArrayBufferWriter<byte>> Encode)[] Commands =
    [
        ("put", Permissions.Write, static w => CommandEncoder.Put(w, "k"u8, "v"u8, new PutOptions())),
        ("put that tells", ReadWrite, static w => CommandEncoder.Put(w, "k"u8, "v"u8, new PutOptions { ReturnPrevious = true })),
        ("put if absent", ReadWrite, static w => CommandEncoder.Put(w, "k"u8, "v"u8, new PutOptions { Condition = PutCondition.IfAbsent })),
        ("delete", Permissions.Write, static w => CommandEncoder.Delete(w, "k"u8)),
        ("delete that tells", ReadWrite, static w => CommandEncoder.Delete(w, "k"u8, null, true)),
        ("get", Permissions.Read, static w => CommandEncoder.Get(w, "k"u8)),
        ("increment", ReadWrite, static w => CommandEncoder.Increment(w, "k"u8, 1)),
        ("increment by a fraction", ReadWrite, static w => CommandEncoder.IncrementFloat(w, "k"u8, "1.5"u8)),
        ("append", ReadWrite, static w => CommandEncoder.Append(w, "k"u8, "v"u8, 100)),
        ("expire", Permissions.Write, static w => CommandEncoder.SetExpiry(w, "k"u8, Expiry.After(1_000))),
        ("put several", Permissions.Write, static w => CommandEncoder.MultiPut(w, [new("k"u8.ToArray(), "v"u8.ToArray())])),
        ("put several if absent", ReadWrite, static w =>
            CommandEncoder.MultiPut(w, [new("k"u8.ToArray(), "v"u8.ToArray())], ifAllAbsent: true)),
        ("delete several", Permissions.Write, static w => CommandEncoder.MultiDelete(w, [(ReadOnlyMemory<byte>)"k"u8.ToArray()])),
        ("set fields", Permissions.Write, static w => CommandEncoder.HashSet(w, "k"u8, [new("f"u8.ToArray(), "v"u8.ToArray())], 1_000)),
        ("delete fields", Permissions.Write, static w => CommandEncoder.HashDelete(w, "k"u8, [(ReadOnlyMemory<byte>)"f"u8.ToArray()])),
        ("increment a field", ReadWrite, static w => CommandEncoder.HashIncrement(w, "k"u8, "f"u8, 1, 1_000)),
        ("increment a field by a fraction", ReadWrite, static w => CommandEncoder.HashIncrementFloat(w, "k"u8, "f"u8, "1.5"u8, 1_000)),
        ("set a range", ReadWrite, static w => CommandEncoder.SetRange(w, "k"u8, 0, "v"u8, 1_000)),
        ("set a bit", ReadWrite, static w => CommandEncoder.SetBit(w, "k"u8, 0, true, 1_000)),
        ("a transaction that compares", Permissions.Read, static w => Transaction(w, t => t.CompareExistence("k"u8, exists: true))),
        ("a transaction that writes", Permissions.Write, static w =>
            Transaction(w, static t => Add(t.Then, static p => CommandEncoder.Put(p, "k"u8, "v"u8, new PutOptions())))),
        ("one that writes otherwise", Permissions.Write, static w =>
            Transaction(w, static t => Add(t.Otherwise, static p => CommandEncoder.Put(p, "k"u8, "v"u8, new PutOptions())))),
        ("one that reads otherwise", Permissions.Read, static w =>
            Transaction(w, static t => Add(t.Otherwise, static p => CommandEncoder.Get(p, "k"u8)))),
    ];

    private const Permissions ReadWrite = Permissions.Read | Permissions.Write;

    public static TheoryData<string, int> CommandsAndPermissions()
    {
        TheoryData<string, int> data = [];
        foreach ((string name, _, _) in Commands)
        {
            for (int permissions = 0; permissions < 16; permissions++)
            {
                data.Add(name, permissions);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(CommandsAndPermissions))]
    public void A_command_takes_just_what_it_needs(string name, int permissions)
    {
        (_, Permissions needed, Action<ArrayBufferWriter<byte>> encode) = Commands.Single(c => c.Name == name);
        var command = new ArrayBufferWriter<byte>();
        encode(command);
        AccessView view = Of(("u", [new Grant((Permissions)permissions, KeyRange.Key("k"u8))]));
        bool may = ((Permissions)permissions & needed) == needed;
        HengeException? problem = AccessCheck.Check(view, "u", Write(command));
        Assert.Equal(may, problem is null);
        Assert.True(may || problem!.Code == ErrorCode.PermissionDenied);

        // The same rights on another key are none.
        AccessView other = Of(("u", [new Grant((Permissions)15, KeyRange.Key("l"u8))]));
        Assert.Equal(ErrorCode.PermissionDenied, AccessCheck.Check(other, "u", Write(command))!.Code);
        Assert.Equal(ErrorCode.Unauthenticated, AccessCheck.Check(view, null, Write(command))!.Code);
    }

    [Fact]
    public void Every_kind_of_command_is_in_the_table()
    {
        HashSet<CommandKind> seen = [CommandKind.DeleteExpired, CommandKind.PutHash, CommandKind.Move];
        foreach ((_, _, Action<ArrayBufferWriter<byte>> encode) in Commands)
        {
            var command = new ArrayBufferWriter<byte>();
            encode(command);
            seen.Add((CommandKind)command.WrittenSpan[0]);
        }

        Assert.Empty(Enum.GetValues<CommandKind>().Except(seen));
    }

    [Fact]
    public void Both_keys_of_a_move_count()
    {
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Move(command, "a"u8, "b"u8);
        Grant onA = new(ReadWrite, KeyRange.Key("a"u8)), onB = new(ReadWrite, KeyRange.Key("b"u8));
        Assert.NotNull(AccessCheck.Check(Of(("u", [onA])), "u", Write(command)));
        Assert.NotNull(AccessCheck.Check(Of(("u", [onB])), "u", Write(command)));
        Assert.Null(AccessCheck.Check(Of(("u", [onA, onB])), "u", Write(command)));
    }

    [Fact]
    public void What_a_node_writes_itself_nobody_may()
    {
        byte[] command = [(byte)CommandKind.DeleteExpired, 0, 0, 1, 1, (byte)'k'];
        AccessView view = Of(("u", [new Grant((Permissions)7, KeyRange.All)]));
        Assert.NotNull(AccessCheck.Check(view, "u", Write(command)));
        Assert.Equal(ErrorCode.InvalidArgument, AccessCheck.Check(view, "u", Write([99, 0]))!.Code);
        Assert.Equal(ErrorCode.InvalidArgument, AccessCheck.Check(view, "u", Write([]))!.Code);
    }

    [Fact]
    public void Pages_and_watches_need_all_of_their_range()
    {
        AccessView view = Of(("u",
        [
            new Grant(Permissions.Read, KeyRange.Between("a", "c")),
            new Grant(Permissions.Read | Permissions.Watch, KeyRange.Between("b", "e")),
            new Grant(Permissions.Watch, KeyRange.Prefix("a")),
        ]));
        Assert.True(MayPage("a", "e"));
        Assert.True(MayPage("b", "d"));
        Assert.True(MayPage("x", "x"));
        Assert.False(MayPage("a", "f"));
        Assert.False(MayPage("", "b"));
        Assert.False(MayPage("a", ""));
        Assert.False(MayWatch("a", "f"));
        Assert.True(MayWatch("a", "e"));
        Assert.True(MayWatch("b", "c"));

        // A hole of one key.
        AccessView holed = Of(("u",
        [
            new Grant(Permissions.Read, KeyRange.Between("a", "b")),
            new Grant(Permissions.Read, KeyRange.Between("b\0", "z")),
        ]));
        Assert.False(holed.Allows("u", Permissions.Read, "a"u8, "c"u8));

        bool MayPage(string lower, string upper)
        {
            var query = new ScanQuery
            {
                Version = Core.Version.Max,
                Lower = Bytes(lower),
                Upper = Bytes(upper),
                LimitItems = 1,
                LimitBytes = 1,
            };
            return AccessCheck.Check(view, "u", new Asked { Kind = OperationKind.Page, Page = PageFetch.OfScan(query) }) is null;
        }

        bool MayWatch(string lower, string upper) =>
            AccessCheck.CheckWatch(view, "u", new WatchQuery { Lower = Bytes(lower), Upper = Bytes(upper) }) is null;
    }

    [Fact]
    public void Gets_and_histories_are_of_one_key()
    {
        AccessView view = Of(("u", [new Grant(Permissions.Read, KeyRange.Prefix("a/"))]));
        Assert.Null(AccessCheck.Check(view, "u", new Asked { Kind = OperationKind.Get, Key = Bytes("a/1") }));
        Assert.NotNull(AccessCheck.Check(view, "u", new Asked { Kind = OperationKind.Get, Key = Bytes("a0") }));
        Assert.Null(AccessCheck.Check(view, "u", History("a/")));
        Assert.NotNull(AccessCheck.Check(view, "u", History("a")));
        Assert.Null(AccessCheck.Check(view, "u", new Asked { Kind = OperationKind.Barrier }));
        Assert.NotNull(AccessCheck.Check(view, "stranger", new Asked { Kind = OperationKind.Barrier }));

        static Asked History(string key) =>
            new() { Kind = OperationKind.Page, Page = PageFetch.OfHistory(Bytes(key), Core.Version.Max, 1, 1) };
    }

    [Fact]
    public void Root_may_everything_while_it_is_there()
    {
        AccessView view = Of(("root", []), ("admin", [new Grant(Permissions.Admin, KeyRange.All)]));
        Assert.Null(AccessCheck.Check(view, "root", new Asked { Kind = OperationKind.Get, Key = Bytes("any") }));
        Assert.Null(AccessCheck.CheckAdmin(view, "root"));
        Assert.Null(AccessCheck.CheckAdmin(view, "admin"));
        Assert.NotNull(AccessCheck.Check(view, "admin", new Asked { Kind = OperationKind.Get, Key = Bytes("any") }));
        Assert.NotNull(AccessCheck.CheckAdmin(Of(("u", [new Grant((Permissions)7, KeyRange.All)])), "u"));
        Assert.NotNull(AccessCheck.CheckAdmin(Of(("u", [])), "root"));
        Assert.Equal(ErrorCode.Unauthenticated, AccessCheck.CheckAdmin(view, null)!.Code);
    }

    [Fact]
    public void A_role_or_a_user_that_is_not_understood_gives_nothing()
    {
        Assert.Null(RoleRecord.Parse("r", "role 2\ngrant 1 - -\n"u8));
        Assert.Null(RoleRecord.Parse("r", "role 1\ngrant 1 - -\nmaybe\n"u8));
        Assert.Null(RoleRecord.Parse("r", "role 1\ngrant 16 - -\n"u8));
        Assert.Null(UserRecord.Parse("u", "user 1\nunless x\n"u8));
        var role = new RoleRecord("r", [new Grant(ReadWrite, KeyRange.Prefix("a")), new Grant(Permissions.Admin, KeyRange.All)]);
        Assert.Equal(role.Grants, RoleRecord.Parse("r", Encoding.UTF8.GetBytes(role.ToText()))!.Grants);
        var user = new UserRecord("u", "$hash$", ["r", "s"]);
        UserRecord read = UserRecord.Parse("u", Encoding.UTF8.GetBytes(user.ToText()))!;
        Assert.Equal((user.PasswordHash, string.Join(' ', user.Roles)), (read.PasswordHash, string.Join(' ', read.Roles)));
        Assert.DoesNotContain("hash", user.ToString(), StringComparison.Ordinal);
    }

    private static AccessView Of(params (string User, Grant[] Grants)[] users) => AccessView.Of(
        true,
        new Core.Version(1),
        users.Select(static u => ("role-of-" + u.User, (RoleRecord?)new RoleRecord("role-of-" + u.User, u.Grants))),
        users.Select(static u => (u.User, (UserRecord?)new UserRecord(u.User, "", ["role-of-" + u.User]))));

    private static Asked Write(ArrayBufferWriter<byte> command) => Write(command.WrittenSpan.ToArray());

    private static Asked Write(byte[] command) => new() { Kind = OperationKind.Write, Command = command };

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static void Transaction(ArrayBufferWriter<byte> writer, Action<TxnBuilder> fill)
    {
        var builder = new TxnBuilder();
        fill(builder);
        builder.Encode(writer);
    }

    private static void Add(TxnBranch branch, Action<ArrayBufferWriter<byte>> encode)
    {
        var part = new ArrayBufferWriter<byte>();
        encode(part);
        branch.Add(part.WrittenSpan);
    }

    private sealed class Asked : Operation
    {
        protected override void OnCompleted()
        {
        }
    }
}
