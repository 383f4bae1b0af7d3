using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Context;
using Henge.Node.StateMachine;

namespace Henge.Node.Catalog;

/// <summary>
/// The changes of users, roles and of whether access is checked, as steps (<see cref="CatalogStep"/>): functions of what a node has
/// applied. All of them write the revision anew, on the condition that it is as it was seen: so no two of them are done at once, and
/// whoever has seen a revision has seen all changes before it.
/// </summary>
/// <param name="view">What is applied.</param>
/// <param name="bugs">Deliberate bugs, for the simulator.</param>
internal sealed class AccessChanges(AccessView view, NodeBugs bugs = NodeBugs.None)
{
    /// <summary>Makes a change; says again what stands already as done.</summary>
    /// <param name="change">The change.</param>
    /// <param name="isRepeated">
    /// It was tried before. What it wants gone or there may then be so by itself, which is no mistake of whoever asked for it.
    /// </param>
    public CatalogStep Next(AccessChange change, bool isRepeated = false) => change.Kind switch
    {
        AccessChangeKind.AddUser => AddUser(change),
        AccessChangeKind.SetPassword => Update(change.Name, user =>
            user.PasswordHash == change.PasswordHash ? user : Later(user, change) with { PasswordHash = change.PasswordHash }),
        AccessChangeKind.RevokeTokens => Update(change.Name, user => user.Generation >= change.Generation ? user : Later(user, change)),
        AccessChangeKind.DeleteUser => DeleteUser(change),
        AccessChangeKind.AddRole => AddRole(change, isRepeated),
        AccessChangeKind.DeleteRole => DeleteRole(change),
        AccessChangeKind.GrantRole => GrantRole(change),
        AccessChangeKind.RevokeRole => RevokeRole(change),
        AccessChangeKind.Grant => GrantPermission(change),
        AccessChangeKind.Revoke => RevokePermission(change, isRepeated),
        AccessChangeKind.Enable => Enable(change),
        AccessChangeKind.RotateKey => RotateKey(change),
        AccessChangeKind.Disable => view.IsEnabled ? Write(static txn => Delete(txn, AccessView.EnabledKey)) : CatalogStep.Done,
        _ => Refuse("There is no such change. Is the command line newer than the node?"),
    };

    private CatalogStep AddUser(AccessChange change)
    {
        if (AccessNames.Check("user", change.Name) is { } problem)
        {
            return Refuse(problem);
        }

        if (view.HasUser(change.Name))
        {
            return view.User(change.Name) is { } there && there.PasswordHash == change.PasswordHash
                ? CatalogStep.Done
                : Refuse($"There is a user '{change.Name}' already. Change its password with henge user passwd.");
        }

        return view.Users.Count() >= AccessNames.Most
            ? Refuse($"The cluster has {AccessNames.Most} users, which are as many as it can have.")
            : Put(new UserRecord(change.Name, change.PasswordHash, []) { Generation = change.Generation });
    }

    private CatalogStep DeleteUser(AccessChange change) =>
        !view.HasUser(change.Name) ? CatalogStep.Done
        : change.Name == AccessNames.Root && view.IsEnabled ? Refuse(
            $"'{AccessNames.Root}' cannot be deleted while access is checked: nobody could give it back. Say henge auth disable first.")
        : Write(txn => Delete(txn, AccessView.UserPrefix + change.Name));

    private CatalogStep AddRole(AccessChange change, bool isRepeated) =>
        AccessNames.Check("role", change.Name) is { } problem ? Refuse(problem)
        : view.HasRole(change.Name) ? isRepeated || view.Role(change.Name) is { Grants.Count: 0 }
            ? CatalogStep.Done
            : Refuse($"There is a role '{change.Name}' already.")
        : view.Roles.Count() >= AccessNames.Most
            ? Refuse($"The cluster has {AccessNames.Most} roles, which are as many as it can have.")
        : Put(new RoleRecord(change.Name, []));

    // Those who have it lose it with the same change: a role that is made later under its name is not given to them.
    private CatalogStep DeleteRole(AccessChange change) =>
        !view.HasRole(change.Name) ? CatalogStep.Done : Write(txn =>
        {
            Delete(txn, AccessView.RolePrefix + change.Name);
            foreach (UserRecord user in view.Users.Where(u => u.Roles.Contains(change.Name)))
            {
                Put(txn, user with { Roles = [.. user.Roles.Where(r => r != change.Name)] });
            }
        });

    private CatalogStep GrantRole(AccessChange change) =>
        !view.HasRole(change.Role) ? NoRole(change.Role) : Update(change.Name, user =>
            user.Roles.Contains(change.Role) ? user
            : user.Roles.Count >= AccessNames.MostOfOne ? null
            : user with { Roles = [.. user.Roles, change.Role] });

    private CatalogStep RevokeRole(AccessChange change) =>
        Update(change.Name, user =>
            user.Roles.Contains(change.Role) ? user with { Roles = [.. user.Roles.Where(r => r != change.Role)] } : user);

