using System.Globalization;
using System.Text;

namespace Henge.Core;

/// <summary>Some keys in bytewise order: all, those with a prefix, or those from a key to another.</summary>
public readonly record struct KeyRange
{
    private KeyRange(ReadOnlyMemory<byte> start, ReadOnlyMemory<byte> end)
    {
        Start = start;
        End = end;
    }

    /// <summary>All keys.</summary>
    public static KeyRange All => default;

    /// <summary>First key, inclusive; empty means from the first.</summary>
    public ReadOnlyMemory<byte> Start { get; }

    /// <summary>Last key, exclusive; empty means to the end.</summary>
    public ReadOnlyMemory<byte> End { get; }

    /// <summary>True when it can hold one key only: the end is the start and a zero byte.</summary>
    public bool IsOneKey => End.Length == Start.Length + 1 && End.Span[^1] == 0 && End.Span[..^1].SequenceEqual(Start.Span);

    /// <summary>True when it can hold no key.</summary>
    public bool IsEmpty => !End.IsEmpty && Start.Span.SequenceCompareTo(End.Span) >= 0;

    /// <summary>How many bytes all keys of the range have in common at their beginning.</summary>
    public int CommonPrefixLength
    {
        get
        {
            ReadOnlySpan<byte> start = Start.Span;
            ReadOnlySpan<byte> end = End.Span;
            int common = start.CommonPrefixLength(end);

            // The range of a prefix ends where its last byte that can be raised is raised; the prefix itself is common then.
            bool isPrefix =
                common + 1 == end.Length
                && common < start.Length
                && end[common] == start[common] + 1
                && start[(common + 1)..].IndexOfAnyExcept((byte)0xFF) < 0;
            return isPrefix ? start.Length : common;
        }
    }

    /// <summary>One key.</summary>
    public static KeyRange Key(ReadOnlySpan<byte> key) => new(key.ToArray(), (byte[])[.. key, 0]);

    /// <summary>The keys that begin with these bytes.</summary>
    public static KeyRange Prefix(ReadOnlyMemory<byte> prefix) => new(prefix, EndOfPrefix(prefix.Span));

    /// <summary>The keys that begin with this text (UTF-8).</summary>
    public static KeyRange Prefix(string prefix) => Prefix(Encoding.UTF8.GetBytes(prefix));

    /// <summary>The keys from <paramref name="start"/> (inclusive) to <paramref name="end"/> (exclusive; empty: to the end).</summary>
    public static KeyRange Between(ReadOnlyMemory<byte> start, ReadOnlyMemory<byte> end) => new(start, end);

    /// <summary>
    /// The keys from <paramref name="start"/> (inclusive) to <paramref name="end"/> (exclusive; empty: to the end), as UTF-8.
    /// </summary>
    public static KeyRange Between(string start, string end) => Between(Encoding.UTF8.GetBytes(start), Encoding.UTF8.GetBytes(end));

    /// <summary>The first key behind all that begin with a prefix; empty when there is none.</summary>
    public static byte[] EndOfPrefix(ReadOnlySpan<byte> prefix)
    {
        int last = prefix.Length - 1;
        while (last >= 0 && prefix[last] == 0xFF)
        {
            last--;
        }

        byte[] end = prefix[..(last + 1)].ToArray();
        if (last >= 0)
        {
            end[last]++;
        }

        return end;
    }

    /// <summary>Equal when both have the same bounds.</summary>
    public bool Equals(KeyRange other) => Start.Span.SequenceEqual(other.Start.Span) && End.Span.SequenceEqual(other.End.Span);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(Start.Span);
        hash.Add(End.Length);
        hash.AddBytes(End.Span);
        return hash.ToHashCode();
    }

    /// <summary>
    /// <c>all</c>, <c>key a</c>, <c>prefix a/</c>, or <c>range a b</c> (<c>-</c>: to the end). Bytes that are no printable ASCII, blanks
    /// and backslashes are written as hexadecimal digits behind <c>\x</c>.
    /// </summary>
    public override string ToString() =>
        Start.IsEmpty && End.IsEmpty ? "all"
        : IsOneKey ? $"key {Show(Start.Span)}"
        : Equals(Prefix(Start)) ? $"prefix {Show(Start.Span)}"
        : $"range {Show(Start.Span)} {(End.IsEmpty ? "-" : Show(End.Span))}";

    private static string Show(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        foreach (byte b in bytes)
        {
            if (b is > 0x20 and < 0x7F and not (byte)'\\')
            {
                text.Append((char)b);
            }
            else
            {
                text.Append(CultureInfo.InvariantCulture, $"\\x{b:x2}");
            }
        }

        return text.ToString();
    }

    /// <summary>True for the keys of the range.</summary>
    public bool Contains(ReadOnlySpan<byte> key) =>
        key.SequenceCompareTo(Start.Span) >= 0 && (End.IsEmpty || key.SequenceCompareTo(End.Span) < 0);
}
