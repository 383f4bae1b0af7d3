using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Grpc.Core;
using Henge.Protocol.V1;
using Henge.Server.Hosting;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;

namespace Henge.Server.Tests.Access;

/// <summary>Who is let in by which door, and to what, on a whole node.</summary>
public sealed class AccessDoorsTests : IAsyncLifetime
{
    private GuardedHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await GuardedHost.StartAsync();

    public async ValueTask DisposeAsync() => await _host.DisposeAsync();

    [Fact]
    public async Task Grpc_calls_are_those_of_whom_the_header_says()
    {
        Assert.Equal(StatusCode.OK, await PutAsync("a/1", GuardedHost.As("ann")));
        Assert.Equal(StatusCode.PermissionDenied, await PutAsync("b/1", GuardedHost.As("ann")));
        Assert.Equal(StatusCode.PermissionDenied, await PutAsync("a/1", GuardedHost.As("bob")));
        Assert.Equal(StatusCode.OK, await GetAsync("a/1", GuardedHost.As("bob")));
        Assert.Equal(StatusCode.PermissionDenied, await GetAsync("b/1", GuardedHost.As("bob")));
        Assert.Equal(StatusCode.OK, await PutAsync("b/1", GuardedHost.As("root")));
        Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", []));
        Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", GuardedHost.As("ann", "wrong")));
        Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", GuardedHost.As("nobody")));
        Metadata[] broken =
        [
            new() { { "authorization", "Basic !!!" } },
            new() { { "authorization", "Digest x" } },
            new() { { "authorization", "Bearer x.y.z" } },
            new() { { "authorization", "" } },
            new() { { "authorization", "Basic " + Convert.ToBase64String("no colon"u8) } },
            GuardedHost.As("ann", ""),
            GuardedHost.As("ann", new string('x', 1025)),
            GuardedHost.As("node"),
        ];
        foreach (Metadata headers in broken)
        {
            Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", headers));
        }
    }

    [Fact]
    public async Task Scans_histories_and_transactions_of_local_shards_are_checked_too()
    {
        await PutAsync("a/1", GuardedHost.As("root"));
        await PutAsync("b/1", GuardedHost.As("root"));
        ScanRequest all = new(), own = new() { Prefix = ByteString.CopyFromUtf8("a/") };
        Assert.Equal(StatusCode.PermissionDenied, await CodeAsync(() => _host.Keys.ScanAsync(all, GuardedHost.As("ann"))));
        Assert.Equal(StatusCode.Unauthenticated, await CodeAsync(() => _host.Keys.ScanAsync(own)));
        Assert.Single((await _host.Keys.ScanAsync(own, GuardedHost.As("bob"))).Pairs);
        all.CountOnly = true;
        Assert.Equal(StatusCode.PermissionDenied, await CodeAsync(() => _host.Keys.ScanAsync(all, GuardedHost.As("ann"))));
        HistoryRequest history = new() { Key = ByteString.CopyFromUtf8("b/1") };
        Assert.Equal(StatusCode.PermissionDenied, await CodeAsync(() => _host.Keys.HistoryAsync(history, GuardedHost.As("ann"))));
        Assert.Equal(StatusCode.Unauthenticated, await CodeAsync(() => _host.Keys.HistoryAsync(history)));

        // What stands in a branch that is not taken counts as well (CVE-2026-33343).
        TxnRequest txn = new()
        {
            Then = { new TxnOperation { Get = new GetRequest { Key = ByteString.CopyFromUtf8("a/1") } } },
            Otherwise = { new TxnOperation { Get = new GetRequest { Key = ByteString.CopyFromUtf8("b/1") } } },
        };
        Assert.Equal(StatusCode.PermissionDenied, await CodeAsync(() => _host.Keys.TxnAsync(txn, GuardedHost.As("ann"))));
        txn.Otherwise.Clear();
        Assert.Equal(StatusCode.OK, await CodeAsync(() => _host.Keys.TxnAsync(txn, GuardedHost.As("ann"))));
        using AsyncServerStreamingCall<ScanResponse> stream = _host.Keys.ScanStream(new ScanRequest(), GuardedHost.As("ann"));
        RpcException refused = await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
    }

