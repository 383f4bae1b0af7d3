using System.Globalization;
using System.Text;

namespace Henge.Node.Access;

/// <summary>A user as the catalog has it: <c>user/NAME</c>.</summary>
/// <param name="Name">The name: in a client's certificate, or said with a password.</param>
/// <param name="PasswordHash">A hash of the password in the form of whoever checks it; empty: no password is right.</param>
/// <param name="Roles">The roles that it has.</param>
public sealed record UserRecord(string Name, string PasswordHash, IReadOnlyList<string> Roles)
{
    /// <summary>Most characters of a hash.</summary>
    public const int MaxHashLength = 512;

    /// <summary>
    /// Who said to be the user in another generation, by a password or a token, is so no longer. Rises with each new password, and when
    /// tokens are revoked.
    /// </summary>
    public ulong Generation { get; init; }

    /// <summary>Its value.</summary>
    public string ToText()
    {
        var text = new StringBuilder("user 1\n");
        if (PasswordHash.Length > 0)
        {
            text.Append("password ").Append(PasswordHash).Append('\n');
        }

        if (Generation > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"generation {Generation}\n");
        }

        foreach (string role in Roles)
        {
            text.Append("role ").Append(role).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>Reads it; null when it makes no sense to this build: such a user may do nothing.</summary>
    public static UserRecord? Parse(string name, ReadOnlySpan<byte> value)
    {
        string[] lines = Encoding.UTF8.GetString(value).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || lines[0] != "user 1" || lines.Length > AccessNames.MostOfOne + 3)
        {
            return null;
        }

        string hash = "";
        ulong generation = 0;
        List<string> roles = [];
        foreach (string line in lines.Skip(1))
        {
            int blank = line.IndexOf(' ', StringComparison.Ordinal);
            string text = blank < 0 ? "" : line[(blank + 1)..];
            switch (blank < 0 ? line : line[..blank])
            {
                case "password" when text.Length is > 0 and <= MaxHashLength:
                    hash = text;
                    break;
                case "generation" when ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out generation):
                    break;
                case "role" when text.Length > 0:
                    roles.Add(text);
                    break;
                default:
                    return null;
            }
        }

        return new UserRecord(name, hash, roles) { Generation = generation };
    }

    /// <summary>As it is shown: never with the hash.</summary>
    public override string ToString() => $"{Name} ({string.Join(", ", Roles)})";
}
