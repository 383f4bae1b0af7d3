using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>One event, valid during the call only.</summary>
public readonly ref struct WatchEventView
{
    /// <summary>Why.</summary>
    public WatchReason Reason { get; init; }

    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Key { get; init; }

    /// <summary>The new value; empty for deletions.</summary>
    public ReadOnlySpan<byte> Value { get; init; }

    /// <summary>What the new value is.</summary>
    public DataType Type { get; init; }

    /// <summary>The version of the event.</summary>
    public Core.Version Version { get; init; }

    /// <summary>When the new value expires, in milliseconds since the epoch of versions; 0 for never.</summary>
    public long ExpiresAtMs { get; init; }

    /// <summary>With <see cref="WatchQuery.PreviousValues"/>: true when there was a value before and history still has it.</summary>
    public bool HasPrevious { get; init; }

    /// <summary>The value before.</summary>
    public ReadOnlySpan<byte> PreviousValue { get; init; }

    /// <summary>What the value before was.</summary>
    public DataType PreviousType { get; init; }

    /// <summary>The version of the value before.</summary>
    public Core.Version PreviousVersion { get; init; }
}
