using System.Security.Cryptography.X509Certificates;
using System.Text;
using Henge.Node.Access;
using Henge.Protocol.V1;
using Henge.Server.Operations;
using Henge.Server.Ports;
using Henge.Server.Tests.Access;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;
using Henge.Server.Thrift;
using Henge.Server.Tls;
using Henge.Thrift.Generated;
using Thrift;
using Thrift.Protocol.Entities;
using Compare = Henge.Thrift.Generated.Compare;
using Consistency = Henge.Thrift.Generated.Consistency;
using DeleteRequest = Henge.Thrift.Generated.DeleteRequest;
using GetRequest = Henge.Thrift.Generated.GetRequest;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;
using KVStore = Henge.Thrift.Generated.KVStore;
using PutRequest = Henge.Thrift.Generated.PutRequest;
using ScanRequest = Henge.Thrift.Generated.ScanRequest;
using TxnOperation = Henge.Thrift.Generated.TxnOperation;
using TxnRequest = Henge.Thrift.Generated.TxnRequest;

namespace Henge.Server.Tests.Thrift;

/// <summary>Who is let in by the Thrift door, and to what, on a whole node that checks access.</summary>
public sealed class ThriftAccessTests : IAsyncLifetime
{
    private static readonly byte[] Own = "a/1"u8.ToArray(), Prefix = "a/"u8.ToArray();

    // Each call in each form that takes other permissions; what all of them are of is the keys with one prefix.
    private static readonly (string Method, Permissions Takes, Func<KVStore.Client, Task> Call)[] Calls =
    [
        ("get", Permissions.Read, static c => c.getAsync(new GetRequest { Key = Own })),
        ("get", Permissions.Read, static c => c.getAsync(new GetRequest { Key = Own, Consistency = Consistency.STALE })),
        ("put", Permissions.Write, static c => c.putAsync(new PutRequest { Key = Own, Value = [] })),
        ("put", Permissions.Write | Permissions.Read, static c => c.putAsync(new PutRequest { Key = Own, ReturnPrevious = true })),
        ("put", Permissions.Write | Permissions.Read, static c => c.putAsync(new PutRequest { Key = Own, IfVersion = 1 })),
        ("remove", Permissions.Write, static c => c.removeAsync(new DeleteRequest { Key = Own })),
        ("remove", Permissions.Write | Permissions.Read, static c => c.removeAsync(new DeleteRequest { Key = Own, ReturnPrevious = true })),
        ("remove", Permissions.Write | Permissions.Read, static c => c.removeAsync(new DeleteRequest { Key = Own, IfVersion = 1 })),
        ("scan", Permissions.Read, static c => c.scanAsync(new ScanRequest { Prefix = Prefix })),
        ("scan", Permissions.Read, static c => c.scanAsync(new ScanRequest { Prefix = Prefix, KeysOnly = true })),
        ("scan", Permissions.Read, static c => c.scanAsync(new ScanRequest { Prefix = Prefix, CountOnly = true })),
        ("multiGet", Permissions.Read, static c => c.multiGetAsync(new MultiGetRequest { Keys = [Own, Own] })),
        ("multiPut", Permissions.Write, static c => OnlyAsync(c, new PutRequest { Key = Own, Value = [] })),
        ("multiPut", Permissions.Write | Permissions.Read, static c => OnlyAsync(c, new PutRequest { Key = Own, ReturnPrevious = true })),
        ("txn", Permissions.Read, static c => c.txnAsync(new TxnRequest { Success = [Get] })),
        ("txn", Permissions.Read, static c => c.txnAsync(new TxnRequest { Compare = [new Compare { Key = Own, Exists = true }] })),
        ("txn", Permissions.Write, static c => c.txnAsync(new TxnRequest { Success = [Put] })),
        ("txn", Permissions.Write, static c => c.txnAsync(new TxnRequest { Failure = [Remove] })),
        ("txn", Permissions.Write | Permissions.Read, static c => c.txnAsync(new TxnRequest { Success = [Put], Failure = [Get] })),
        ("status", Permissions.None, static c => c.statusAsync()),
        ("auth", Permissions.None, static c => c.authAsync(Ann)),
    ];

    private GuardedHost _host = null!;

    private static Credentials Ann => new() { User = "ann", Password = GuardedHost.Password };

    private static TxnOperation Get => new() { Get = new GetRequest { Key = Own } };

    private static TxnOperation Put => new() { Put = new PutRequest { Key = Own, Value = [] } };

