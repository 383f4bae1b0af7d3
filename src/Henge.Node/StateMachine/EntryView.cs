using System.Buffers;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.StateMachine;

/// <summary>
/// An entry as a payload: <c>version varint | header varint | value</c>, where the header is the expiry and the type
/// (<see cref="Storage.EntryHeader"/>). No payload: there was none.
/// </summary>
public readonly ref struct EntryView
{
    private EntryView(Core.Version version, long header, ReadOnlySpan<byte> value)
    {
        Version = version;
        ExpiresAtMs = Storage.EntryHeader.ExpiresAtMs(header);
        Type = Storage.EntryHeader.Type(header);
        Value = value;
    }

    /// <summary>The version that wrote it.</summary>
    public Core.Version Version { get; }

    /// <summary>When it expires, in milliseconds since the epoch of versions; 0 for never.</summary>
    public long ExpiresAtMs { get; }

    /// <summary>What the value is.</summary>
    public Storage.DataType Type { get; }

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value { get; }

    /// <summary>Decodes a payload; false when there is no entry in it.</summary>
    public static bool TryRead(ReadOnlySpan<byte> payload, out EntryView entry)
    {
        entry = default;
        var reader = new SpanReader(payload);
        if (
            !reader.TryReadVarint(out ulong version)
            || !reader.TryReadVarint(out ulong header)
            || version > Core.Version.MaxValue
            || header > long.MaxValue)
        {
            return false;
        }

        entry = new EntryView(new Core.Version(version), (long)header, reader.Rest);
        return true;
    }

    internal static void Write(
        IBufferWriter<byte> writer,
        Core.Version version,
        long expiresAtMs,
        ReadOnlySpan<byte> value,
        Storage.DataType type = Storage.DataType.Bytes)
    {
        SpanWriter entry = new(writer.GetSpan((2 * Varint.MaxBytes) + value.Length));
        entry.WriteVarint(version.Value);
        entry.WriteVarint((ulong)Storage.EntryHeader.Join(type, expiresAtMs));
        entry.WriteRaw(value);
        writer.Advance(entry.Written);
    }
}
