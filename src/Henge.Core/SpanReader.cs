using System.Buffers.Binary;

namespace Henge.Core;

/// <summary>
/// Walks encoded bytes from the front, never outside of them. There are two ways to notice bytes that make no sense: the <c>Try</c> methods
/// say so at once and take nothing; the <c>Read</c> methods read as zero and set <see cref="Failed"/>, which is asked once at the end.
/// Allocates nothing. Not thread-safe.
/// </summary>
/// <param name="source">What is walked. Spans that are given out point into it.</param>
public ref struct SpanReader(ReadOnlySpan<byte> source)
{
    /// <summary>What has not been read. Nothing once <see cref="Failed"/>.</summary>
    public ReadOnlySpan<byte> Rest { get; private set; } = source;

    /// <summary>True once a <c>Read</c> method met bytes that make no sense, or <see cref="Fail"/> was called.</summary>
    public bool Failed { get; private set; }

    /// <summary>True when nothing is left.</summary>
    public readonly bool IsEmpty => Rest.IsEmpty;

    /// <summary>A byte; false at the end.</summary>
    public bool TryReadByte(out byte value)
    {
        if (Rest.IsEmpty)
        {
            value = 0;
            return false;
        }

        value = Rest[0];
        Rest = Rest[1..];
        return true;
    }

    /// <summary>Eight bytes, the lowest first; false when there are fewer.</summary>
    public bool TryReadUInt64(out ulong value)
    {
        if (!BinaryPrimitives.TryReadUInt64LittleEndian(Rest, out value))
        {
            return false;
        }

        Rest = Rest[8..];
        return true;
    }

    /// <summary>A number (<see cref="Varint"/>); false when it is cut off or too long.</summary>
    public bool TryReadVarint(out ulong value)
    {
        ReadOnlySpan<byte> rest = Rest;
        if (!rest.IsEmpty && rest[0] < 0x80)
        {
            // Most numbers are one byte.
            value = rest[0];
            Rest = rest[1..];
            return true;
        }

        return TryReadLongVarint(out value);
    }

    /// <summary>Bytes with their length (<see cref="Varint"/>) before them; false when the length is not one, or there are fewer.</summary>
    public bool TryReadBytes(out ReadOnlySpan<byte> bytes)
    {
        bytes = default;
        if (!Varint.TryRead(Rest, out ulong length, out int size) || length > (ulong)(Rest.Length - size))
        {
            return false;
        }

        bytes = Rest.Slice(size, (int)length);
        Rest = Rest[(size + (int)length)..];
        return true;
    }

    /// <summary>A byte, or 0 and <see cref="Failed"/>.</summary>
    public byte ReadByte()
    {
        if (!TryReadByte(out byte value))
        {
            Fail();
        }

        return value;
    }

    /// <summary>A number of at most <paramref name="max"/>, or 0 and <see cref="Failed"/>.</summary>
    public ulong ReadVarint(ulong max = ulong.MaxValue)
    {
        if (TryReadVarint(out ulong value) && value <= max)
        {
            return value;
        }

        Fail();
        return 0;
    }

    /// <summary>Bytes with their length before them, or none and <see cref="Failed"/>.</summary>
    public ReadOnlySpan<byte> ReadBytes()
    {
        if (!TryReadBytes(out ReadOnlySpan<byte> bytes))
        {
            Fail();
        }

        return bytes;
    }

    /// <summary>So many bytes, or none and <see cref="Failed"/>.</summary>
    public ReadOnlySpan<byte> ReadRaw(ulong count)
    {
        if (count > (ulong)Rest.Length)
        {
            Fail();
            return default;
        }

        ReadOnlySpan<byte> bytes = Rest[..(int)count];
        Rest = Rest[(int)count..];
        return bytes;
    }

    /// <summary>Says that what was read makes no sense, and drops the rest.</summary>
    public void Fail()
    {
        Failed = true;
        Rest = default;
    }

    private bool TryReadLongVarint(out ulong value)
    {
        if (!Varint.TryRead(Rest, out value, out int size))
        {
            return false;
        }

        Rest = Rest[size..];
        return true;
    }
}
