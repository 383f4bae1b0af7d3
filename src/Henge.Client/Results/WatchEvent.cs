using System.Text;

namespace Henge.Client;

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
