using System.Text;

namespace Henge.Client;

/// <summary>A key with its value.</summary>
public sealed record KeyValue
{
    /// <summary>The key.</summary>
    public required ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The value; empty in scans of keys only.</summary>
    public ReadOnlyMemory<byte> Value { get; init; }

    /// <summary>What the value is; the bytes of a hash are read by <see cref="HashValue"/>.</summary>
    public DataType Type { get; init; }

    /// <summary>The version that wrote the value.</summary>
    public Core.Version Version { get; init; }

    /// <summary>Time until it expires; null: never.</summary>
    public TimeSpan? TimeToLive { get; init; }

    /// <summary>The key as UTF-8 text.</summary>
    public string KeyText => Encoding.UTF8.GetString(Key.Span);

    /// <summary>The value as UTF-8 text.</summary>
    public string ValueText => Encoding.UTF8.GetString(Value.Span);
}
