using System.Text.Json;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>Users and roles, for people and for programs.</summary>
internal static class AccessForm
{
    /// <summary>What a grant allows, as the command line takes it: <c>read,write</c>.</summary>
    public static string Permissions(Wire.AccessGrant grant) => string.Join(',', PermissionsOf(grant));

    /// <summary>With which keys.</summary>
    public static string Keys(Wire.AccessGrant grant) =>
        grant.Admin ? "-" : KeyRange.Between(grant.Start.Memory, grant.End.Memory).ToString();

    /// <summary>A name, or a list of them, where there is one.</summary>
    public static string OrDash(IEnumerable<string> names) => string.Join(", ", names) is { Length: > 0 } text ? text : "-";

    /// <summary>Those who have a role.</summary>
    public static IEnumerable<string> UsersOf(Wire.AccessReadResponse access, string role) =>
        access.Users.Where(u => u.Roles.Contains(role)).Select(static u => u.Name);

    /// <summary>The members of a user.</summary>
    public static void Write(this Utf8JsonWriter json, Wire.AccessUser user)
    {
        json.WriteString("name", user.Name);
        json.WriteBoolean("password", user.HasPassword);
        json.WriteList("roles", user.Roles, json.WriteStringValue);
    }

    /// <summary>The members of a role.</summary>
    public static void Write(this Utf8JsonWriter json, Wire.AccessRole role, IEnumerable<string> users)
    {
        json.WriteString("name", role.Name);
        json.WriteObjects("grants", role.Grants, grant =>
        {
            json.WriteList("permissions", PermissionsOf(grant), json.WriteStringValue);
            if (!grant.Admin)
            {
                json.WriteBytes("start", grant.Start.Span);
                json.WriteBytes("end", grant.End.Span);
            }
        });
        json.WriteList("users", users, json.WriteStringValue);
    }

    /// <summary>The grants of roles, a line each.</summary>
    public static string Table(IEnumerable<Wire.AccessRole> roles)
    {
        Table table = new("ROLE", "MAY", "KEYS");
        foreach (Wire.AccessRole role in roles)
        {
            foreach (Wire.AccessGrant grant in role.Grants)
            {
                table.Add(role.Name, Permissions(grant), Keys(grant));
            }

            if (role.Grants.Count == 0)
            {
                table.Add(role.Name, "-", "-");
            }
        }

        return table.ToString();
    }

    private static IEnumerable<string> PermissionsOf(Wire.AccessGrant grant)
    {
        (bool Has, string Name)[] all =
            [(grant.Read, "read"), (grant.Write, "write"), (grant.Watch, "watch"), (grant.Admin, "admin")];
        return all.Where(static p => p.Has).Select(static p => p.Name);
    }
}
