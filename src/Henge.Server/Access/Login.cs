using Henge.Node.Access;

namespace Henge.Server.Access;

/// <summary>That somebody has proved to be a user, and for how long that counts. Immutable.</summary>
/// <param name="User">The user.</param>
/// <param name="Generation">
/// That of the user's logins when it was proved by a password or a token of this cluster; null: by a certificate or another issuer's token,
/// which this cluster cannot take back.
/// </param>
/// <param name="ExpiresAtUnixMs">When it ends, in Unix milliseconds; 0: with the connection.</param>
/// <param name="IsNode">It is a node of the cluster.</param>
internal sealed record Login(string User, ulong? Generation = null, long ExpiresAtUnixMs = 0, bool IsNode = false)
{
    /// <summary>The user; null when the login counts no more.</summary>
    /// <param name="view">The users that there are.</param>
    public string? UserIn(AccessView view) =>
        ExpiresAtUnixMs != 0 && DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() >= ExpiresAtUnixMs ? null
        : Generation is { } generation && view.User(User)?.Generation != generation ? null
        : User;
}
