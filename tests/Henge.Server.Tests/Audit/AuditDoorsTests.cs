using System.Text.Json;
using Google.Protobuf;
using Grpc.Core;
using Henge.Protocol.V1;
using Henge.Server.Audit;
using Henge.Server.Tests.Access;
using Henge.Server.Tests.Grpc;
using Henge.Server.Tests.Thrift;
using Henge.Server.Thrift;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;
using Wire = Henge.Thrift.Generated;

namespace Henge.Server.Tests.Audit;

/// <summary>What the audit log of a whole node says, whichever door somebody comes by.</summary>
public sealed class AuditDoorsTests : IAsyncLifetime
{
    private const string Value = "value-of-nobodys-business";
    private readonly string _directory = Directory.CreateTempSubdirectory("henge-audit").FullName;
    private GuardedHost _host = null!;

    private string Log => Path.Combine(_directory, "audit.json");

    public async ValueTask InitializeAsync() => _host = await StartAsync(enable: true);

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("grpc")]
    [InlineData("grpc session")]
    [InlineData("grpc txn")]
    [InlineData("rest")]
    [InlineData("resp")]
    [InlineData("json-lines")]
    [InlineData("thrift")]
    public async Task A_read_and_a_write_leave_a_line_with_their_user(string way)
    {
        await UseAsync(way, "ann", "a/1");
        await UseAsync(way, "bob", "a/2");
        string door = way.Split(' ')[0];
        List<JsonElement> lines = await LinesAsync(4);
        Assert.All(lines, l => Assert.Equal(door, l.Field("Door")));
        Assert.All(lines, static l => Assert.StartsWith("127.0.0.1:", l.Field("Address"), StringComparison.Ordinal));

        // Of a transaction that may not be done whole, all is refused.
        string read = way == "grpc txn" ? "PermissionDenied" : "Ok";
        Assert.Equal(
            ["ann Get a/1 Ok", "ann Put a/1 Ok", $"bob Get a/2 {read}", "bob Put a/2 PermissionDenied"],
            lines
                .Select(static l => $"{l.Field("User")} {l.Field("Operation")} {l.Field("Key")} {l.Field("Outcome")}")
                .Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Scans_histories_and_watches_leave_lines_at_each_door()
    {
        await _host.Keys.ScanAsync(new ScanRequest { Prefix = Bytes("a/") }, GuardedHost.As("ann"));
        ScanRequest some = new() { Prefix = Bytes("a/s") };
        using (AsyncServerStreamingCall<ScanResponse> stream = _host.Keys.ScanStream(some, GuardedHost.As("ann")))
        {
            await foreach (ScanResponse _ in stream.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken))
            {
            }
        }

        await _host.Keys.HistoryAsync(new HistoryRequest { Key = Bytes("a/h") }, GuardedHost.As("ann"));
        using (await _host.HttpAsync(HttpMethod.Get, "/v1/kv?prefix=a/r", GuardedHost.As("ann")))
        using (await _host.HttpAsync(HttpMethod.Get, "/v1/watch?prefix=a/", GuardedHost.As("bob")))
        {
        }

        await _host.TalkAsync(
            $"AUTH ann '{GuardedHost.Password}'\r\nDBSIZE\r\nMGET a/1 a/2\r\nMSET a/{{t}}1 v a/{{t}}2 v\r\n");
        WatchRequest watch = new() { KeyPrefix = Bytes("a/w"), Progress = true };
        using (AsyncServerStreamingCall<WatchEvent> events = _host.Keys.Watch(watch, GuardedHost.As("ann")))
        {
            Assert.True(await events.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        }

        List<JsonElement> lines = [];
        await GrpcRulesTests.Until(() => (lines = OfKeys()).Any(static l => l.Field("Operation") == "WatchEnd"));
        string[] told = [.. lines.Select(static l =>
        {
            string keys = l.Field("Key") ?? l.Field("From") + ".." + l.Field("To");
            return $"{l.Field("Door")} {l.Field("User")} {l.Field("Operation")} {keys} {l.Field("Outcome")}";
        })];
        string[] expected =
        [
            "grpc ann Scan a/..a0 Ok", "grpc ann Scan a/s..a/t Ok", "grpc ann History a/h Ok", "rest ann Scan a/r..a/s Ok",
            "rest bob Watch a/..a0 PermissionDenied", "resp ann Scan .. PermissionDenied", "resp ann Get a/1 Ok", "resp ann Get a/2 Ok",
            "resp ann MultiPut a/{t}1 Ok", "resp ann MultiPut a/{t}2 Ok", "grpc ann Watch a/w..a/x Ok", "grpc ann WatchEnd a/w..a/x Ok",
        ];
        Assert.All(expected, e => Assert.Contains(e, told));
    }

    [Fact]
    public async Task Changes_and_refusals_are_in_it_and_no_secret_is()
    {
        CreateTokenResponse token = await _host.Access.CreateTokenAsync(new CreateTokenRequest(), GuardedHost.As("ann"));
        await PutAsync("a/1", GuardedHost.Bearer(token.Token));
        await _host.ChangeAsync(new() { Kind = Kind.SetPassword, Name = "bob", Password = "the new secret" });
        await _host.ChangeAsync(new() { Kind = Kind.RotateKey });
        await PutAsync("a/1", GuardedHost.As("bob", "a wrong secret"));
        await PutAsync("a/1", GuardedHost.Bearer(token.Token));
        AccessChangeRequest refused = new() { Kind = Kind.AddUser, Name = "eve", Password = "eves secret" };
        await Assert.ThrowsAsync<RpcException>(() => _host.ChangeAsync(refused, "ann"));
        await _host.Cluster.ChangeAsync(new() { Kind = ChangeRequest.Types.Kind.Rebalance }, GuardedHost.As("root"));
        using (ThriftPeer thrift = await ThriftPeer.OpenAsync(_host.Host.Server.EndPoint, ThriftEncoding.Binary))
        {
            Wire.Credentials wrong = new() { User = "guesser", Password = "by thrift, wrong" };
            await Assert.ThrowsAsync<Wire.Unauthenticated>(() => thrift.Calls.authAsync(wrong));
        }

        await _host.TalkAsync(
            $"AUTH root '{GuardedHost.Password}'\r\nACL SETUSER eve on >evessecret ~e/* +@read\r\nSET a/2 {Value}\r\n");
        ChangeRequest impossible = new() { Kind = ChangeRequest.Types.Kind.Remove, NodeId = "stranger" };
        await CatchAsync(async () => await _host.Cluster.ChangeAsync(impossible, GuardedHost.As("root")));
        await CatchAsync(async () => await _host.Cluster.ChangeAsync(impossible, GuardedHost.As("bob", "the new secret")));
        await CatchAsync(() => _host.ChangeAsync(new() { Kind = Kind.GrantRole, Name = "stranger", Role = "writer" }));
        string[] wanted =
        [
            "Changed", "ChangeRefused", "ChangeFailed", "TokenGiven", "LoginRefused", "TokenRefused", "ClusterChanged",
            "ClusterChangeFailed", "CallRefused", "Key",
        ];
        List<JsonElement> lines = [];
        await GrpcRulesTests.Until(() =>
            !wanted.Except((lines = AuditLines.Read(Log)).Select(static l => l.Field("Event"))).Any()
            && lines.Any(static l => l.Field("Key") == "a/2")
            && lines.Any(static l => l.Field("Event") == "LoginRefused" && l.Field("User") == "guesser"));
        JsonElement change = lines.First(static l => l.Field("Event") == "ClusterChanged");
        Assert.Equal(("root", "1806"), (change.Field("User"), change.Field("EventId")));
        Assert.Contains(lines, static l =>
            l.Field("Event") == "Changed" && l.Field("User") == "root"
            && l.Field("Change")!.StartsWith("SetPassword bob", StringComparison.Ordinal));

        // By the door of RESP as well.
        Assert.Contains(lines, static l =>
            l.Field("Event") == "Changed" && l.Field("Change")!.StartsWith("AddUser eve", StringComparison.Ordinal));
        string all = AuditLines.Text(Log);
        string[] secrets =
        [
            GuardedHost.Password, "the new secret", "a wrong secret", "eves secret", "evessecret", "by thrift", token.Token,
            token.Token.Split('.')[2], Value,
        ];
        Assert.All(secrets, s => Assert.DoesNotContain(s, all, StringComparison.Ordinal));
        Assert.Equal(Enumerable.Range(1, lines.Count), lines.Select(static l => l.GetProperty("Sequence").GetInt32()));
    }

    [Fact]
    public async Task Where_access_is_not_checked_it_is_nobody()
    {
        await _host.ChangeAsync(new() { Kind = Kind.Disable });
        foreach (string way in new[] { "grpc", "grpc session", "rest", "resp", "json-lines", "thrift" })
        {
            await UseAsync(way, null, "a/" + way.Replace(' ', '-'));
        }

        List<JsonElement> lines = await LinesAsync(12);
        Assert.All(lines, static l => Assert.Equal(("nobody", "Ok"), (l.Field("User"), l.Field("Outcome"))));
        Assert.All(lines, static l => Assert.NotEqual("unknown", l.Field("Door")));
    }

    private async Task<GuardedHost> StartAsync(bool enable) => await GuardedHost.StartAsync(
        enable: enable,
        audit: new AuditOptions { Path = Log, Keys = [new AuditRule(AuditedAccess.All, "a/")] });

    // A write, and then a read.
    private async Task UseAsync(string way, string? user, string key)
    {
        Metadata headers = user is null ? [] : GuardedHost.As(user);
        switch (way)
        {
            case "grpc":
                await PutAsync(key, headers);
                await _host.Keys.GetAsync(new GetRequest { Key = Bytes(key) }, headers);
                break;
            case "grpc session":
                await SessionAsync(key, headers);
                break;
            case "grpc txn":
                TxnRequest txn = new()
                {
                    Then =
                    {
                        new TxnOperation { Put = new PutRequest { Key = Bytes(key), Value = Bytes(Value) } },
                        new TxnOperation { Get = new GetRequest { Key = Bytes(key) } },
                    },
                };
                await CatchAsync(async () => await _host.Keys.TxnAsync(txn, headers));
                break;
            case "rest":
                string path = "/v1/kv/" + Uri.EscapeDataString(key);
                using (await _host.HttpAsync(HttpMethod.Put, path, headers, Value))
                using (await _host.HttpAsync(HttpMethod.Get, path, headers))
                {
                }

                break;
            case "resp":
                string auth = user is null ? "" : $"AUTH {user} '{GuardedHost.Password}'\r\n";
                await _host.TalkAsync($"{auth}SET {key} {Value}\r\nGET {key}\r\n");
                break;
            case "thrift":
                await ThriftAsync(user, key);
                break;
            default:
                string first = user is null ? "" : $"{{\"Auth\":{{\"user\":\"{user}\",\"password\":\"{GuardedHost.Password}\"}}}}";
                await _host.TalkAsync($"{first}{{\"Set\":{{\"key\":\"{key}\",\"value\":\"{Value}\"}}}}{{\"Get\":{{\"key\":\"{key}\"}}}}");
                break;
        }
    }

    private async Task ThriftAsync(string? user, string key)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(_host.Host.Server.EndPoint, ThriftEncoding.Compact);
        if (user is not null)
        {
            await peer.Calls.authAsync(new Wire.Credentials { User = user, Password = GuardedHost.Password });
        }

        byte[] name = System.Text.Encoding.UTF8.GetBytes(key), value = System.Text.Encoding.UTF8.GetBytes(Value);
        try
        {
            await peer.Calls.putAsync(new Wire.PutRequest { Key = name, Value = value });
        }
        catch (Wire.PermissionDenied)
        {
            // Its line says so.
        }

        await peer.Calls.getAsync(new Wire.GetRequest { Key = name });
    }

    private async Task SessionAsync(string key, Metadata headers)
    {
        using AsyncDuplexStreamingCall<SessionRequest, SessionResponse> session = _host.Keys.Session(headers);
        await session.RequestStream.WriteAsync(new SessionRequest
        {
            Operations =
            {
                new SessionOperation { Id = 1, Put = new PutRequest { Key = Bytes(key), Value = Bytes(Value) } },
                new SessionOperation { Id = 2, Get = new GetRequest { Key = Bytes(key) } },
            },
        });
        await session.RequestStream.CompleteAsync();
        await foreach (SessionResponse _ in session.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken))
        {
        }
    }

    private Task PutAsync(string key, Metadata headers) => CatchAsync(async () =>
        await _host.Keys.PutAsync(new PutRequest { Key = Bytes(key), Value = Bytes(Value) }, headers));

    private static async Task CatchAsync(Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (RpcException)
        {
            // Its line says so.
        }
    }

    private async Task<List<JsonElement>> LinesAsync(int count)
    {
        List<JsonElement> lines = [];
        await GrpcRulesTests.Until(() => (lines = OfKeys()).Count >= count);
        await GrpcRulesTests.Until(() => _host.Host.AuditLog!.Waiting == 0);
        lines = OfKeys();
        Assert.Equal(count, lines.Count);
        return lines;
    }

    private List<JsonElement> OfKeys() => [.. AuditLines.Read(Log).Where(static l => l.Field("Event") is "Key" or "Range")];

    private static ByteString Bytes(string text) => ByteString.CopyFromUtf8(text);
}
