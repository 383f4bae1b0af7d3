using System.Net;
using System.Security.Cryptography;
using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Server.Events;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Access;

/// <summary>Finds out whether somebody is who it says to be, for all doors. Thread-safe.</summary>
internal sealed class Logins : IDisposable
{
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(5);
    private readonly PasswordHashes _hashes;
    private readonly LoginLimits _limits = new();
    private readonly ILogger _logger;

    // A client with an old token, or one that guesses, must not fill the log.
    private readonly EventLimit _loginsTold;
    private readonly EventLimit _tokensTold;

    // What was right a moment ago is right as long as the hash is the same: a call with a password is not a hash's work each time. Keys are
    // hashes under a key of this process, so that no password lies in memory for it.
    private readonly MemoryCache _right = new(new MemoryCacheOptions { SizeLimit = 4096 });
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);

    /// <summary>Refused logins of each kind of which each is logged within <see cref="Span"/>; the others are counted.</summary>
    public const int MostTold = 20;

    /// <summary>The time in which they are counted.</summary>
    public static readonly TimeSpan Span = TimeSpan.FromSeconds(10);

    /// <param name="access">The users that there are.</param>
    /// <param name="tokens">Tokens of this cluster.</param>
    /// <param name="hashes">Compares passwords.</param>
    /// <param name="logger">Takes what was refused.</param>
    /// <param name="time">For what is counted in the log; null: this machine's.</param>
    public Logins(IAccessControl access, Tokens tokens, PasswordHashes hashes, ILogger logger, TimeProvider? time = null)
    {
        (Access, Tokens, _hashes, _logger) = (access, tokens, hashes, logger);
        time ??= TimeProvider.System;
        _loginsTold = new EventLimit(time, MostTold, Span, count => ServerEvents.Access.MoreLoginsRefused(logger, count));
        _tokensTold = new EventLimit(time, MostTold, Span, count => ServerEvents.Access.MoreTokensRefused(logger, count));
        Strangers = new Strangers(1_000, TimeSpan.FromSeconds(60), time);
    }

    /// <summary>Connections that have not logged in.</summary>
    public Strangers Strangers { get; init; }

    /// <summary>The users that there are.</summary>
    public IAccessControl Access { get; }

    /// <summary>Tokens of this cluster.</summary>
    public Tokens Tokens { get; }

    /// <summary>Whether doors have to ask at all.</summary>
    public bool IsNeeded => Access.Access.IsEnabled;

    /// <summary>Whether somebody has to log in, and has not.</summary>
    public bool IsStranger(Caller caller) => Access.Access is { IsEnabled: true } view && caller.UserIn(view) is null;

    /// <summary>
    /// Logs a user in by a password. Throws <see cref="HengeException"/>: Unauthenticated, with the same words for a wrong name and a wrong
    /// password; ResourceExhausted; Unavailable.
    /// </summary>
    public async ValueTask<Login> ByPasswordAsync(string user, string password, EndPoint? from)
    {
        AccessView view = Access.Access;
        UserRecord? record = view.User(user);
        if (record is null && !view.IsKnown)
        {
            throw AccessCheck.NotKnown();
        }

        // Before anything is done with it: everybody can send one.
        if (password.Length is 0 or > PasswordHashes.MaxPasswordLength || user.Length > AccessNames.MaxLength)
        {
            throw Wrong(user, from);
        }

        string hash = record?.PasswordHash ?? "";
        string key = KeyOf(user, password, hash);
        if (record is not null && _right.TryGetValue(key, out _))
        {
            return new Login(user, record.Generation);
        }

        _limits.Check(user, from);
        if (!await _hashes.VerifyAsync(hash, password))
        {
            throw Wrong(user, from);
        }

        _right.Set(key, true, new MemoryCacheEntryOptions { Size = 1, AbsoluteExpirationRelativeToNow = Remembered });
        return new Login(user, record!.Generation);
    }

    /// <summary>Logs a user in by a token of this cluster. Throws <see cref="HengeException"/> (Unauthenticated).</summary>
    public async ValueTask<Login> ByTokenAsync(string token, EndPoint? from)
    {
        (Login? login, string problem) = await Tokens.ReadAsync(token);
        if (login is null)
        {
            if (_tokensTold.IsLogged())
            {
                ServerEvents.Access.TokenRefused(_logger, from?.ToString() ?? "", problem);
            }

            throw new HengeException(ErrorCode.Unauthenticated, problem);
        }

        return login;
    }

    /// <summary>
    /// Makes a change of users and roles, and says in the log who did, or asked for one that was not made. Throws
    /// <see cref="HengeException"/> as <see cref="IAccessControl.ChangeAccess"/> says.
    /// </summary>
    /// <param name="user">Who asks; null: nobody.</param>
    /// <param name="change">The change.</param>
    /// <param name="deadlineMs">When to give up, on the node's monotonic clock.</param>
    /// <param name="cancellation">Waits no longer.</param>
    public async Task ChangeAsync(string? user, AccessChange change, long deadlineMs, CancellationToken cancellation = default)
    {
        string code = nameof(ErrorCode.Cancelled);
        bool isMade = false;
        try
        {
            await Access.ChangeAsync(change, deadlineMs).WaitAsync(cancellation);
            isMade = true;
        }
        catch (HengeException e)
        {
            code = e.Code.ToString();
            throw;
        }
        finally
        {
            if (isMade)
            {
                ServerEvents.Access.Changed(_logger, user ?? "nobody", change.ToString());
            }
            else
            {
                ServerEvents.Access.ChangeFailed(_logger, user ?? "nobody", change.ToString(), code);
            }
        }
    }

    /// <summary>Says in the log that somebody may not make a change.</summary>
    public void TellRefused(string? user, string kind, string name, ErrorCode code) =>
        ServerEvents.Access.ChangeRefused(_logger, user ?? "nobody", kind, AccessNames.Shown(name), code.ToString());

    /// <summary>Says in the log that somebody may not make a call that only some may.</summary>
    public void TellCallRefused(string? user, string path, string remote, ErrorCode code) =>
        ServerEvents.Access.CallRefused(_logger, user ?? "nobody", path, remote, code.ToString());

    /// <summary>A hash of a new password.</summary>
    public Task<string> HashAsync(string password) => _hashes.HashAsync(password);

    /// <summary>Whether a password is that of a hash, for who may know.</summary>
    public Task<bool> IsRightAsync(string hash, string password) => _hashes.VerifyAsync(hash, password);

    /// <inheritdoc/>
    public void Dispose()
    {
        _loginsTold.Dispose();
        _tokensTold.Dispose();
        Strangers.Dispose();
        Tokens.Dispose();
        _hashes.Dispose();
        _limits.Dispose();
        _right.Dispose();
    }

    private HengeException Wrong(string user, EndPoint? from)
    {
        _limits.OnWrong(user.Length > AccessNames.MaxLength ? "" : user, from);
        if (_loginsTold.IsLogged())
        {
            ServerEvents.Access.LoginRefused(_logger, AccessNames.Shown(user), from?.ToString() ?? "");
        }

        return new HengeException(ErrorCode.Unauthenticated, "The user or the password is wrong.");
    }

    private string KeyOf(string user, string password, string hash) =>
        Convert.ToBase64String(HMACSHA256.HashData(_secret, Encoding.UTF8.GetBytes($"{user}\0{hash}\0{password}")));
}