    [Fact]
    public async Task A_watch_takes_the_right_to_watch_and_ends_when_that_is_revoked()
    {
        WatchRequest request = new() { KeyPrefix = ByteString.CopyFromUtf8("a/"), Progress = true };
        using AsyncServerStreamingCall<WatchEvent> refused = _host.Keys.Watch(request, GuardedHost.As("bob"));
        RpcException problem = await Assert.ThrowsAsync<RpcException>(() => refused.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(StatusCode.PermissionDenied, problem.StatusCode);

        using AsyncServerStreamingCall<WatchEvent> watch = _host.Keys.Watch(request, GuardedHost.As("ann"));
        Assert.True(await watch.ResponseStream.MoveNext(CancellationToken.None));
        await _host.ChangeAsync(new() { Kind = Kind.RevokeRole, Name = "ann", Role = "writer" });
        problem = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await watch.ResponseStream.MoveNext(CancellationToken.None))
            {
            }
        });
        Assert.Equal(StatusCode.PermissionDenied, problem.StatusCode);
    }

    [Fact]
    public async Task Rest_says_401_and_how_and_403()
    {
        using HttpResponseMessage stranger = await _host.HttpAsync(HttpMethod.Get, "/v1/kv/a%2F1");
        Assert.Equal(HttpStatusCode.Unauthorized, stranger.StatusCode);
        Assert.Equal(["Basic", "Bearer"], stranger.Headers.WwwAuthenticate.Select(static h => h.Scheme));
        Assert.Equal(HttpStatusCode.OK, await RestAsync(HttpMethod.Put, "/v1/kv/a%2F1", "ann", "v"));
        Assert.Equal(HttpStatusCode.Forbidden, await RestAsync(HttpMethod.Put, "/v1/kv/b%2F1", "ann", "v"));
        Assert.Equal(HttpStatusCode.OK, await RestAsync(HttpMethod.Get, "/v1/kv/a%2F1", "bob"));
        Assert.Equal(HttpStatusCode.Forbidden, await RestAsync(HttpMethod.Delete, "/v1/kv/a%2F1", "bob"));
        Assert.Equal(HttpStatusCode.Forbidden, await RestAsync(HttpMethod.Get, "/v1/kv", "ann"));
        Assert.Equal(HttpStatusCode.Forbidden, await RestAsync(HttpMethod.Get, "/v1/kv?count", "ann"));
        Assert.Equal(HttpStatusCode.OK, await RestAsync(HttpMethod.Get, "/v1/kv?prefix=a/", "ann"));
        Assert.Equal(HttpStatusCode.Forbidden, await RestAsync(HttpMethod.Get, "/v1/watch?prefix=a/", "bob"));

        // Of no key, and of no secret.
        Assert.Equal(HttpStatusCode.OK, await RestAsync(HttpMethod.Get, "/healthz"));
        Assert.Equal(HttpStatusCode.OK, await RestAsync(HttpMethod.Get, "/readyz"));
        Assert.Equal(HttpStatusCode.OK, await RestAsync(HttpMethod.Get, "/openapi/v1.json"));
        Assert.Equal(HttpStatusCode.Unauthorized, await RestAsync(HttpMethod.Get, "/metrics"));
        Assert.Equal(HttpStatusCode.OK, await RestAsync(HttpMethod.Get, "/metrics", "bob"));
        Assert.Equal(HttpStatusCode.NotFound, await RestAsync(HttpMethod.Get, "/nowhere"));
    }

    [Fact]
    public async Task Resp_asks_for_a_user_in_the_words_of_Redis()
    {
        string secret = $"'{GuardedHost.Password}'";
        Assert.Equal(
            "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n",
            await _host.TalkAsync("GET a/1\r\nPING\r\nMULTI\r\n"));
        Assert.Equal(
            "-WRONGPASS invalid username-password pair or user is disabled.\r\n-NOAUTH Authentication required.\r\n",
            await _host.TalkAsync("AUTH ann wrong\r\nGET a/1\r\n"));
        Assert.StartsWith("-NOAUTH HELLO must be called", await _host.TalkAsync("HELLO 3\r\n"), StringComparison.Ordinal);
        Assert.Equal("+OK\r\n+OK\r\n$1\r\nv\r\n", await _host.TalkAsync($"AUTH ann {secret}\r\nSET a/1 v\r\nGET a/1\r\n"));
        string[] lines = (await _host.TalkAsync($"AUTH bob {secret}\r\nSET a/1 w\r\nGET b/1\r\nGET a/1\r\nDBSIZE\r\n")).Split("\r\n");
        Assert.Equal("+OK", lines[0]);
        Assert.StartsWith("-NOPERM", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("-NOPERM", lines[2], StringComparison.Ordinal);
        Assert.Equal("v", lines[4]);
        Assert.StartsWith("-NOPERM", lines[5], StringComparison.Ordinal);
        Assert.Contains("+OK\r\n%7", await _host.TalkAsync($"PING\r\nHELLO 3 AUTH ann {secret}\r\n") is var hello
            ? "+OK\r\n" + hello[hello.IndexOf('%', StringComparison.Ordinal)..]
            : "", StringComparison.Ordinal);

        // Inside MULTI: one that may not be done takes nothing of the others with it, and nothing is done.
        string exec = await _host.TalkAsync($"AUTH ann {secret}\r\nMULTI\r\nSET a/{{t}}2 v\r\nSET b/{{t}}2 v\r\nEXEC\r\nGET a/{{t}}2\r\n");
        Assert.Contains("-NOPERM", exec, StringComparison.Ordinal);
        Assert.EndsWith("$-1\r\n", exec, StringComparison.Ordinal);
        Assert.Contains("-NOPERM", await _host.TalkAsync($"AUTH ann {secret}\r\nPUBLISH news x\r\n"), StringComparison.Ordinal);
        Assert.Contains(":0", await _host.TalkAsync($"AUTH ann {secret}\r\nPUBLISH a/news x\r\n"), StringComparison.Ordinal);
        Assert.Contains("-NOPERM", await _host.TalkAsync($"AUTH ann {secret}\r\nPSUBSCRIBE *\r\n"), StringComparison.Ordinal);
        Assert.Contains("-NOPERM", await _host.TalkAsync($"AUTH bob {secret}\r\nSUBSCRIBE a/x\r\n"), StringComparison.Ordinal);
        Assert.Contains("-NOAUTH", await _host.TalkAsync($"AUTH ann {secret}\r\nRESET\r\nGET a/1\r\n"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_subscription_to_a_channel_ends_when_the_right_to_it_does(bool publishes)
    {
        using TcpClient subscriber = new();
        await subscriber.ConnectAsync(_host.Host.Server.EndPoint);
        using StreamReader replies = new(subscriber.GetStream());
        await subscriber.GetStream().WriteAsync(Encoding.UTF8.GetBytes($"AUTH ann '{GuardedHost.Password}'\r\nSUBSCRIBE a/news\r\n"));
        Assert.Equal(["+OK", "*3", "$9", "subscribe", "$6", "a/news", ":1"], await ReadAsync(replies, 7));

        // A change that takes nothing from it leaves it, and it goes on getting messages.
        await _host.ChangeAsync(new() { Kind = Kind.AddUser, Name = "carl", Password = GuardedHost.Password });
        string root = $"AUTH root '{GuardedHost.Password}'";
        Assert.Equal("+OK\r\n:1\r\n", await _host.TalkAsync($"{root}\r\nPUBLISH a/news one\r\n"));
        Assert.Equal(["*3", "$7", "message", "$6", "a/news", "$3", "one"], await ReadAsync(replies, 7));

        await _host.ChangeAsync(new() { Kind = Kind.RevokeRole, Name = "ann", Role = "writer" });
        if (publishes)
        {
            await _host.TalkAsync($"{root}\r\nPUBLISH a/news two\r\n");
        }

        // Cut, with or without a message that would have come; and nothing came.
        string rest = "";
        try
        {
            rest = await replies.ReadToEndAsync();
        }
        catch (IOException)
        {
            // Reset is as good as ended.
        }

        Assert.Equal("", rest);
    }

    private static async Task<string?[]> ReadAsync(StreamReader reader, int lines)
    {
        var read = new string?[lines];
        for (int i = 0; i < lines; i++)
        {
            read[i] = await reader.ReadLineAsync();
        }

        return read;
    }

    [Fact]
    public async Task Acl_commands_are_over_the_same_users()
    {
        string root = $"AUTH {GuardedHost.Password.Replace(" ", "\\x20", StringComparison.Ordinal)}";
        root = $"AUTH root '{GuardedHost.Password}'";
        Assert.Contains("ann", await _host.TalkAsync($"AUTH ann '{GuardedHost.Password}'\r\nACL WHOAMI\r\n"), StringComparison.Ordinal);
        Assert.Contains("-NOPERM", await _host.TalkAsync($"AUTH ann '{GuardedHost.Password}'\r\nACL USERS\r\n"), StringComparison.Ordinal);
        Assert.Contains(
            "user ann on ~a/* -@all +@read +@write +@pubsub",
            await _host.TalkAsync($"{root}\r\nACL LIST\r\n"),
            StringComparison.Ordinal);
        Assert.Equal(
            "+OK\r\n+OK\r\n",
            await _host.TalkAsync($"{root}\r\nACL SETUSER eve on >evessecret ~e/* %R~a/* +@read +@write\r\n"));
        Assert.Equal(StatusCode.OK, await PutAsync("e/1", GuardedHost.As("eve", "evessecret")));
        Assert.Equal(StatusCode.PermissionDenied, await PutAsync("a/1", GuardedHost.As("eve", "evessecret")));
        Assert.Equal(StatusCode.OK, await GetAsync("a/1", GuardedHost.As("eve", "evessecret")));
        Assert.Contains("-ERR", await _host.TalkAsync($"{root}\r\nACL SETUSER eve +get\r\n"), StringComparison.Ordinal);
        Assert.Contains(":1", await _host.TalkAsync($"{root}\r\nACL DELUSER eve\r\n"), StringComparison.Ordinal);
        Assert.Equal(StatusCode.Unauthenticated, await GetAsync("a/1", GuardedHost.As("eve", "evessecret")));
    }

    [Fact]
    public async Task Json_lines_take_an_Auth_first()
    {
        const string Set = "{\"Set\":{\"key\":\"a/1\",\"value\":\"v\"}}", Other = "{\"Set\":{\"key\":\"b/1\",\"value\":\"v\"}}";
        string auth = $"{{\"Auth\":{{\"user\":\"ann\",\"password\":\"{GuardedHost.Password}\"}}}}";
        Assert.StartsWith("{\"Err\":\"This cluster asks who you are", await _host.TalkAsync(Set), StringComparison.Ordinal);
        string[] answers = (await _host.TalkAsync(auth + Set + Other)).Split('\n');
        Assert.Equal(["{\"Ok\":null}", "{\"Ok\":null}"], answers[..2]);
        Assert.Contains("may not do that", answers[2], StringComparison.Ordinal);
        answers = (await _host.TalkAsync(auth.Replace("correct", "wrong", StringComparison.Ordinal) + Set)).Split('\n');
        Assert.All(answers[..2], static a => Assert.StartsWith("{\"Err\"", a, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_of_the_cluster_takes_the_permission_admin()
    {
        ChangeRequest change = new() { Kind = ChangeRequest.Types.Kind.Rebalance };
        Assert.Equal(StatusCode.Unauthenticated, await CodeAsync(() => _host.Cluster.ChangeAsync(change)));
        Assert.Equal(StatusCode.PermissionDenied, await CodeAsync(() => _host.Cluster.ChangeAsync(change, GuardedHost.As("ann"))));
        RecoverRequest recover = new();
        Assert.Equal(StatusCode.PermissionDenied, await CodeAsync(() => _host.Cluster.RecoverAsync(recover, GuardedHost.As("ann"))));
        Assert.Equal(StatusCode.Unauthenticated, await CodeAsync(() => _host.Cluster.TopologyAsync(new TopologyRequest())));
        Assert.Equal(
            StatusCode.OK,
            await CodeAsync(() => _host.Cluster.TopologyAsync(new TopologyRequest(), GuardedHost.As("bob"))));
        Assert.Equal(
            StatusCode.PermissionDenied,
            await CodeAsync(() => _host.Access.ChangeAsync(new() { Kind = Kind.Disable }, GuardedHost.As("ann"))));
        AccessReadResponse own = await _host.Access.ReadAsync(new AccessReadRequest(), GuardedHost.As("ann"));
        Assert.Equal((false, "ann", 1, 1), (own.Complete, own.You, own.Users.Count, own.Roles.Count));
        AccessReadResponse whole = await _host.Access.ReadAsync(new AccessReadRequest(), GuardedHost.As("root"));
        Assert.Equal((true, true, 3), (whole.Complete, whole.Enabled, whole.Users.Count));

        // Its own password is everybody's own affair.
        await _host.ChangeAsync(new() { Kind = Kind.SetPassword, Name = "ann", Password = "brand new" }, "ann");
        Assert.Equal(StatusCode.Unauthenticated, await GetAsync("a/1", GuardedHost.As("ann")));
        Assert.Equal(StatusCode.OK, await GetAsync("a/1", GuardedHost.As("ann", "brand new")));
        await _host.ChangeAsync(new() { Kind = Kind.Disable });
        Assert.Equal(StatusCode.OK, await PutAsync("b/1", []));
    }

    [Fact]
    public async Task A_token_is_its_user_until_it_ends_or_is_revoked()
    {
        CreateTokenResponse token = await _host.Access.CreateTokenAsync(new CreateTokenRequest(), GuardedHost.As("ann"));
        Metadata bearer = GuardedHost.Bearer(token.Token);
        Assert.Equal(StatusCode.OK, await PutAsync("a/1", bearer));
        Assert.Equal(StatusCode.PermissionDenied, await PutAsync("b/1", bearer));
        Assert.Contains("+OK\r\n$1\r\nv", await _host.TalkAsync($"AUTH ann {token.Token}\r\nGET a/1\r\n"), StringComparison.Ordinal);
        Assert.Contains(
            "{\"Ok\":null}\n{\"Ok\":\"v\"}",
            await _host.TalkAsync($"{{\"Auth\":{{\"token\":\"{token.Token}\"}}}}{{\"Get\":{{\"key\":\"a/1\"}}}}"),
            StringComparison.Ordinal);
        Assert.Equal(
            StatusCode.PermissionDenied,
            await CodeAsync(() => _host.Access.CreateTokenAsync(new() { User = "root" }, GuardedHost.As("ann"))));
        Assert.Equal(
            StatusCode.InvalidArgument,
            await CodeAsync(() => _host.Access.CreateTokenAsync(new() { TtlMs = ulong.MaxValue }, GuardedHost.As("ann"))));

        // Changed by a sign, or signed with nothing.
        string[] parts = token.Token.Split('.');
        string[] forged =
        [
            $"{parts[0]}.{parts[1]}.{parts[2][..^4]}AAAA",
            $"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{parts[1]}.",
            $"{parts[0]}.{parts[1]}",
        ];
        foreach (string other in forged)
        {
            Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", GuardedHost.Bearer(other)));
        }

        CreateTokenResponse brief = await _host.Access.CreateTokenAsync(new() { TtlMs = 1 }, GuardedHost.As("ann"));
        await Grpc.GrpcRulesTests.Until(() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() > brief.ExpiresAtUnixMs + 1_000);
        Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", GuardedHost.Bearer(brief.Token)));

        await _host.ChangeAsync(new() { Kind = Kind.RevokeTokens, Name = "ann" });
        Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", bearer));
        token = await _host.Access.CreateTokenAsync(new CreateTokenRequest(), GuardedHost.As("ann"));
        Assert.Equal(StatusCode.OK, await PutAsync("a/1", GuardedHost.Bearer(token.Token)));
        await _host.ChangeAsync(new() { Kind = Kind.RotateKey });
        Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", GuardedHost.Bearer(token.Token)));
    }

    [Fact]
    public async Task A_user_that_is_made_anew_does_not_have_the_tokens_of_the_former_one()
    {
        CreateTokenResponse token = await _host.Access.CreateTokenAsync(new CreateTokenRequest(), GuardedHost.As("ann"));
        await _host.ChangeAsync(new() { Kind = Kind.DeleteUser, Name = "ann" });
        await _host.ChangeAsync(new() { Kind = Kind.AddUser, Name = "ann", Password = GuardedHost.Password });
        await _host.ChangeAsync(new() { Kind = Kind.GrantRole, Name = "ann", Role = "writer" });
        Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", GuardedHost.Bearer(token.Token)));
        Assert.Equal(StatusCode.OK, await PutAsync("a/1", GuardedHost.As("ann")));
    }

    [Fact]
    public async Task A_user_that_is_added_again_with_the_same_password_is_there_already()
    {
        AccessChangeRequest add = new() { Kind = Kind.AddUser, Name = "eve", Password = "eve's secret" };
        await _host.ChangeAsync(add);
        await _host.ChangeAsync(add);
        add.Password = "another one";
        RpcException refused = await Assert.ThrowsAsync<RpcException>(() => _host.ChangeAsync(add));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
    }

    [Theory]
    [InlineData("s")]
    [InlineData("seven77")]
    public async Task A_new_password_that_is_too_short_is_refused_by_all_doors(string password)
    {
        AccessChangeRequest add = new() { Kind = Kind.AddUser, Name = "eve", Password = password };
        RpcException refused = await Assert.ThrowsAsync<RpcException>(() => _host.ChangeAsync(add));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("8 to 1024", refused.Status.Detail, StringComparison.Ordinal);
        AccessChangeRequest set = new() { Kind = Kind.SetPassword, Name = "ann", Password = password };
        refused = await Assert.ThrowsAsync<RpcException>(() => _host.ChangeAsync(set, "ann"));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        string root = $"AUTH root '{GuardedHost.Password}'";
        Assert.Contains("-ERR", await _host.TalkAsync($"{root}\r\nACL SETUSER eve on >{password}\r\n"), StringComparison.Ordinal);
        Assert.Equal(StatusCode.Unauthenticated, await GetAsync("a/1", GuardedHost.As("eve", password)));
        Assert.Equal(StatusCode.OK, await GetAsync("a/1", GuardedHost.As("ann")));
    }

    [Fact]
    public async Task Who_is_wrong_too_often_waits_and_locks_nobody_else_out()
    {
        int refused = 0;
        for (int i = 0; i < 40 && refused == 0; i++)
        {
            refused += await PutAsync("a/1", GuardedHost.As("ann", $"guess {i}")) == StatusCode.ResourceExhausted ? 1 : 0;
        }

        Assert.Equal(1, refused);

        // From the same address, for another user; and for who has been right a moment ago.
        Assert.Equal(StatusCode.OK, await GetAsync("a/1", GuardedHost.As("bob")));
    }

    [Fact]
    public void Every_method_of_every_service_has_a_rule()
    {
        foreach (Google.Protobuf.Reflection.ServiceDescriptor service in ServedServices.Descriptors)
        {
            Assert.All(service.Methods, m => Assert.NotNull(AccessRules.Of($"{service.FullName}/{m.Name}")));
        }

        Assert.Null(AccessRules.Of("henge.v1.KVStore/Other"));
        Assert.Null(AccessRules.Of("henge.v1.Other/Get"));
    }

    private async Task<HttpStatusCode> RestAsync(HttpMethod method, string path, string? user = null, string? body = null)
    {
        using HttpResponseMessage answer = await _host.HttpAsync(method, path, user is null ? null : GuardedHost.As(user), body);
        return answer.StatusCode;
    }

    private Task<StatusCode> PutAsync(string key, Metadata headers) => CodeAsync(() => _host.Keys.PutAsync(
        new PutRequest { Key = ByteString.CopyFromUtf8(key), Value = ByteString.CopyFromUtf8("v") },
        headers));

    private Task<StatusCode> GetAsync(string key, Metadata headers) =>
        CodeAsync(() => _host.Keys.GetAsync(new GetRequest { Key = ByteString.CopyFromUtf8(key) }, headers));

    private static async Task<StatusCode> CodeAsync<T>(Func<AsyncUnaryCall<T>> call)
    {
        try
        {
            using AsyncUnaryCall<T> made = call();
            await made;
            return StatusCode.OK;
        }
        catch (RpcException e)
        {
            return e.StatusCode;
        }
    }
}
