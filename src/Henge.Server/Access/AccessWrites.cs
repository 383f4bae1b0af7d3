using Henge.Node.Access;

namespace Henge.Server.Access;

/// <summary>Changes of users and roles, as doors ask for them.</summary>
internal static class AccessWrites
{
    /// <summary>
    /// Makes a change; a user that it is about gets a generation of logins that it has not had. Throws
    /// <see cref="Henge.Core.HengeException"/>.
    /// </summary>
    /// <param name="access">The cluster's users and roles.</param>
    /// <param name="change">What is wanted.</param>
    /// <param name="deadlineMs">When to give up, on the node's monotonic clock.</param>
    public static Task ChangeAsync(this IAccessControl access, AccessChange change, long deadlineMs)
    {
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ulong now = (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        change = change with { Generation = Math.Max(now, (access.Access.User(change.Name)?.Generation ?? 0) + 1) };
        access.ChangeAccess(change, deadlineMs, problem =>
        {
            if (problem is null)
            {
                ended.SetResult();
            }
            else
            {
                ended.SetException(problem);
            }
        });
        return ended.Task;
    }
}
