using Henge.Core;
using Henge.Node.Access;
using Microsoft.AspNetCore.Authentication;

namespace Henge.Server.Access;

/// <summary>
/// An OpenID Connect provider whose tokens are taken: their claim is the name of a user, which has to be one of this cluster and has its
/// roles here. Nobody is <c>root</c>, and no node, by somebody else's word. Immutable.
/// </summary>
/// <param name="Authority">Its address, below which <c>/.well-known/openid-configuration</c> is; empty: there is none.</param>
/// <param name="Audience">For whom its tokens have to be.</param>
/// <param name="UserClaim">The claim with the user's name.</param>
internal sealed record ExternalIssuer(string Authority, string Audience, string UserClaim)
{
    /// <summary>No issuer.</summary>
    public static ExternalIssuer None { get; } = new("", "", "");

    /// <summary>True when there is one.</summary>
    public bool IsSet => Authority.Length > 0;

    /// <summary>Whom a token stands for that was checked. Throws <see cref="HengeException"/> (Unauthenticated).</summary>
    public Login LoginOf(AuthenticateResult result)
    {
        if (!result.Succeeded)
        {
            // Not the reason: it may quote the token.
            throw new HengeException(ErrorCode.Unauthenticated, $"The token is no good one of {Authority} for {Audience}.");
        }

        string name = result.Principal.FindFirst(UserClaim)?.Value ?? "";
        if (AccessNames.Check("user", name) is not null || name == AccessNames.Root)
        {
            throw new HengeException(
                ErrorCode.Unauthenticated,
                $"The token's claim {UserClaim} is no name that a user can have who is known by another issuer.");
        }

        long expires = result.Properties?.ExpiresUtc?.ToUnixTimeMilliseconds() ?? 0;
        return new Login(name, ExpiresAtUnixMs: expires);
    }
}
