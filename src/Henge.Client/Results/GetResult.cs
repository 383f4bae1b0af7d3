using System.Text;

namespace Henge.Client;

/// <summary>What a get found.</summary>
public readonly record struct GetResult
{
    /// <summary>True when the key exists (at the version asked for).</summary>
    public bool Found { get; init; }

    /// <summary>The value; empty when not found.</summary>
    public ReadOnlyMemory<byte> Value { get; init; }

    /// <summary>What the value is; the bytes of a hash are read by <see cref="HashValue"/>.</summary>
    public DataType Type { get; init; }

    /// <summary>
    /// The version that wrote the value; zero when not found. Give it to <see cref="PutOptions.IfVersion"/> for a compare-and-set.
    /// </summary>
    public Core.Version Version { get; init; }

    /// <summary>Time until the value expires; null: never.</summary>
    public TimeSpan? TimeToLive { get; init; }

    /// <summary>The value as UTF-8 text; null when not found.</summary>
    public string? Text => Found ? Encoding.UTF8.GetString(Value.Span) : null;
}
