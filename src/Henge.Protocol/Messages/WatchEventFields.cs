using Henge.Protocol.V1;

namespace Henge.Protocol.Messages;

/// <summary>A WatchEvent, but for its resume token, which comes last, once it is known.</summary>
internal ref struct WatchEventFields
{
    public ReadOnlySpan<byte> Key;
    public ReadOnlySpan<byte> Value;
    public ulong Version;
    public WatchReason Reason;
    public bool HasPrevious;
    public KeyValueFields Previous;
    public DataType Type;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => FieldWriter.SizeOfBytes(Key.Length)
        + FieldWriter.SizeOfBytes(Value.Length)
        + FieldWriter.SizeOfBytes(EventType.Length)
        + FieldWriter.SizeOf(Version)
        + FieldWriter.SizeOf((ulong)Reason)
        + (HasPrevious ? FieldWriter.SizeOfMessage(Previous.Size) : 0)
        + FieldWriter.SizeOf((ulong)Type);

    private readonly ReadOnlySpan<byte> EventType => Reason switch
    {
        WatchReason.Put => "PUT"u8,
        WatchReason.Progress => "PROGRESS"u8,
        _ => "DELETE"u8,
    };

    /// <summary>Bytes of a resume token.</summary>
    public static int SizeOfToken(int length) => FieldWriter.SizeOfBytes(length);

    /// <summary>Writes the resume token of an event that is written otherwise.</summary>
    public static void WriteToken(ref FieldWriter writer, ReadOnlySpan<byte> token) =>
        writer.Write(WatchEvent.ResumeTokenFieldNumber, token);

    public readonly void Write(ref FieldWriter writer)
    {
        writer.Write(WatchEvent.KeyFieldNumber, Key);
        writer.Write(WatchEvent.ValueFieldNumber, Value);
        writer.Write(WatchEvent.EventTypeFieldNumber, EventType);
        writer.Write(WatchEvent.VersionFieldNumber, Version);
        writer.Write(WatchEvent.ReasonFieldNumber, (ulong)Reason);
        if (HasPrevious)
        {
            writer.BeginMessage(WatchEvent.PreviousFieldNumber, Previous.Size);
            Previous.Write(ref writer);
        }

        writer.Write(WatchEvent.TypeFieldNumber, (ulong)Type);
    }
}
