using System.Text;

namespace Henge.Client;

/// <summary>Some keys in bytewise order: all, those with a prefix, or those from a key to another.</summary>
public readonly record struct KeyRange
{
    private KeyRange(ReadOnlyMemory<byte> prefix, ReadOnlyMemory<byte> start, ReadOnlyMemory<byte> end)
    {
        PrefixBytes = prefix;
        Start = start;
        End = end;
    }

    /// <summary>All keys.</summary>
    public static KeyRange All => default;

    /// <summary>The prefix that keys must have; empty when the range is not by prefix.</summary>
    public ReadOnlyMemory<byte> PrefixBytes { get; }

    /// <summary>First key, inclusive; empty means from the first.</summary>
    public ReadOnlyMemory<byte> Start { get; }

    /// <summary>Last key, exclusive; empty means to the end.</summary>
    public ReadOnlyMemory<byte> End { get; }

    /// <summary>The keys that begin with these bytes.</summary>
    public static KeyRange Prefix(ReadOnlyMemory<byte> prefix) => new(prefix, default, default);

    /// <summary>The keys that begin with this text (UTF-8).</summary>
    public static KeyRange Prefix(string prefix) => Prefix(Encoding.UTF8.GetBytes(prefix));

    /// <summary>The keys from <paramref name="start"/> (inclusive) to <paramref name="end"/> (exclusive; empty: to the end).</summary>
    public static KeyRange Between(ReadOnlyMemory<byte> start, ReadOnlyMemory<byte> end) => new(default, start, end);

    /// <summary>
    /// The keys from <paramref name="start"/> (inclusive) to <paramref name="end"/> (exclusive; empty: to the end), as UTF-8.
    /// </summary>
    public static KeyRange Between(string start, string end) => Between(Encoding.UTF8.GetBytes(start), Encoding.UTF8.GetBytes(end));
}
