using Henge.Client.Transport;
using Wire = Henge.Protocol.V1;

namespace Henge.Client;

// Users, roles, and who may do what.
public sealed partial class HengeClient
{
    // What nodes take.
    private static readonly TimeSpan MostTokenTime = TimeSpan.FromDays(366);

    /// <summary>
    /// Whether access is checked, who calls, and which users and roles there are: all of them for a user with the permission admin, else
    /// the caller and its own roles.
    /// </summary>
    public Task<Wire.AccessReadResponse> AccessAsync(CancellationToken cancellationToken = default) =>
        AskAsync(NodeCalls.ReadAccess, new Wire.AccessReadRequest(), null, cancellationToken);

    /// <summary>
    /// Changes users, roles, or whether access is checked, by any node. Takes the permission admin, but for the caller's own password.
    /// </summary>
    /// <exception cref="PermissionDeniedException">The caller may not do that.</exception>
    public Task ChangeAccessAsync(Wire.AccessChangeRequest change, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(change);
        ThrowIfDisposed();

        // Each change says how it is to be: asked for again it finds that it is so.
        return _runner.RunAsync(NodeCalls.ChangeAccess, change, default, repeatable: true, deadline: null, cancellationToken);
    }

    /// <summary>A token by which its bearer is a user for a while. Keep it as a password is kept.</summary>
    /// <param name="user">The user; null: the caller. Others than the caller take the permission admin.</param>
    /// <param name="timeToLive">How long it is good, at most 366 days; null: an hour.</param>
    /// <param name="cancellationToken">The end.</param>
    public Task<Wire.CreateTokenResponse> CreateTokenAsync(
        string? user = null,
        TimeSpan? timeToLive = null,
        CancellationToken cancellationToken = default)
    {
        if (timeToLive is { } time && (time < TimeSpan.FromMilliseconds(1) || time > MostTokenTime))
        {
            throw new ArgumentOutOfRangeException(
                nameof(timeToLive),
                time,
                "A token is good for at least a millisecond and at most 366 days.");
        }

        Wire.CreateTokenRequest request = new() { User = user ?? "", TtlMs = (ulong)(timeToLive?.TotalMilliseconds ?? 0) };
        return AskAsync(NodeCalls.CreateToken, request, null, cancellationToken);
    }
}
