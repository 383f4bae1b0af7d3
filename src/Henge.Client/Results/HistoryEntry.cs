using System.Text;

namespace Henge.Client;

/// <summary>One version that a key has had.</summary>
public sealed record HistoryEntry
{
    /// <summary>The version.</summary>
    public required Core.Version Version { get; init; }

    /// <summary>The value; empty when deleted.</summary>
    public ReadOnlyMemory<byte> Value { get; init; }

    /// <summary>What the value is; the bytes of a hash are read by <see cref="HashValue"/>.</summary>
    public DataType Type { get; init; }

    /// <summary>True when the version is a deletion.</summary>
    public bool Deleted { get; init; }

    /// <summary>When the value expires or expired; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>The moment of the version, to the millisecond.</summary>
    public DateTimeOffset Time => Version.ToTime();

    /// <summary>The value as UTF-8 text.</summary>
    public string ValueText => Encoding.UTF8.GetString(Value.Span);
}