    private static TxnOperation Remove => new() { Remove = new DeleteRequest { Key = Own } };

    public async ValueTask InitializeAsync() => _host = await GuardedHost.StartAsync();

    public async ValueTask DisposeAsync() => await _host.DisposeAsync();

    [Fact]
    public async Task Each_call_is_done_with_the_permissions_that_it_takes_and_with_no_others()
    {
        Assert.Equal(
            ThriftMethod.All.Keys.Order(StringComparer.Ordinal),
            Calls.Select(static c => c.Method).Distinct().Order(StringComparer.Ordinal));
        await _host.ChangeAsync(new() { Kind = Kind.RevokeRole, Name = "ann", Role = "writer" });
        using ThriftPeer peer = await ThriftPeer.OpenAsync(_host.Host.Server.EndPoint, ThriftEncoding.Compact);
        await peer.Calls.authAsync(Ann);
        for (Permissions has = 0; has <= (Permissions)15; has++)
        {
            string role = $"role{(int)has}";
            await _host.ChangeAsync(new() { Kind = Kind.AddRole, Name = role });
            if ((has & ~Permissions.Admin) != 0)
            {
                AccessGrant keys = GuardedHost.Grant(
                    "a/", has.HasFlag(Permissions.Read), has.HasFlag(Permissions.Write), has.HasFlag(Permissions.Watch));
                await _host.ChangeAsync(new() { Kind = Kind.Grant, Name = role, Grant = keys });
            }

            if (has.HasFlag(Permissions.Admin))
            {
                await _host.ChangeAsync(new() { Kind = Kind.Grant, Name = role, Grant = new AccessGrant { Admin = true } });
            }

            await _host.ChangeAsync(new() { Kind = Kind.GrantRole, Name = "ann", Role = role });
            foreach ((string method, Permissions takes, Func<KVStore.Client, Task> call) in Calls)
            {
                bool isDone = await IsDoneAsync(() => call(peer.Calls));
                Assert.True(isDone == has.HasFlag(takes), $"{method}, which takes {takes}, with {has}: done is {isDone}");
            }

            await _host.ChangeAsync(new() { Kind = Kind.RevokeRole, Name = "ann", Role = role });
        }
    }

    [Fact]
    public async Task Nothing_but_the_login_is_done_for_nobody()
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(_host.Host.Server.EndPoint, ThriftEncoding.Binary);
        foreach ((string method, _, Func<KVStore.Client, Task> call) in Calls.Where(static c => c.Method != "auth"))
        {
            Unauthenticated error = await Assert.ThrowsAsync<Unauthenticated>(() => call(peer.Calls));
            Assert.True(error.Code == ErrorCode.UNAUTHENTICATED, method);
        }

        // Also what has no keys in it.
        await Assert.ThrowsAsync<Unauthenticated>(() => peer.Calls.multiPutAsync([]));
        await Assert.ThrowsAsync<Unauthenticated>(() => peer.Calls.multiGetAsync(new MultiGetRequest { Keys = [] }));
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task Who_has_logged_in_may_do_what_the_user_may_and_is_nobody_else(ThriftEncoding encoding)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(_host.Host.Server.EndPoint, encoding);
        await peer.Calls.authAsync(Ann);
        await peer.Calls.putAsync(new PutRequest { Key = Own, Value = "v"u8.ToArray() });
        PermissionDenied denied = await Assert.ThrowsAsync<PermissionDenied>(
            () => peer.Calls.putAsync(new PutRequest { Key = "b/1"u8.ToArray(), Value = [] }));
        Assert.Equal(ErrorCode.PERMISSION_DENIED, denied.Code);
        await Assert.ThrowsAsync<PermissionDenied>(() => peer.Calls.scanAsync(new ScanRequest()));
        await Assert.ThrowsAsync<PermissionDenied>(
            () => peer.Calls.multiGetAsync(new MultiGetRequest { Keys = [Own, "b/1"u8.ToArray()] }));
        List<PutOutcome> outcomes = await peer.Calls.multiPutAsync(
            [new PutRequest { Key = Own, Value = "w"u8.ToArray() }, new PutRequest { Key = "b/1"u8.ToArray(), Value = [] }]);
        Assert.True(outcomes[0].Result!.Success);
        Assert.Equal(ErrorCode.PERMISSION_DENIED, outcomes[1].Failure!.Code);

        // What stands in a branch that is not taken counts as well.
        TxnOperation other = new() { Get = new GetRequest { Key = "b/1"u8.ToArray() } };
        await Assert.ThrowsAsync<PermissionDenied>(() => peer.Calls.txnAsync(new TxnRequest { Success = [Get], Failure = [other] }));

