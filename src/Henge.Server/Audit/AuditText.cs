using System.Globalization;
using System.Text;

namespace Henge.Server.Audit;

/// <summary>
/// Keys and texts as they stand in the audit log: bounded, and such that no two keys that fit look the same. Pure functions.
/// </summary>
internal static class AuditText
{
    /// <summary>So many bytes of a key are shown.</summary>
    public const int KeyBytes = 256;

    /// <summary>So many characters of another text are shown.</summary>
    public const int Characters = 2048;

    /// <summary>
    /// A key. Bytes that are no printable ASCII, and backslashes, are written as <c>\x</c> and two hexadecimal digits; <c>\+N</c> at the
    /// end: N more bytes are not shown.
    /// </summary>
    public static string Key(ReadOnlySpan<byte> key)
    {
        ReadOnlySpan<byte> shown = key[..Math.Min(key.Length, KeyBytes)];
        if (shown.Length == key.Length && !key.ContainsAnyExceptInRange((byte)0x20, (byte)0x7E) && !key.Contains((byte)'\\'))
        {
            return Encoding.ASCII.GetString(key);
        }

        StringBuilder text = new(shown.Length * 2);
        foreach (byte b in shown)
        {
            if (b is >= 0x20 and <= 0x7E and not (byte)'\\')
            {
                text.Append((char)b);
            }
            else
            {
                text.Append(CultureInfo.InvariantCulture, $"\\x{b:x2}");
            }
        }

        if (shown.Length < key.Length)
        {
            text.Append(CultureInfo.InvariantCulture, $"\\+{key.Length - shown.Length}");
        }

        return text.ToString();
    }

    /// <summary>A text.</summary>
    public static string Bounded(string text) =>
        text.Length <= Characters
            ? text
            : string.Create(CultureInfo.InvariantCulture, $"{text.AsSpan(0, Characters)}\\+{text.Length - Characters}");
}
