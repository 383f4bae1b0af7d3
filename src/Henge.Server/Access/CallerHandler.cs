using System.Net;
using System.Security.Claims;
using System.Text;
using System.Text.Encodings.Web;
using Henge.Core;
using Henge.Server.Tls;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Henge.Server.Access;

/// <summary>
/// Who makes an HTTP request or a gRPC call, as a scheme of ASP.NET Core's authentication: by <c>Authorization: Basic</c> (RFC 7617) or
/// <c>Bearer</c> (RFC 6750), else by the certificate of its connection. What a request says counts for more than its connection: so a
/// gateway with a certificate acts for whoever it passes on (CVE-2018-16886).
/// </summary>
internal sealed class CallerHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options,
    ILoggerFactory logging,
    UrlEncoder encoder,
    Logins logins,
    ExternalIssuer external)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logging, encoder)
{
    /// <summary>The scheme's name.</summary>
    public const string Name = "Henge";

    private const string Basic = "Basic ";
    private const string Bearer = "Bearer ";

    /// <inheritdoc/>
    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        StringValues header = Request.Headers.Authorization;
        try
        {
            Login? login = header.Count switch
            {
                0 => ByCertificate(ConnectionIdentity.Of(Context.Features)),
                1 => await ByHeaderAsync(header[0] ?? ""),
                _ => throw Wrong("There are several Authorization headers, and it is not clear which one counts."),
            };
            if (login is null)
            {
                return AuthenticateResult.NoResult();
            }

            Context.Features.Set(new Caller(login));
            ClaimsIdentity identity = new([new Claim(ClaimTypes.Name, login.User)], Name);
            return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Name));
        }
        catch (HengeException e)
        {
            return AuthenticateResult.Fail(e);
        }
    }

    /// <summary>Whom a certificate stands for; null: nobody.</summary>
    public static Login? ByCertificate(ConnectionIdentity identity) =>
        identity.IsNode ? new Login(Henge.Node.Access.AccessNames.Node, IsNode: true)
        : identity.User is { } user ? new Login(user)
        : null;

    private async ValueTask<Login> ByHeaderAsync(string header)
    {
        EndPoint? from = Context.Connection.RemoteIpAddress is { } address
            ? new IPEndPoint(address, Context.Connection.RemotePort)
            : null;
        if (header.StartsWith(Basic, StringComparison.OrdinalIgnoreCase))
        {
            (string user, string password) = Decode(header[Basic.Length..].Trim());
            return await logins.ByPasswordAsync(user, password, from);
        }

        if (!header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
        {
            throw Wrong("The Authorization header is neither Basic nor Bearer.");
        }

        string token = header[Bearer.Length..].Trim();
        return external.IsSet && !logins.Tokens.IsOwn(token)
            ? external.LoginOf(await Context.AuthenticateAsync(JwtBearerDefaults.AuthenticationScheme))
            : await logins.ByTokenAsync(token, from);
    }

    /// <summary>What stands behind <c>Basic</c>. Throws <see cref="HengeException"/> (Unauthenticated).</summary>
    internal static (string User, string Password) Decode(string encoded)
    {
        byte[] bytes = new byte[encoded.Length];
        if (encoded.Length <= 8 * 1024 && Convert.TryFromBase64String(encoded, bytes, out int length))
        {
            string both = Encoding.UTF8.GetString(bytes, 0, length);
            int colon = both.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0)
            {
                return (both[..colon], both[(colon + 1)..]);
            }
        }

        throw Wrong("The Authorization header is not Basic and, in base64, user:password.");
    }

    private static HengeException Wrong(string message) => new(ErrorCode.Unauthenticated, message);
}
