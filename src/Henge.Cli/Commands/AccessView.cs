using Henge.Cli.Context;
using Henge.Client;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary>What a cluster tells of its users and roles.</summary>
internal static class AccessView
{
    /// <summary>Reads it, and says on standard error when it is not all.</summary>
    public static async Task<Wire.AccessReadResponse> ReadAllAsync(
        CliContext context,
        HengeClient client,
        CancellationToken cancellationToken)
    {
        Wire.AccessReadResponse access = await client.AccessAsync(cancellationToken).ConfigureAwait(false);
        if (!access.Complete)
        {
            context.Error.WriteLine(
                $"henge: shown is what is of {(access.You.Length > 0 ? access.You : "nobody")}; more takes the permission admin.");
        }

        return access;
    }

    /// <summary>
    /// What there is not. Who does not see all of it is not told that it is not there (<see cref="HengeException"/>, PermissionDenied).
    /// </summary>
    public static string NotFound(Wire.AccessReadResponse access, string what, string name) => access.Complete
        ? $"henge: there is no {what} {name}."
        : throw new HengeException(ErrorCode.PermissionDenied, $"To see the {what} {name} takes the permission admin.");
}
