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

/// <summary>What a put did.</summary>
public readonly record struct PutResult
{
    /// <summary>False when the condition did not hold, and nothing was written.</summary>
    public bool Succeeded { get; init; }

    /// <summary>The version written; when the condition failed, the version that the key is at (zero: does not exist).</summary>
    public Core.Version Version { get; init; }

    /// <summary>With <see cref="PutOptions.ReturnPrevious"/>: what was there before; null when nothing was.</summary>
    public KeyValue? Previous { get; init; }
}

/// <summary>What a delete did.</summary>
public readonly record struct DeleteResult
{
    /// <summary>True when the key existed and was deleted.</summary>
    public bool Deleted { get; init; }

    /// <summary>True when <see cref="DeleteOptions.IfVersion"/> did not hold.</summary>
    public bool ConditionFailed { get; init; }

    /// <summary>The version of the deletion; when the condition failed, the version that the key is at.</summary>
    public Core.Version Version { get; init; }

    /// <summary>With <see cref="DeleteOptions.ReturnPrevious"/>: what was there before; null when nothing was.</summary>
    public KeyValue? Previous { get; init; }
}

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

/// <summary>One page of a scan.</summary>
public sealed record ScanPage
{
    /// <summary>The pairs, in the order of the scan.</summary>
    public required IReadOnlyList<KeyValue> Pairs { get; init; }

    /// <summary>Give it back to go on, as of the same version; empty at the end.</summary>
    public ReadOnlyMemory<byte> Continuation { get; init; }

    /// <summary>The version as of which was read.</summary>
    public Core.Version Version { get; init; }

    /// <summary>True when there is more.</summary>
    public bool HasMore => !Continuation.IsEmpty;
}

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

/// <summary>What kind of event it is.</summary>
public enum WatchEventKind
{
    /// <summary>A value was written.</summary>
    Put = 1,

    /// <summary>The key was deleted.</summary>
    Delete = 2,

    /// <summary>The key was deleted because its time had come.</summary>
    Expired = 3,

    /// <summary>Not an event of a key: everything up to the version has been given.</summary>
    Progress = 4,
}

/// <summary>One event of a watch.</summary>
public sealed record WatchEvent
{
    /// <summary>What happened.</summary>
    public required WatchEventKind Kind { get; init; }

    /// <summary>The key; empty for progress marks.</summary>
    public ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The new value; empty for deletions.</summary>
    public ReadOnlyMemory<byte> Value { get; init; }

    /// <summary>What the value is; the bytes of a hash are read by <see cref="HashValue"/>.</summary>
    public DataType Type { get; init; }

    /// <summary>The version of the event.</summary>
    public Core.Version Version { get; init; }

    /// <summary>With <see cref="WatchOptions.PreviousValues"/>: what was there before, where history still has it.</summary>
    public KeyValue? Previous { get; init; }

    /// <summary>
    /// Where the watch stands: a later watch with it in <see cref="WatchOptions.ResumeToken"/> goes on behind this event, without gap or
    /// repetition. Empty where the server gave none with this event; then the last one that was given counts.
    /// </summary>
    public ReadOnlyMemory<byte> ResumeToken { get; init; }

    /// <summary>The key as UTF-8 text.</summary>
    public string KeyText => Encoding.UTF8.GetString(Key.Span);

    /// <summary>The value as UTF-8 text.</summary>
    public string ValueText => Encoding.UTF8.GetString(Value.Span);
}
