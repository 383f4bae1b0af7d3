using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Access;
using Henge.Server.Operations;
using Henge.Server.Tests.Fakes;
using Henge.Storage;
using Microsoft.AspNetCore.Http;
using Version = Henge.Core.Version;

namespace Henge.Server.Tests.Operations;

/// <summary>What comes to a node through its guard.</summary>
public sealed class GuardedNodeTests : IDisposable
{
    private readonly FakeNode _node = new() { Inline = true };
    private readonly FakeAccess _access = new();
    private readonly GuardedNode _guarded;

    public GuardedNodeTests() => _guarded = new GuardedNode(_node, _access);

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Where_access_is_not_checked_everybody_may()
    {
        Assert.Equal(ErrorCode.None, await PutAsync("k", user: null));
        Assert.Equal(ErrorCode.None, await PutAsync("k", user: "stranger"));
    }

    [Fact]
    public async Task Nothing_that_may_not_be_done_comes_to_the_node()
    {
        _access.Set(new Grant(Permissions.Write, KeyRange.Prefix("a")));
        Assert.Equal(ErrorCode.None, await PutAsync("a1", "ann"));
        int before = _node.Submitted;
        Assert.Equal(ErrorCode.PermissionDenied, await PutAsync("b1", "ann"));
        Assert.Equal(ErrorCode.PermissionDenied, await PutAsync("a1", "bob"));
        Assert.Equal(ErrorCode.Unauthenticated, await PutAsync("a1", user: null));
        Assert.Equal(before, _node.Submitted);
    }

    [Fact]
    public async Task Of_many_together_those_that_may_go_keep_their_order()
    {
        _access.Set(new Grant(Permissions.Write, KeyRange.Prefix("a")));
        List<string> seen = [];
        _node.Intercept = operation =>
        {
            seen.Add(Encoding.ASCII.GetString(operation.Key.Span));
            return false;
        };
        string[] keys = ["b0", "a1", "a2", "b3", "b4", "a5", "b6"];
        Asked[] asked = [.. keys.Select(static k => Put(k, "ann"))];
        _guarded.Submit([.. asked]);
        ErrorCode[] ended = await Task.WhenAll(asked.Select(static a => a.Ended));
        Assert.Equal(["a1", "a2", "a5"], seen);
        Assert.Equal(
            keys.Select(static k => k[0] == 'a' ? ErrorCode.None : ErrorCode.PermissionDenied),
            ended);
    }

    [Fact]
    public async Task A_watch_ends_when_the_right_to_it_is_taken_away_even_when_nothing_happens()
    {
        _access.Set(new Grant(Permissions.Read | Permissions.Watch, KeyRange.Prefix("a")));
        var calls = new SemaphoreSlim(0);
        var query = new WatchQuery { Lower = "a"u8.ToArray(), Upper = "b"u8.ToArray(), Asker = new("ann", null, null) };
        using IWatch watch = _guarded.OpenWatch(query, () => calls.Release());
        Assert.True(watch.TryOpen());
        while (await calls.WaitAsync(0))
        {
        }

        // A change that takes nothing from it.
        _access.Set(new Grant(Permissions.Read | Permissions.Watch, KeyRange.Prefix("a")), new Grant(Permissions.Write, KeyRange.All));
        await calls.WaitAsync();
        Assert.False(watch.TryRead(Nobody.Instance, 10, 1_000));

        _access.Set(new Grant(Permissions.Read, KeyRange.Prefix("a")));
        await calls.WaitAsync();
        HengeException problem = Assert.Throws<HengeException>(() => watch.TryRead(Nobody.Instance, 10, 1_000));
        Assert.Equal(ErrorCode.PermissionDenied, problem.Code);

        HengeException refused = Assert.Throws<HengeException>(() => _guarded.OpenWatch(query, static () => { }));
        Assert.Equal(ErrorCode.PermissionDenied, refused.Code);
        watch.Dispose();
        Assert.Equal(0, _access.Listeners);
        Assert.Equal(0, _node.OpenWatches);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_asks_goes_with_what_is_let_through_by_which_login_and_by_which_revision(bool isRequest)
    {
        Asker? seen = null;
        _node.Intercept = operation =>
        {
            seen = operation.Asker;
            return false;
        };
        Caller caller = new(new Login("ann", Generation: 7));
        Assert.Equal(ErrorCode.None, await DoAsync());
        Assert.Equal(new Asker(null, null, _access.Access.Revision), seen);
        _access.Set(new Grant(Permissions.Write, KeyRange.Prefix("a")));
        caller.Login = new Login("ann", Generation: _access.Access.User("ann")!.Generation);
        Assert.Equal(ErrorCode.None, await DoAsync());
        Assert.Equal(new Asker("ann", caller.Login.Generation, _access.Access.Revision), seen);
        caller.Login = new Login("ann");
        Assert.Equal(ErrorCode.None, await DoAsync());
        Assert.Equal(new Asker("ann", null, _access.Access.Revision), seen);

        // As a call of gRPC says it on its operation, or as a connection has it.
        async Task<ErrorCode> DoAsync()
        {
            Asked put = Put("a1", user: "somebody else");
            if (isRequest)
            {
                DefaultHttpContext context = new();
                context.Features.Set(caller);
                _guarded.Sign(put, context);
                _guarded.Submit(put);
            }
            else
            {
                _guarded.For(caller, "resp", null).Submit(put);
            }

            return await put.Ended;
        }
    }

    private async Task<ErrorCode> PutAsync(string key, string? user)
    {
        Asked put = Put(key, user);
        _guarded.Submit(put);
        return await put.Ended;
    }

    private static Asked Put(string key, string? user)
    {
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Put(command, Encoding.ASCII.GetBytes(key), "v"u8, new PutOptions());
        return new Asked
        {
            Kind = OperationKind.Write,
            Key = Encoding.ASCII.GetBytes(key),
            Command = command.WrittenMemory,
            Asker = new Asker(user, null, null),
        };
    }

    private sealed class Asked : Operation
    {
        private readonly TaskCompletionSource<ErrorCode> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<ErrorCode> Ended => _ended.Task;

        protected override void OnCompleted() => _ended.SetResult(Error);
    }

    private sealed class Nobody : IWatchReceiver
    {
        public static Nobody Instance { get; } = new();

        public void OnEvent(in WatchEventView watchEvent) => throw new InvalidOperationException("nothing was written");
    }

    private sealed class FakeAccess : IAccessControl
    {
        private readonly ConcurrentDictionary<Action, bool> _listeners = [];
        private ulong _revision;

        public event Action? AccessChanged
        {
            add => _listeners[value!] = true;
            remove => _listeners.TryRemove(value!, out _);
        }

        public AccessView Access { get; private set; } = AccessView.None;

        public int Listeners => _listeners.Count;

        public void Set(params Grant[] grants)
        {
            Access = AccessView.Of(
                true,
                new Version(++_revision),
                [("r", new RoleRecord("r", grants))],
                [("ann", new UserRecord("ann", "", ["r"])), ("bob", new UserRecord("bob", "", []))]);
            foreach (Action listener in _listeners.Keys)
            {
                listener();
            }
        }

        public void ChangeAccess(AccessChange change, long deadlineMs, Action<HengeException?> ended) => throw new NotSupportedException();
    }
}
