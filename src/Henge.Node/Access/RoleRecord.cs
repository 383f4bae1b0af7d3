using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Core;

namespace Henge.Node.Access;

/// <summary>A role as the catalog has it: <c>role/NAME</c>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Grants">What it may do.</param>
public sealed record RoleRecord(string Name, IReadOnlyList<Grant> Grants)
{
    /// <summary>Its value: a line for each grant, with the bounds in hexadecimal digits.</summary>
    public string ToText()
    {
        var text = new StringBuilder("role 1\n");
        foreach (Grant grant in Grants)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"grant {(int)grant.Permissions} {Hex(grant.Range.Start)} {Hex(grant.Range.End)}\n");
        }

        return text.ToString();
    }

    /// <summary>
    /// Reads it; null when it makes no sense to this build. A grant that is not understood may not be left out silently, since what is left
    /// would be another role: so the whole role is not known then, and grants nothing.
    /// </summary>
    public static RoleRecord? Parse(string name, ReadOnlySpan<byte> value)
    {
        string[] lines = Encoding.UTF8.GetString(value).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || lines[0] != "role 1" || lines.Length - 1 > AccessNames.MostOfOne)
        {
            return null;
        }

        List<Grant> grants = [];
        foreach (string line in lines.Skip(1))
        {
            string[] parts = line.Split(' ');
            if (parts.Length != 4 || parts[0] != "grant"
                || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int permissions)
                || permissions is <= 0 or > 15 || Bytes(parts[2]) is not { } lower || Bytes(parts[3]) is not { } upper)
            {
                return null;
            }

            grants.Add(new Grant((Permissions)permissions, KeyRange.Between(lower, upper)));
        }

        return new RoleRecord(name, grants);
    }

    private static string Hex(ReadOnlyMemory<byte> bytes) => bytes.IsEmpty ? "-" : Convert.ToHexString(bytes.Span);

    private static byte[]? Bytes(string text)
    {
        if (text == "-")
        {
            return [];
        }

        byte[] bytes = new byte[text.Length / 2];
        return text.Length % 2 == 0 && Convert.FromHexString(text, bytes, out _, out _) == OperationStatus.Done ? bytes : null;
    }
}
