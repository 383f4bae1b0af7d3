using System.Collections.Concurrent;
using System.Text;
using Henge.Client.Errors;
using Henge.Client.Tests.Fakes;
using Henge.Client.Transport;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

/// <summary>Clients that say who calls, and what becomes of them that may not.</summary>
public sealed class AccessTests
{
    private const string Secret = "s3cret:pass";
    private static readonly string Basic = "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes("alice:" + Secret));

    [Fact]
    public async Task Every_call_and_stream_says_who_calls()
    {
        ConcurrentQueue<(string Method, string? Header)> seen = [];
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            seen.Enqueue((call.Method, call.Header("authorization")));
            await store.HandleAsync(call);
        });
        await using HengeClient client = new(new HengeClientOptions { Peers = [node.Address], User = "alice", Password = Secret });
        PutResult put = await client.PutAsync("a", "1");
        Assert.Equal("1", (await client.GetAsync("a")).Text);
        Assert.Equal(1, await client.CountAsync(new ScanOptions()));
        await foreach (WatchEvent e in client.WatchAsync(new WatchOptions { StartVersion = put.Version }))
        {
            Assert.Equal("a", e.KeyText);
            break;
        }

        Assert.All(seen, call => Assert.Equal(Basic, call.Header));
        Assert.Superset(new HashSet<string> { "Session", "Scan", "Watch", "Topology" }, seen.Select(static c => c.Method).ToHashSet());
    }

    [Fact]
    public async Task A_token_that_has_been_renewed_goes_with_the_next_call()
    {
        ConcurrentQueue<string?> seen = [];
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            seen.Enqueue(call.Header("authorization"));
            await call.WriteAsync(new Wire.GetResponse());
        });
        int asked = 0;
        HengeClientOptions options = Options(node, sessions: false);
        options.TokenProvider = async cancellationToken =>
        {
            await Task.Yield();
            return Interlocked.Increment(ref asked) > 2 ? "new" : "old";
        };
        await using HengeClient client = new(options);
        for (int i = 0; i < 3; i++)
        {
            await client.GetAsync("a");
        }

        Assert.Equal(["Bearer old", "Bearer old", "Bearer new"], seen);
    }

    [Fact]
    public async Task A_provider_that_fails_for_a_moment_is_asked_again_and_one_that_gives_no_token_is_not()
    {
        await using FakeNode node = await FakeNode.StartAsync(static call => call.WriteAsync(new Wire.GetResponse()));
        int asked = 0;
        HengeClientOptions options = Options(node, sessions: false);
        options.TokenProvider = _ => asked++ == 0 ? throw new IOException("The issuer does not answer.") : ValueTask.FromResult("t");
        await using (HengeClient client = new(options))
        {
            await client.GetAsync("a");
            Assert.Equal(2, asked);
        }

        options = Options(node, sessions: false);
        options.TokenProvider = static _ => ValueTask.FromResult("two words");
        await using HengeClient wrong = new(options);
        MisconfiguredException e = await Assert.ThrowsAsync<MisconfiguredException>(async () => await wrong.GetAsync("a"));
        Assert.Contains("TokenProvider", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("two words", e.ToString(), StringComparison.Ordinal);
        Assert.Equal(1, node.Count("Get"));
    }

    [Theory]
    [InlineData(ErrorCode.Unauthenticated, true)]
    [InlineData(ErrorCode.Unauthenticated, false)]
    [InlineData(ErrorCode.PermissionDenied, true)]
    [InlineData(ErrorCode.PermissionDenied, false)]
    public async Task A_refusal_is_told_in_the_words_of_the_node_and_is_not_tried_again(ErrorCode code, bool sessions)
    {
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await Task.Yield();
            call.Fail(code, "Nobody of that name.");
        });
        await using HengeClient client = new(Options(node, sessions, Secret));
        HengeException put = await Assert.ThrowsAnyAsync<HengeException>(async () => await client.PutAsync("a", "1"));
        Assert.Equal((code, "Nobody of that name."), (put.Code, put.Message));
        Assert.IsType(code == ErrorCode.Unauthenticated ? typeof(UnauthenticatedException) : typeof(PermissionDeniedException), put);
        Assert.DoesNotContain(Secret, put.ToString(), StringComparison.Ordinal);
        Assert.Single(node.Calls);

        HengeException watch = await Assert.ThrowsAnyAsync<HengeException>(async () =>
        {
            await foreach (WatchEvent e in client.WatchAsync(new WatchOptions()))
            {
                Assert.Fail(e.ToString());
            }
        });
        Assert.Equal(code, watch.Code);
        Assert.Equal(1, node.Count("Watch"));
    }

    [Fact]
    public async Task Who_is_not_let_in_does_not_ask_for_the_topology_again_and_again()
    {
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            await Task.Yield();
            call.Fail(ErrorCode.Unauthenticated, "The password is wrong.");
        });
        HengeClientOptions options = Options(node, sessions: true, Secret);
        options.RouteToLeaders = true;
        await using HengeClient client = new(options);
        await Assert.ThrowsAsync<UnauthenticatedException>(async () => await client.GetAsync("a"));
        await Task.Delay(TimeSpan.FromSeconds(1));
        Assert.Equal(1, node.Count("Topology"));
    }

    [Fact]
    public async Task A_session_that_is_ended_since_its_token_is_over_goes_on_as_a_call_that_says_who_calls_anew()
    {
        await using RealStore store = await RealStore.StartAsync();
        int sessions = 0;
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            if (call.Method != "Session" || Interlocked.Increment(ref sessions) > 1)
            {
                await store.HandleAsync(call);
                return;
            }

            // The first is answered; the second was taken in, and may have been done.
            Wire.SessionRequest first = (await call.ReadAsync(Wire.SessionRequest.Parser))!;
            await call.WriteAsync(new Wire.SessionResponse { Results = { await store.AnswerAsync(first.Operations[0]) } });
            Wire.SessionRequest second = (await call.ReadAsync(Wire.SessionRequest.Parser))!;
            await store.AnswerAsync(second.Operations[0]);
            call.Fail(ErrorCode.Unauthenticated, "The token is over.");
        });
        HengeClientOptions options = Options(node, sessions: true, Secret);
        options.SessionsPerNode = 1;
        await using HengeClient client = new(options);
        await client.PutAsync("a", "1");
        Assert.True((await client.PutAsync("a", "2")).Succeeded);
        Assert.Equal("2", (await client.GetAsync("a")).Text);
        Assert.Equal(2, await store.WritesAsync("a"));
    }

    [Fact]
    public async Task A_watch_whose_token_is_over_goes_on_where_it_stood()
    {
        await using RealStore store = await RealStore.StartAsync();
        int watches = 0;
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            if (call.Method == "Watch" && Interlocked.Increment(ref watches) == 1)
            {
                await call.WriteAsync(new Wire.WatchEvent
                {
                    EventType = "PUT",
                    Key = Google.Protobuf.ByteString.CopyFromUtf8("a"),
                    Version = await store.VersionOfAsync("a"),
                });
                call.Fail(ErrorCode.Unauthenticated, "The token is over.");
                return;
            }

            await store.HandleAsync(call);
        });
        await using HengeClient client = new(Options(node, sessions: false, Secret));
        PutResult put = await client.PutAsync("a", "1");
        Task<List<string>> keys = Task.Run(async () =>
        {
            List<string> found = [];
            await foreach (WatchEvent e in client.WatchAsync(new WatchOptions { StartVersion = put.Version }))
            {
                found.Add(e.KeyText);
                if (found.Contains("b"))
                {
                    break;
                }
            }

            return found;
        });
        await client.PutAsync("b", "1");
        Assert.Contains("b", await keys);
        Assert.Equal(2, watches);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Passwords_do_not_leave_the_machine_without_TLS(bool sessions)
    {
        HengeClientOptions options = new()
        {
            Peers = ["192.0.2.1:7001"],
            RouteToLeaders = false,
            UseSessions = sessions,
            User = "alice",
            Password = Secret,
        };
        await using HengeClient client = new(options);
        MisconfiguredException e = await Assert.ThrowsAsync<MisconfiguredException>(async () => await client.PutAsync("a", "1"));
        Assert.Contains("192.0.2.1:7001 without TLS", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, e.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://127.0.0.1:7001", false, true)]
    [InlineData("http://127.8.8.8:7001", false, true)]
    [InlineData("http://[::1]:7001", false, true)]
    [InlineData("http://localhost:7001", false, true)]
    [InlineData("http://localhost.example.com:7001", false, false)]
    [InlineData("http://127.0.0.1.example.com:7001", false, false)]
    [InlineData("http://10.0.0.1:7001", false, false)]
    [InlineData("http://0.0.0.0:7001", false, false)]
    [InlineData("http://[fe80::1]:7001", false, false)]
    [InlineData("http://db1:7001", false, false)]
    [InlineData("http://db1:7001", true, true)]
    [InlineData("https://db1:7001", false, true)]
    public async Task Where_credentials_may_go(string node, bool allowInsecure, bool may)
    {
        HengeClientOptions options = new() { Token = "t", AllowInsecureCredentials = allowInsecure };
        NodeCredentials credentials = NodeCredentials.Of(options)!;
        if (may)
        {
            Assert.Equal("Bearer t", await credentials.HeaderAsync(new Uri(node), default));
        }
        else
        {
            AttemptFailedException e = await Assert.ThrowsAsync<AttemptFailedException>(
                async () => await credentials.HeaderAsync(new Uri(node), default));
            Assert.Equal((ErrorCode.Misconfigured, AttemptOutcome.NothingDone), (e.Code, e.Outcome));
        }
    }

    [Fact]
    public async Task The_header_is_made_once()
    {
        Uri node = new("http://127.0.0.1:7001");
        NodeCredentials password = NodeCredentials.Of(new HengeClientOptions { User = "alice", Password = Secret })!;
        Assert.Equal(Basic, await password.HeaderAsync(node, default));
        Assert.Same(await password.HeaderAsync(node, default), await password.HeaderAsync(node, default));
        NodeCredentials token = NodeCredentials.Of(new HengeClientOptions { TokenProvider = static _ => ValueTask.FromResult("t") })!;
        Assert.Same(await token.HeaderAsync(node, default), await token.HeaderAsync(node, default));
        Assert.Null(NodeCredentials.Of(new HengeClientOptions()));
    }

    [Fact]
    public void Settings_that_do_not_go_together_are_refused_and_never_shown()
    {
        (string? User, string? Password, string? Token)[] wrong =
        [
            ("alice", null, null), ("alice", "", null), (null, Secret, null), ("", Secret, null), ("a:b", Secret, null),
            ("a\nb", Secret, null), ("alice", Secret, "tok"), (null, null, ""), (null, null, Secret + "\r\nx: y"),
        ];
        foreach ((string? user, string? password, string? token) in wrong)
        {
            HengeClientOptions options = new() { User = user, Password = password, Token = token };
            ArgumentException e = Assert.Throws<ArgumentException>(() => new HengeClient(options));
            Assert.DoesNotContain(Secret, e.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain(Secret, options.ToString(), StringComparison.Ordinal);
        }

        HengeClientOptions twice = new() { Token = "t", Metadata = { ["Authorization"] = "Bearer x" } };
        Assert.Throws<ArgumentException>(() => new HengeClient(twice));
        Assert.Throws<ArgumentException>(
            () => new HengeClient(new HengeClientOptions { Token = "t", TokenProvider = static _ => ValueTask.FromResult("t") }));
    }

    [Fact]
    public async Task Users_and_roles_are_read_and_changed_and_tokens_made()
    {
        List<object> asked = [];
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            switch (call.Method)
            {
                case "Read":
                    await call.WriteAsync(new Wire.AccessReadResponse { Enabled = true, You = "alice" });
                    break;
                case "Change":
                    asked.Add((await call.ReadAsync(Wire.AccessChangeRequest.Parser))!);
                    await call.WriteAsync(new Wire.AccessChangeResponse());
                    break;
                default:
                    asked.Add((await call.ReadAsync(Wire.CreateTokenRequest.Parser))!);
                    await call.WriteAsync(new Wire.CreateTokenResponse { Token = "tok" });
                    break;
            }
        });
        await using HengeClient client = new(Options(node, sessions: false, Secret));
        Assert.Equal((true, "alice"), (await client.AccessAsync()) is var access ? (access.Enabled, access.You) : default);
        Wire.AccessChangeRequest change = new()
        {
            Kind = Wire.AccessChangeRequest.Types.Kind.AddUser,
            Name = "bob",
            Password = "p",
        };
        await client.ChangeAccessAsync(change);
        Assert.Equal("tok", (await client.CreateTokenAsync()).Token);
        await client.CreateTokenAsync("bob", TimeSpan.FromMinutes(2));
        Assert.Equal(
            [change, new Wire.CreateTokenRequest(), new Wire.CreateTokenRequest { User = "bob", TtlMs = 120_000 }],
            asked);
        Assert.All(node.Calls, static path => Assert.StartsWith("/henge.v1.Access/", path, StringComparison.Ordinal));
        foreach (TimeSpan wrong in (TimeSpan[])[TimeSpan.Zero, TimeSpan.FromDays(-1), TimeSpan.FromDays(367)])
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.CreateTokenAsync("bob", wrong));
        }
    }

    private static HengeClientOptions Options(FakeNode node, bool sessions, string? password = null) => new()
    {
        Peers = [node.Address],
        RouteToLeaders = false,
        UseSessions = sessions,
        User = password is null ? null : "alice",
        Password = password,
    };
}
