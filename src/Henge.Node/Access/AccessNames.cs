using System.Buffers;
using System.Text;
using Henge.Core;

namespace Henge.Node.Access;

/// <summary>Names of users and roles, and how many there can be.</summary>
public static class AccessNames
{
    /// <summary>Most characters of a name.</summary>
    public const int MaxLength = 64;

    /// <summary>Most users, and most roles, of a cluster.</summary>
    public const int Most = 1_000;

    /// <summary>Most grants of a role, and most roles of a user.</summary>
    public const int MostOfOne = 128;

    /// <summary>The user that has to be there when access is checked, and that may do everything.</summary>
    public const string Root = "root";

    /// <summary>The name in the certificates of nodes; no user has it.</summary>
    public const string Node = "node";

    private static readonly SearchValues<char> Signs =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.@");

    /// <summary>Says what is wrong with a name; null when nothing is.</summary>
    public static string? Check(string what, string name)
    {
        bool good = name.Length is > 0 and <= MaxLength && !name.AsSpan().ContainsAnyExcept(Signs);
        return !good ? $"A {what}'s name has 1 to {MaxLength} letters, digits, and -_.@ only."
            : name == Node ? $"No {what} is called '{Node}': certificates with that name are those of nodes."
            : null;
    }

    /// <summary>Whether bytes are a user's name.</summary>
    internal static bool IsUser(ReadOnlySpan<byte> name)
    {
        Span<char> text = stackalloc char[MaxLength];
        return name.Length is > 0 and <= MaxLength
            && Ascii.ToUtf16(name, text, out int length) == OperationStatus.Done
            && !text[..length].ContainsAnyExcept(Signs)
            && !text[..length].SequenceEqual(Node);
    }

    /// <summary>A name as it may stand in a log: anybody can send anything as one.</summary>
    public static string Shown(string name) => Check("user", name) is null || name == Node ? name : "(no name)";

    /// <summary>Throws for a name that cannot be (InvalidArgument).</summary>
    public static void Require(string what, string name)
    {
        if (Check(what, name) is { } problem)
        {
            throw new HengeException(ErrorCode.InvalidArgument, problem);
        }
    }
}
