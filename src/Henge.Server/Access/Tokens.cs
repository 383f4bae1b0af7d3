using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Henge.Core;
using Henge.Node.Access;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Henge.Server.Access;

/// <summary>
/// Tokens of this cluster: JSON Web Tokens (RFC 7519) that are signed with the catalog's key (HMAC-SHA-256) and name the cluster, the user
/// and the generation of its logins. They end with their time, with the user's next password, when they are revoked, and with the key.
/// Thread-safe.
/// </summary>
/// <remarks>
/// A token that was right is remembered, under a keyed hash of it, so that a request with one does not cost its parsing and its signature
/// each time. What can end it is looked at every time: the key, its end and its user's generation.
/// </remarks>
internal sealed class Tokens(IAccessControl access, Func<string> clusterId, TimeProvider time) : IDisposable
{
    /// <summary>The longest that a token is good.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(366);

    private const string GenerationClaim = "gen";
    private const int MostCharacters = 4 * 1024;
    private static readonly TimeSpan OfNodes = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(5);
    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false };
    private readonly MemoryCache _right = new(new MemoryCacheOptions { SizeLimit = MostRemembered });
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);

    /// <summary>The most tokens that are remembered.</summary>
    public const int MostRemembered = 4096;

    /// <summary>The issuer that such tokens name.</summary>
    public string Issuer => "henge:" + clusterId();

    /// <summary>A token for a user. Throws <see cref="HengeException"/> (InvalidArgument, Unavailable).</summary>
    public (string Token, DateTimeOffset Expires) Create(string user, TimeSpan lifetime)
    {
        if (lifetime <= TimeSpan.Zero || lifetime > Longest)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"A token is good for at most {Longest.TotalDays:0} days.");
        }

        AccessView view = access.Access;
        UserRecord record = view.User(user)
            ?? throw new HengeException(ErrorCode.InvalidArgument, $"There is no user '{user}' in this cluster.");
        return Sign(view, user, record.Generation, lifetime);
    }

    /// <summary>A token by which nodes of a cluster without TLS know each other; null while access is not checked.</summary>
    public string? CreateForNode()
    {
        AccessView view = access.Access;
        return view is { IsEnabled: true, SigningKey.IsEmpty: false } ? Sign(view, AccessNames.Node, 0, OfNodes).Token : null;
    }

    /// <summary>Whether a token says that it is of this kind; else another issuer's is asked.</summary>
    public bool IsOwn(string token)
    {
        try
        {
            return token.Length <= MostCharacters && _handler.CanReadToken(token)
                && _handler.ReadJsonWebToken(token).Issuer.StartsWith("henge:", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or JsonException or SecurityTokenException)
        {
            // The library looks at the signs first, and at what they mean only when it reads them.
            return false;
        }
    }

    /// <summary>Whom a token stands for; null, with the reason, when it is no good.</summary>
    public ValueTask<(Login? Login, string Problem)> ReadAsync(string token)
    {
        AccessView view = access.Access;
        if (view.SigningKey.IsEmpty || token.Length > MostCharacters)
        {
            return ValueTask.FromResult<(Login?, string)>((null, "The token is not one of this cluster."));
        }

        string key = KeyOf(token);
        return _right.TryGetValue(key, out Right? right) && IsStillGood(right!, view)
            ? ValueTask.FromResult<(Login?, string)>((right!.Login, ""))
            : new ValueTask<(Login?, string)>(ValidateAsync(token, key, view));
    }

    /// <inheritdoc/>
    public void Dispose() => _right.Dispose();

    private bool IsStillGood(Right right, AccessView view) =>
        right.SigningKey.Span.SequenceEqual(view.SigningKey.Span)
        && right.Login.ExpiresAtUnixMs > time.GetUtcNow().ToUnixTimeMilliseconds()
        && (right.Login.IsNode || view.User(right.Login.User)?.Generation == right.Login.Generation);

    private string KeyOf(string token)
    {
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(_secret, Encoding.UTF8.GetBytes(token), hash);
        return Convert.ToBase64String(hash);
    }

    private async Task<(Login? Login, string Problem)> ValidateAsync(string token, string key, AccessView view)
    {
        TokenValidationResult read = await _handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = Issuer,
            ValidAudience = Issuer,
            ValidAlgorithms = [SecurityAlgorithms.HmacSha256],
            IssuerSigningKey = new SymmetricSecurityKey(view.SigningKey.ToArray()),
            RequireExpirationTime = true,
            ClockSkew = TimeSpan.Zero,
            LifetimeValidator = (_, expires, _, _) => expires is { } end && end > time.GetUtcNow().UtcDateTime,
        });
        if (!read.IsValid || read.SecurityToken is not JsonWebToken jwt)
        {
            return (null, read.Exception is SecurityTokenInvalidLifetimeException
                ? "The token has expired. Get another one with: henge user token"
                : "The token is not one of this cluster, or was signed with a key that is no longer in force.");
        }

        string user = jwt.Subject;
        if (!jwt.TryGetPayloadValue(GenerationClaim, out string text)
            || !ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong generation))
        {
            return (null, "The token is not one of this cluster.");
        }

        long expiresAt = new DateTimeOffset(jwt.ValidTo, TimeSpan.Zero).ToUnixTimeMilliseconds();
        Login login = user == AccessNames.Node
            ? new Login(user, ExpiresAtUnixMs: expiresAt, IsNode: true)
            : new Login(user, generation, expiresAt);
        if (!login.IsNode && view.User(user)?.Generation != generation)
        {
            return (null, "The token was revoked. Get another one with: henge user token");
        }

        _right.Set(key, new Right(login, view.SigningKey), new MemoryCacheEntryOptions { Size = 1, SlidingExpiration = Remembered });
        return (login, "");
    }

    private (string Token, DateTimeOffset Expires) Sign(AccessView view, string user, ulong generation, TimeSpan lifetime)
    {
        if (view.SigningKey.IsEmpty)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                "This cluster has no key to sign tokens with: access was never checked. Say henge auth enable first.");
        }

        DateTimeOffset now = time.GetUtcNow(), expires = now + lifetime;
        string token = _handler.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Issuer,
            Audience = Issuer,
            IssuedAt = now.UtcDateTime,
            NotBefore = now.UtcDateTime,
            Expires = expires.UtcDateTime,
            Claims = new Dictionary<string, object>
            {
                [JwtRegisteredClaimNames.Sub] = user,
                [GenerationClaim] = generation.ToString(CultureInfo.InvariantCulture),
            },
            SigningCredentials = new SigningCredentials(
                new SymmetricSecurityKey(view.SigningKey.ToArray()),
                SecurityAlgorithms.HmacSha256),
        });
        return (token, expires);
    }

    private sealed record Right(Login Login, ReadOnlyMemory<byte> SigningKey);
}