        // A login that is refused changes nothing.
        Credentials[] wrong =
        [
            new() { User = "root", Password = "wrong" },
            new() { User = "nobody", Password = "wrong" },
            new() { User = "bob", Password = "" },
            new() { Token = "a.b.c" },
            new() { Token = "" },
        ];
        foreach (Credentials credentials in wrong)
        {
            await Assert.ThrowsAsync<Unauthenticated>(() => peer.Calls.authAsync(credentials));
        }

        Credentials[] senseless = [new(), new() { User = "ann" }, new() { Password = "x" }, new() { User = "ann", Token = "a.b.c" }];
        foreach (Credentials credentials in senseless)
        {
            await Assert.ThrowsAsync<InvalidArgument>(() => peer.Calls.authAsync(credentials));
        }

        Assert.Equal("w", Encoding.UTF8.GetString((await peer.Calls.getAsync(new GetRequest { Key = Own })).Value!));

        // One that is not refused is who it is from then on; and what is taken away is gone at the next call.
        await peer.Calls.authAsync(new Credentials { User = "bob", Password = GuardedHost.Password });
        await Assert.ThrowsAsync<PermissionDenied>(() => peer.Calls.putAsync(new PutRequest { Key = Own, Value = [] }));
        await _host.ChangeAsync(new() { Kind = Kind.SetPassword, Name = "bob", Password = "another one" });
        await Assert.ThrowsAsync<Unauthenticated>(() => peer.Calls.getAsync(new GetRequest { Key = Own }));
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_token_is_its_user(ThriftEncoding encoding)
    {
        CreateTokenResponse token = await _host.Access.CreateTokenAsync(new CreateTokenRequest(), GuardedHost.As("ann"));
        using ThriftPeer peer = await ThriftPeer.OpenAsync(_host.Host.Server.EndPoint, encoding);
        await peer.Calls.authAsync(new Credentials { Token = token.Token });
        await peer.Calls.putAsync(new PutRequest { Key = Own, Value = [] });
        await Assert.ThrowsAsync<PermissionDenied>(() => peer.Calls.getAsync(new GetRequest { Key = "b/1"u8.ToArray() }));
        await _host.ChangeAsync(new() { Kind = Kind.RevokeTokens, Name = "ann" });
        await Assert.ThrowsAsync<Unauthenticated>(() => peer.Calls.getAsync(new GetRequest { Key = Own }));
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_frame_of_a_client_that_has_not_logged_in_is_short(ThriftEncoding encoding)
    {
        byte[] put = await ThriftPeer.CallAsync(
            encoding, static c => c.send_putAsync(new PutRequest { Key = Own, Value = new byte[16 * 1024] }));
        using ThriftPeer stranger = await ThriftPeer.OpenAsync(_host.Host.Server.EndPoint, encoding);

        // The length is enough: nothing more is waited for than what says which call it is.
        await stranger.SayAsync(put.AsMemory(0, 100));
        (TApplicationException problem, TMessage message) = await stranger.HearProblemAsync();
        Assert.Equal(("put", TApplicationException.ExceptionType.ProtocolError), (message.Name, problem.Type));
        Assert.Contains("Call auth first", problem.Message, StringComparison.Ordinal);
        Assert.Null(await stranger.HearAsync());

        // Behind the login, in one piece with it, it is as long as any.
        byte[] auth = await ThriftPeer.CallAsync(encoding, static c => c.send_authAsync(Ann));
        using ThriftPeer known = await ThriftPeer.OpenAsync(_host.Host.Server.EndPoint, encoding);
        await known.SayAsync((byte[])[.. auth, .. put]);
        Assert.NotNull(await known.HearAsync());
        Assert.NotNull(await known.HearAsync());
        Assert.Equal(16 * 1024, (await known.Calls.getAsync(new GetRequest { Key = Own })).Value!.Length);
    }

    [Fact]
    public async Task Only_so_many_connections_wait_for_a_login_and_each_for_so_long()
    {
        await using GuardedHost host = await GuardedHost.StartAsync(
            static o => o with { Port = new PortLimits { UnauthenticatedConnections = 2 } });
        using ThriftPeer known = await ThriftPeer.OpenAsync(host.Host.Server.EndPoint, ThriftEncoding.Binary);
        await known.Calls.authAsync(Ann);
        List<ThriftPeer> strangers = [];
        try
        {
            for (int i = 0; i < 3; i++)
            {
                ThriftPeer stranger = await ThriftPeer.OpenAsync(host.Host.Server.EndPoint, ThriftEncoding.Compact);
                strangers.Add(stranger);
                await Assert.ThrowsAsync<Unauthenticated>(() => stranger.Calls.statusAsync());
            }

            // The first had to go, and the others are still there.
            Assert.Null(await strangers[0].HearAsync());
            await Assert.ThrowsAsync<Unauthenticated>(() => strangers[1].Calls.statusAsync());
            await strangers[2].Calls.authAsync(Ann);
            await known.Calls.statusAsync();
        }
        finally
        {
            strangers.ForEach(static s => s.Dispose());
        }

        await using GuardedHost hasty = await GuardedHost.StartAsync(
            static o => o with { Port = new PortLimits { LoginTimeout = TimeSpan.FromMilliseconds(300) } });
        using ThriftPeer late = await ThriftPeer.OpenAsync(hasty.Host.Server.EndPoint, ThriftEncoding.Binary);
        await late.SayAsync(await ThriftPeer.MessageAsync(ThriftEncoding.Binary, "status", TMessageType.Call, 1));
        Assert.NotNull(await late.HearAsync());
        Assert.Null(await late.HearAsync());
        await GrpcRulesTests.Until(() => hasty.Host.Server.OpenConnections <= 1);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task Behind_TLS_a_certificate_is_its_user(ThriftEncoding encoding)
    {
        using TestCertificates certificates = new();
        certificates.Sign("n", "CN=node", DateTimeOffset.UtcNow.AddDays(10));
        certificates.Sign("ann", "CN=ann", DateTimeOffset.UtcNow.AddDays(10), isNode: false);
        certificates.Sign("eve", "CN=eve", DateTimeOffset.UtcNow.AddDays(10), isNode: false);
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(
            node,
            o => o with
            {
                TlsCertificateFile = certificates.FileOf("n.crt"),
                TlsKeyFile = certificates.FileOf("n.key"),
                TlsAuthorityFile = certificates.FileOf("ca.crt"),
                TlsClientAuthentication = TlsClientAuthentication.Require,
            },
            ThriftProtocol.Both(new GuardedNode(node, new OnlyAnn())));
        using X509Certificate2 ann = X509Certificate2.CreateFromPemFile(certificates.FileOf("ann.crt"), certificates.FileOf("ann.key"));
        using ThriftPeer peer = await ThriftPeer.OpenAsync(server.Server.EndPoint, encoding, ann);
        await peer.Calls.putAsync(new PutRequest { Key = Own, Value = "v"u8.ToArray() });
        Assert.Equal("v"u8.ToArray(), (await peer.Calls.getAsync(new GetRequest { Key = Own })).Value);
        using X509Certificate2 eve = X509Certificate2.CreateFromPemFile(certificates.FileOf("eve.crt"), certificates.FileOf("eve.key"));
        using ThriftPeer other = await ThriftPeer.OpenAsync(server.Server.EndPoint, encoding, eve);
        await Assert.ThrowsAsync<PermissionDenied>(() => other.Calls.getAsync(new GetRequest { Key = Own }));
    }

    // What became of the one put as the call's own outcome.
    private static async Task OnlyAsync(KVStore.Client calls, PutRequest put)
    {
        if ((await calls.multiPutAsync([put])).Single().Failure is { } failure)
        {
            Assert.Equal(ErrorCode.PERMISSION_DENIED, failure.Code);
            throw new PermissionDenied { Code = failure.Code, Message = failure.Message };
        }
    }

    private static async Task<bool> IsDoneAsync(Func<Task> call)
    {
        try
        {
            await call();
            return true;
        }
        catch (PermissionDenied)
        {
            return false;
        }
    }

    /// <summary>A cluster with one user, who may do everything with keys.</summary>
    private sealed class OnlyAnn : IAccessControl
    {
        public event Action? AccessChanged
        {
            add { }
            remove { }
        }

        public AccessView Access { get; } = AccessView.Of(
            true,
            new Core.Version(1),
            [("all", new RoleRecord("all", [new Grant(Permissions.Read | Permissions.Write, Core.KeyRange.All)]))],
            [("ann", new UserRecord("ann", "", ["all"])), ("eve", new UserRecord("eve", "", []))]);

        public void ChangeAccess(AccessChange change, long deadlineMs, Action<Core.HengeException?> ended) =>
            throw new NotSupportedException();
    }
}
