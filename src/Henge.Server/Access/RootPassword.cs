using Henge.Core;
using Henge.Node.Access;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Access;

/// <summary>
/// Gives the user <c>root</c> the password of a file when a node starts (docs/access.md, "When nobody gets in"): the way back for who has
/// lost all passwords and can start a node of the cluster, and a way to set a cluster up without a person at a terminal.
/// </summary>
internal static class RootPassword
{
    private const long PatienceMs = 10_000;
    private const int MostFileBytes = 8 * 1024;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The password in a file: its first line. Throws <see cref="HengeException"/> (Misconfigured) with what to do: no such file, one that
    /// others can read, one that holds no password.
    /// </summary>
    public static string Read(string path)
    {
        try
        {
            KeyFile.CheckMode(path, "password");
            using FileStream file = File.OpenRead(path);
            byte[] bytes = new byte[MostFileBytes + 1];
            int length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            string password = System.Text.Encoding.UTF8.GetString(bytes, 0, length).Split('\n')[0].TrimEnd('\r');
            return length <= MostFileBytes && password.Length is >= PasswordHashes.MinPasswordLength and <= PasswordHashes.MaxPasswordLength
                ? password
                : throw new HengeException(
                    ErrorCode.Misconfigured,
                    $"The file {path} of root-password-file holds no password: its first line must have "
                        + $"{PasswordHashes.MinPasswordLength} to {PasswordHashes.MaxPasswordLength} characters.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new HengeException(ErrorCode.Misconfigured, $"The file of root-password-file cannot be read: {e.Message}", e);
        }
    }

    /// <summary>
    /// Sets it as soon as the cluster's catalog can be changed, and tries until then. Does nothing when it is so already, so that a start
    /// with the same file ends nobody's login.
    /// </summary>
    /// <param name="logins">The users that there are.</param>
    /// <param name="password">The password.</param>
    /// <param name="nowMs">The node's monotonic clock.</param>
    /// <param name="logger">Takes what came of it.</param>
    /// <param name="stopping">The node stops.</param>
    public static async Task SetAsync(
        Logins logins,
        string password,
        Func<long> nowMs,
        ILogger logger,
        CancellationToken stopping)
    {
        try
        {
            string? hash = null, told = null;
            for (; !stopping.IsCancellationRequested; await Task.Delay(Pause, stopping))
            {
                try
                {
                    UserRecord? root = logins.Access.Access.User(AccessNames.Root);
                    if (root is not null && await logins.IsRightAsync(root.PasswordHash, password))
                    {
                        return;
                    }

                    hash ??= await logins.HashAsync(password);
                    AccessChange change = new()
                    {
                        Kind = root is null ? AccessChangeKind.AddUser : AccessChangeKind.SetPassword,
                        Name = AccessNames.Root,
                        PasswordHash = hash,
                    };
                    await logins.Access.ChangeAsync(change, nowMs() + PatienceMs).WaitAsync(stopping);
                    ServerEvents.Access.RootPasswordSet(logger);
                    return;
                }
                catch (HengeException e)
                {
                    // No majority yet; or what this node knew of root was old.
                    if (told != e.Message)
                    {
                        told = e.Message;
                        ServerEvents.Access.RootPasswordNotSet(logger, e.Message);
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The node stops.
        }
    }
}