    private CatalogStep GrantPermission(AccessChange change)
    {
        if (view.Role(change.Name) is not { } role)
        {
            return NoRole(change.Name);
        }

        bool isAdmin = (change.Permissions & Permissions.Admin) != 0;
        if (change.Permissions is Permissions.None or > (Permissions)15 || change.Range.IsEmpty
            || (isAdmin && (change.Permissions != Permissions.Admin || change.Range != KeyRange.All)))
        {
            return Refuse(
                "A grant is of read, write or watch on keys that there can be, or of admin by itself and without keys.");
        }

        Grant[] others = [.. role.Grants.Where(g => g.Range != change.Range || IsOfAdmin(g) != isAdmin)];
        Grant? same = role.Grants.FirstOrDefault(g => g.Range == change.Range && IsOfAdmin(g) == isAdmin);
        Permissions wanted = change.Permissions | (same?.Permissions ?? Permissions.None);
        return same?.Permissions == wanted ? CatalogStep.Done
            : others.Length >= AccessNames.MostOfOne
                ? Refuse($"The role '{change.Name}' has {AccessNames.MostOfOne} grants, which are as many as it can have.")
            : Put(role with { Grants = [.. others, new Grant(wanted, change.Range)] });
    }

    private CatalogStep RevokePermission(AccessChange change, bool isRepeated)
    {
        if (view.Role(change.Name) is not { } role)
        {
            return NoRole(change.Name);
        }

        Grant[] left =
        [
            .. role.Grants
                .Select(g => g.Range == change.Range ? g with { Permissions = g.Permissions & ~change.Permissions } : g)
                .Where(static g => g.Permissions != Permissions.None),
        ];
        return left.SequenceEqual(role.Grants)
            ? !isRepeated && role.Grants.Any(g => (g.Permissions & change.Permissions) != 0)
                ? Refuse(
                    $"The role '{change.Name}' has no such grant on {change.Range}. It has: "
                        + $"{string.Join("; ", role.Grants.Select(Text))}.")
                : CatalogStep.Done
            : Put(role with { Grants = left });
    }

    private CatalogStep Enable(AccessChange change) =>
        view.IsEnabled ? CatalogStep.Done
        : view.User(AccessNames.Root) is null ? Refuse(
            $"There is no user '{AccessNames.Root}' yet, and nobody could change anything any more. Say henge user add {AccessNames.Root} "
                + "first.")
        : Write(txn =>
        {
            Put(txn, AccessView.EnabledKey, "1");
            if (view.SigningKey.IsEmpty && !change.SigningKey.IsEmpty)
            {
                Put(txn, AccessView.SigningKeyKey, Convert.ToHexString(change.SigningKey.Span));
            }
        });

    private CatalogStep RotateKey(AccessChange change) =>
        change.SigningKey.IsEmpty ? Refuse("There is no key to sign tokens with.")
        : view.SigningKey.Span.SequenceEqual(change.SigningKey.Span) ? CatalogStep.Done
        : Write(txn => Put(txn, AccessView.SigningKeyKey, Convert.ToHexString(change.SigningKey.Span)));

    private static UserRecord Later(UserRecord user, AccessChange change) =>
        user with { Generation = Math.Max(user.Generation + 1, change.Generation) };

    private CatalogStep Update(string name, Func<UserRecord, UserRecord?> change)
    {
        if (view.User(name) is not { } user)
        {
            return Refuse($"There is no user '{name}'.");
        }

        return change(user) is not { } after
            ? Refuse($"The user '{name}' has {AccessNames.MostOfOne} roles, which are as many as it can have.")
            : after == user ? CatalogStep.Done
            : Put(after);
    }

    private static CatalogStep NoRole(string name) => Refuse($"There is no role '{name}'.");

    private static CatalogStep Refuse(string message) => CatalogStep.Refuse(ErrorCode.InvalidArgument, message);

    private static bool IsOfAdmin(Grant grant) => grant.Permissions == Permissions.Admin;

    private static string Text(Grant grant) => $"{grant.Permissions} on {grant.Range}".ToLowerInvariant();

    private CatalogStep Put(UserRecord user) => Write(txn => Put(txn, user));

    private CatalogStep Put(RoleRecord role) =>
        Write(txn => Put(txn, AccessView.RolePrefix + role.Name, role.ToText()));

    private CatalogStep Write(Action<TxnBuilder> what)
    {
        var txn = new TxnBuilder();
        byte[] revision = Encoding.UTF8.GetBytes(AccessView.RevisionKey);
        if (bugs.LosesAccessChanges)
        {
            // Whoever comes last wins.
        }
        else if (view.Revision.IsZero)
        {
            txn.CompareExistence(revision, exists: false);
        }
        else
        {
            txn.CompareVersion(revision, CompareRelation.Equal, view.Revision);
        }

        what(txn);
        Put(txn, AccessView.RevisionKey, "1");
        return CatalogStep.Write(txn);
    }

    private static void Put(TxnBuilder txn, UserRecord user) => Put(txn, AccessView.UserPrefix + user.Name, user.ToText());

    private static void Put(TxnBuilder txn, string key, string value)
    {
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Put(command, Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes(value), new PutOptions());
        txn.Then.Add(command.WrittenSpan);
    }

    private static void Delete(TxnBuilder txn, string key)
    {
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Delete(command, Encoding.UTF8.GetBytes(key));
        txn.Then.Add(command.WrittenSpan);
    }
}
