using System.Net;
using Henge.Core;
using Henge.Node.Access;
using Henge.Server.Access;
using Henge.Server.Events;
using Henge.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Server.Tests.Access;

/// <summary>Logins that are refused, as the log tells of them, and hashes that are none.</summary>
public sealed class LoginsTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly StringWriter _written = new();
    private readonly ServerLogging _logging;
    private readonly OneView _access = new();
    private readonly Logins _logins;

    public LoginsTests()
    {
        _logging = new ServerLogging(_written, new LogOptions { Level = LogLevel.Information });
        _logins = new Logins(
            _access,
            new Tokens(_access, static () => "c", _time),
            new PasswordHashes(threads: 1),
            _logging.CreateLogger(ServerEvents.Access.Category),
            _time);
    }

    public void Dispose()
    {
        _logins.Dispose();
        _logging.Dispose();
        _written.Dispose();
    }

    [Fact]
    public async Task A_client_with_an_old_token_does_not_fill_the_log()
    {
        for (int i = 0; i < 1_000; i++)
        {
            HengeException refused = await Assert.ThrowsAsync<HengeException>(
                async () => await _logins.ByTokenAsync("a.b.c", new IPEndPoint(IPAddress.Loopback, 1)));
            Assert.Equal(ErrorCode.Unauthenticated, refused.Code);
        }

        Assert.Equal(Logins.MostTold, Lines("[1805]").Length);
        Assert.Empty(Lines("[1814]"));
        _time.Advance(Logins.Span);
        Assert.Contains($"{1_000 - Logins.MostTold} more tokens", Assert.Single(Lines("[1814]")), StringComparison.Ordinal);
        await Assert.ThrowsAsync<HengeException>(async () => await _logins.ByTokenAsync("a.b.c", null));
        Assert.Equal(Logins.MostTold + 1, Lines("[1805]").Length);
    }

    [Fact]
    public async Task Neither_do_guesses_from_many_addresses()
    {
        for (int i = 0; i < 200; i++)
        {
            // Too long, so that none is hashed.
            await Assert.ThrowsAsync<HengeException>(
                async () => await _logins.ByPasswordAsync(
                    "ann", new string('x', PasswordHashes.MaxPasswordLength + 1), new IPEndPoint(i + 1, 1)));
        }

        Assert.Equal(Logins.MostTold, Lines("[1804]").Length);
        _time.Advance(Logins.Span);
        Assert.Contains($"{200 - Logins.MostTold} more logins", Assert.Single(Lines("[1813]")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no base64!")]
    [InlineData("AQ==")]
    [InlineData("AA==")]
    [InlineData("AQAAAAIf////AAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==")]
    public async Task A_hash_that_makes_no_sense_is_no_password_and_no_work(string hash)
    {
        _access.Access = AccessView.Of(true, new Core.Version(1), [], [("ann", new UserRecord("ann", hash, []))]);
        HengeException refused = await Assert.ThrowsAsync<HengeException>(
            async () => await _logins.ByPasswordAsync("ann", "secret", new IPEndPoint(IPAddress.Loopback, 1)));
        Assert.Equal(ErrorCode.Unauthenticated, refused.Code);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a.b.c")]
    [InlineData("...")]
    [InlineData("eyJhbGciOiJub25lIn0.e30.")]
    [InlineData("eyJhbGciOiJ\u0017Ni.e30.AAAA")]
    [InlineData("eyJhFxciOiJIUzI1NiJ9.e30.AAAA")]
    [InlineData("eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA.AAAA")]
    public async Task What_only_looks_like_a_token_is_none_and_no_error_of_this_node(string token)
    {
        Assert.False(_logins.Tokens.IsOwn(token));
        HengeException refused = await Assert.ThrowsAsync<HengeException>(async () => await _logins.ByTokenAsync(token, null));
        Assert.Equal(ErrorCode.Unauthenticated, refused.Code);
    }

    [Fact]
    public async Task A_token_that_was_right_before_is_judged_by_its_time_its_user_and_the_key_each_time()
    {
        byte[] key = [.. Enumerable.Range(0, 32).Select(static i => (byte)i)];
        void Know(ulong generation, byte[] signingKey) => _access.Access = AccessView.Of(
            true, new Core.Version(1), [], [("ann", new UserRecord("ann", "", []) { Generation = generation })], signingKey);
        async Task Refused(string token, string why)
        {
            HengeException refused = await Assert.ThrowsAsync<HengeException>(async () => await _logins.ByTokenAsync(token, null));
            Assert.Equal(ErrorCode.Unauthenticated, refused.Code);
            Assert.Contains(why, refused.Message, StringComparison.Ordinal);
        }

        Know(7, key);
        (string token, _) = _logins.Tokens.Create("ann", TimeSpan.FromMinutes(20));
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(("ann", 7UL), await _logins.ByTokenAsync(token, null) is var l ? (l.User, l.Generation!.Value) : default);
        }

        // Nothing but the whole token is what was right.
        await Refused(token + "A", "not one of this cluster");
        Know(8, key);
        await Refused(token, "revoked");
        Know(7, [.. key.Reverse()]);
        await Refused(token, "no longer in force");
        _access.Access = AccessView.Of(true, new Core.Version(1), [], [], key);
        await Refused(token, "revoked");
        Know(7, key);
        Assert.Equal("ann", (await _logins.ByTokenAsync(token, null)).User);
        _time.Advance(TimeSpan.FromMinutes(21));
        await Refused(token, "expired");
    }

    [Fact]
    public async Task More_tokens_than_are_remembered_are_good_as_well()
    {
        _access.Access = AccessView.Of(true, new Core.Version(1), [], [("ann", new UserRecord("ann", "", []))], new byte[32]);
        string[] tokens =
        [
            .. Enumerable.Range(1, Tokens.MostRemembered + 100)
                .Select(i => _logins.Tokens.Create("ann", TimeSpan.FromSeconds(3_600 + i)).Token),
        ];
        Assert.Equal(tokens.Length, tokens.Distinct().Count());
        foreach (string token in tokens.Concat(tokens))
        {
            Assert.Equal("ann", (await _logins.ByTokenAsync(token, null)).User);
        }
    }

    [Fact]
    public async Task A_hash_that_was_made_is_well_formed()
    {
        string hash = await _logins.HashAsync("secret words");
        Assert.True(PasswordHashes.IsHash(hash));
        Assert.True(await _logins.IsRightAsync(hash, "secret words"));
        Assert.False(await _logins.IsRightAsync(hash, "other"));
        Assert.False(await _logins.IsRightAsync("", "secret words"));
    }

    private string[] Lines(string id) => [.. _written.ToString().Split('\n').Where(l => l.Contains(id, StringComparison.Ordinal))];

    private sealed class OneView : IAccessControl
    {
        public event Action? AccessChanged
        {
            add { }
            remove { }
        }

        public AccessView Access { get; set; } = AccessView.None;

        public void ChangeAccess(AccessChange change, long deadlineMs, Action<HengeException?> ended) => throw new NotSupportedException();
    }
}
