using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Server.Access;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// ACL WHOAMI, LIST, USERS, GETUSER, CAT, SETUSER and DELUSER, over the cluster's users and roles. What SETUSER allows becomes a role of
/// the user's own, <c>acl-NAME</c>: categories are permissions, key patterns are exact keys and prefixes.
/// </summary>
internal static class AclCommand
{
    private const string RolePrefix = "acl-";
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);
    private static readonly string[] Known = ["CAT", "DELUSER", "GETUSER", "LIST", "SETUSER", "USERS", "WHOAMI"];

    public static async ValueTask RunAsync(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        string? error = arguments.Text(1).ToUpperInvariant() switch
        {
            "WHOAMI" when arguments.Count == 2 => WhoAmI(connection, writer),
            "CAT" when arguments.Count == 2 => Cat(writer),
            "USERS" when arguments.Count == 2 => List(connection, writer, static (_, u) => u.Name),
            "LIST" when arguments.Count == 2 => List(connection, writer, Describe),
            "GETUSER" when arguments.Count == 3 => GetUser(connection, arguments.Text(2), writer),
            "SETUSER" when arguments.Count >= 3 => await SetUserAsync(connection, arguments, writer),
            "DELUSER" when arguments.Count >= 3 => await DeleteUsersAsync(connection, arguments, writer),
            _ => RespErrors.Subcommand(arguments, "acl", Known),
        };
        if (error is not null)
        {
            writer.Error(error);
        }
    }

    private static string? WhoAmI(RespConnection connection, RespWriter writer)
    {
        writer.Bulk(connection.User ?? "default");
        return null;
    }

    private static string? Cat(RespWriter writer)
    {
        string[] categories = ["read", "write", "pubsub", "admin", "all"];
        writer.Array(categories.Length);
        foreach (string category in categories)
        {
            writer.Bulk(category);
        }

        return null;
    }

    private static string? List(RespConnection connection, RespWriter writer, Func<AccessView, UserRecord, string> text)
    {
        if (Refuse(connection, out AccessView view) is { } problem)
        {
            return problem;
        }

        UserRecord[] users = [.. view.Users];
        writer.Array(users.Length);
        foreach (UserRecord user in users)
        {
            writer.Bulk(text(view, user));
        }

        return null;
    }

    private static string? GetUser(RespConnection connection, string name, RespWriter writer)
    {
        AccessView view = connection.Services.Logins?.Access.Access ?? AccessView.None;
        if (name != connection.User && Refuse(connection, out view) is { } problem)
        {
            return problem;
        }

        if (view.User(name) is not { } user)
        {
            writer.Null();
            return null;
        }

        Grant[] grants = GrantsOf(view, user);
        writer.Map(6);
        writer.Bulk("flags");
        writer.Set(1);
        writer.Bulk("on");
        writer.Bulk("passwords");
        writer.Array(0);
        writer.Bulk("commands");
        writer.Bulk(Commands(view, user, grants));
        writer.Bulk("keys");
        writer.Bulk(Keys(view, user, grants));
        writer.Bulk("channels");
        writer.Bulk("");
        writer.Bulk("roles");
        writer.Array(user.Roles.Count);
        foreach (string role in user.Roles)
        {
            writer.Bulk(role);
        }

        return null;
    }

    // ACL SETUSER name [on] [resetpass] [>password] [~pattern | %R~pattern | %W~pattern | allkeys]... [+@category | +@all]...
    private static async ValueTask<string?> SetUserAsync(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (Refuse(connection, out AccessView view, arguments) is { } refused)
        {
            return refused;
        }

        string name = arguments.Text(2), role = RolePrefix + name;
        Permissions allowed = Permissions.None;
        List<(KeyRange Range, Permissions Most)> ranges = [];
        string? password = null;
        bool isAdmin = false, hasNoPassword = false, isReset = false;
        for (int i = 3; i < arguments.Count; i++)
        {
            string rule = arguments.Text(i);
            switch (rule)
            {
                case "on":
                    break;
                case "resetpass":
                    hasNoPassword = true;
                    break;
                case "reset" or "resetkeys" or "nocommands" or "-@all":
                    isReset = true;
                    break;
                case "+@read":
                    allowed |= Permissions.Read;
                    break;
                case "+@write":
                    allowed |= Permissions.Write;
                    break;
                case "+@pubsub":
                    allowed |= Permissions.Watch;
                    break;
                case "+@all" or "allcommands":
                    allowed |= Permissions.Read | Permissions.Write | Permissions.Watch;
                    break;
                case "+@admin":
                    isAdmin = true;
                    break;
                case "allkeys" or "~*":
                    ranges.Add((KeyRange.All, (Permissions)7));
                    break;
                default:
                    if (rule.StartsWith('>'))
                    {
                        password = rule[1..];
                    }
                    else if (RangeOf(rule) is { } range)
                    {
                        ranges.Add(range);
                    }
                    else
                    {
                        return $"ERR Error in ACL SETUSER modifier '{(rule.StartsWith('>') ? ">" : rule)}': not known here. There are on, "
                            + "resetpass, >password, resetkeys, ~key, ~prefix*, %R~, %W~, allkeys, +@read, +@write, +@pubsub, +@admin and "
                            + "+@all.";
                    }

                    break;
            }
        }

        if ((ranges.Count == 0) != (allowed == Permissions.None))
        {
            return "ERR ACL SETUSER here takes keys and categories together: what is allowed is one grant for each key pattern.";
        }

        try
        {
            string hash = password is null ? "" : await connection.Services.Logins!.HashAsync(password);
            bool isThere = view.User(name) is not null;
            if (!isThere)
            {
                await ChangeAsync(connection, new() { Kind = AccessChangeKind.AddUser, Name = name, PasswordHash = hash });
            }
            else if (password is not null || hasNoPassword)
            {
                await ChangeAsync(connection, new() { Kind = AccessChangeKind.SetPassword, Name = name, PasswordHash = hash });
            }

            if (isReset)
            {
                await ChangeAsync(connection, new() { Kind = AccessChangeKind.DeleteRole, Name = role });
            }

            if (ranges.Count > 0 || isAdmin)
            {
                await GrantAsync(connection, name, role, ranges, allowed, isAdmin);
            }

            writer.Ok();
            return null;
        }
        catch (HengeException e)
        {
            return RespErrors.Of(e.Code, e.Message);
        }
    }

    private static async ValueTask GrantAsync(
        RespConnection connection,
        string name,
        string role,
        List<(KeyRange Range, Permissions Most)> ranges,
        Permissions allowed,
        bool isAdmin)
    {
        if (connection.Services.Logins!.Access.Access.Role(role) is null)
        {
            await ChangeAsync(connection, new() { Kind = AccessChangeKind.AddRole, Name = role });
        }

        foreach ((KeyRange range, Permissions most) in ranges)
        {
            if ((allowed & most) != Permissions.None)
            {
                await ChangeAsync(
                    connection,
                    new() { Kind = AccessChangeKind.Grant, Name = role, Permissions = allowed & most, Range = range });
            }
        }

        if (isAdmin)
        {
            await ChangeAsync(connection, new() { Kind = AccessChangeKind.Grant, Name = role, Permissions = Permissions.Admin });
        }

        await ChangeAsync(connection, new() { Kind = AccessChangeKind.GrantRole, Name = name, Role = role });
    }

    private static async ValueTask<string?> DeleteUsersAsync(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (Refuse(connection, out AccessView view, arguments) is { } refused)
        {
            return refused;
        }

        try
        {
            int deleted = 0;
            for (int i = 2; i < arguments.Count; i++)
            {
                string name = arguments.Text(i);
                deleted += view.User(name) is null ? 0 : 1;
                await ChangeAsync(connection, new() { Kind = AccessChangeKind.DeleteUser, Name = name });
                await ChangeAsync(connection, new() { Kind = AccessChangeKind.DeleteRole, Name = RolePrefix + name });
            }

            writer.Integer(deleted);
            return null;
        }
        catch (HengeException e)
        {
            return RespErrors.Of(e.Code, e.Message);
        }
    }

    private static async ValueTask ChangeAsync(RespConnection connection, AccessChange change)
    {
        await connection.Services.Logins!.ChangeAsync(
            connection.User,
            change,
            connection.Node.MonotonicMs + (long)Longest.TotalMilliseconds);
    }

    // Without access being checked everybody may, as over gRPC.
    private static string? Refuse(RespConnection connection, out AccessView view, RespArguments? change = null)
    {
        view = connection.Services.Logins?.Access.Access ?? AccessView.None;
        if (connection.Services.Logins is not { } logins)
        {
            return "ERR this node has no users";
        }

        if (!view.IsEnabled || AccessCheck.CheckAdmin(view, connection.User) is not { } problem)
        {
            return null;
        }

        if (change is { } asked)
        {
            string kind = "ACL " + asked.Text(1).ToUpperInvariant();
            logins.TellRefused(connection.User, kind, asked.Count > 2 ? asked.Text(2) : "", problem.Code);
        }

        return RespErrors.Of(problem.Code, problem.Message);
    }

    private static (KeyRange, Permissions)? RangeOf(string rule)
    {
        (string pattern, Permissions most) = rule switch
        {
            _ when rule.StartsWith('~') => (rule[1..], (Permissions)7),
            _ when rule.StartsWith("%RW~", StringComparison.Ordinal) => (rule[4..], (Permissions)7),
            _ when rule.StartsWith("%R~", StringComparison.Ordinal) => (rule[3..], Permissions.Read | Permissions.Watch),
            _ when rule.StartsWith("%W~", StringComparison.Ordinal) => (rule[3..], Permissions.Write),
            _ => ("", Permissions.None),
        };
        int glob = pattern.IndexOfAny(['*', '?', '[', '\\']);
        return pattern.Length == 0 || (glob >= 0 && (pattern[glob] != '*' || glob != pattern.Length - 1)) ? null
            : glob < 0 ? (KeyRange.Key(Encoding.UTF8.GetBytes(pattern)), most)
            : (glob == 0 ? KeyRange.All : KeyRange.Prefix(pattern[..glob]), most);
    }

    private static Grant[] GrantsOf(AccessView view, UserRecord user) =>
        [.. user.Roles.Select(view.Role).OfType<RoleRecord>().SelectMany(static r => r.Grants)];

    private static string Describe(AccessView view, UserRecord user)
    {
        Grant[] grants = GrantsOf(view, user);
        return string.Join(
            ' ',
            new[] { "user", user.Name, "on", Keys(view, user, grants), Commands(view, user, grants) }.Where(static w => w.Length > 0));
    }

    private static string Commands(AccessView view, UserRecord user, Grant[] grants)
    {
        Permissions all = grants.Aggregate(Permissions.None, static (p, g) => p | g.Permissions);
        return user.Name == AccessNames.Root ? "+@all"
            : string.Join(' ', new[]
            {
                "-@all",
                (all & Permissions.Read) != 0 ? "+@read" : "",
                (all & Permissions.Write) != 0 ? "+@write" : "",
                (all & Permissions.Watch) != 0 ? "+@pubsub" : "",
                view.IsAdmin(user.Name) ? "+@admin" : "",
            }.Where(static w => w.Length > 0));
    }

    private static string Keys(AccessView view, UserRecord user, Grant[] grants) =>
        view.User(user.Name) is not null && user.Name == AccessNames.Root ? "~*"
        : string.Join(' ', grants.Where(static g => g.Permissions != Permissions.Admin).Select(static g =>
            (g.Permissions switch
            {
                Permissions.Read or Permissions.Read | Permissions.Watch => "%R~",
                Permissions.Write => "%W~",
                _ => "~",
            })
            + (g.Range == KeyRange.All ? "*"
                : g.Range.IsOneKey ? Encoding.UTF8.GetString(g.Range.Start.Span)
                : g.Range.CommonPrefixLength == g.Range.Start.Length ? Encoding.UTF8.GetString(g.Range.Start.Span) + "*"
                : $"[{g.Range}]")).Distinct());
}
