using System.Buffers;
using System.Buffers.Binary;

namespace Henge.Core;

/// <summary>
/// Writes what <see cref="SpanReader"/> reads into a span that the caller knows to be long enough; too short a one is an
/// <see cref="ArgumentException"/> or <see cref="IndexOutOfRangeException"/>. Allocates nothing. Not thread-safe.
/// </summary>
/// <param name="destination">Where to write.</param>
public ref struct SpanWriter(Span<byte> destination)
{
    private readonly Span<byte> _destination = destination;

    /// <summary>Bytes written so far.</summary>
    public int Written { get; private set; }

    /// <summary>A byte.</summary>
    public void WriteByte(byte value) => _destination[Written++] = value;

    /// <summary>Four bytes, the lowest first.</summary>
    public void WriteUInt32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_destination[Written..], value);
        Written += 4;
    }

    /// <summary>Eight bytes, the lowest first.</summary>
    public void WriteUInt64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_destination[Written..], value);
        Written += 8;
    }

    /// <summary>A number (<see cref="Varint"/>).</summary>
    public void WriteVarint(ulong value) => Written += Varint.Write(_destination[Written..], value);

    /// <summary>Bytes with their length (<see cref="Varint"/>) before them.</summary>
    public void WriteBytes(ReadOnlySpan<byte> bytes)
    {
        WriteVarint((ulong)bytes.Length);
        WriteRaw(bytes);
    }

    /// <summary>Bytes as they are.</summary>
    public void WriteRaw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_destination[Written..]);
        Written += bytes.Length;
    }

    /// <summary>Room for so many bytes that somebody else writes.</summary>
    public Span<byte> Take(int count)
    {
        Span<byte> room = _destination.Slice(Written, count);
        Written += count;
        return room;
    }
}

/// <summary>The same for buffers that grow.</summary>
public static class BufferWriterExtensions
{
    /// <summary>A byte.</summary>
    public static void WriteByte(this IBufferWriter<byte> writer, byte value)
    {
        writer.GetSpan(1)[0] = value;
        writer.Advance(1);
    }

    /// <summary>A number (<see cref="Varint"/>).</summary>
    public static void WriteVarint(this IBufferWriter<byte> writer, ulong value) =>
        writer.Advance(Varint.Write(writer.GetSpan(Varint.MaxBytes), value));

    /// <summary>Bytes with their length (<see cref="Varint"/>) before them.</summary>
    public static void WriteBytes(this IBufferWriter<byte> writer, ReadOnlySpan<byte> bytes)
    {
        writer.WriteVarint((ulong)bytes.Length);
        writer.Write(bytes);
    }
}
