using System.Numerics;

namespace Henge.Client;

/// <summary>
/// Sizes of fields on the wire (Protocol Buffers encoding). All field numbers here are below 16, so every tag is one byte. Pure functions.
/// </summary>
internal static class WireSize
{
    public static int Varint(ulong value) => (int)((BitOperations.Log2(value | 1) + 7u) / 7u);

    /// <summary>A number; nothing when it is 0, which is the default.</summary>
    public static int Number(ulong value) => value == 0 ? 0 : 1 + Varint(value);

    /// <summary>Bytes; nothing when they are empty, which is the default.</summary>
    public static int Bytes(int length) => length == 0 ? 0 : Message(length);

    /// <summary>Something with its length before it, even if it is empty.</summary>
    public static int Message(int length) => 1 + Varint((ulong)length) + length;
}

/// <summary>Writes fields into a span that is known to be long enough.</summary>
internal ref struct WireWriter(Span<byte> target)
{
    private readonly Span<byte> _target = target;

    public int Length { get; private set; }

    public void Varint(ulong value)
    {
        while (value >= 0x80)
        {
            _target[Length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        _target[Length++] = (byte)value;
    }

    /// <summary>A number that is there even when it is 0.</summary>
    public void Present(int field, ulong value)
    {
        _target[Length++] = (byte)(field << 3);
        Varint(value);
    }

    public void Number(int field, ulong value)
    {
        if (value != 0)
        {
            Present(field, value);
        }
    }

    /// <summary>The head of something with its length before it; its <paramref name="length"/> bytes come next.</summary>
    public void Head(int field, int length)
    {
        _target[Length++] = (byte)((field << 3) | 2);
        Varint((ulong)length);
    }

    public void Bytes(int field, ReadOnlySpan<byte> bytes)
    {
        if (!bytes.IsEmpty)
        {
            Head(field, bytes.Length);
            bytes.CopyTo(_target[Length..]);
            Length += bytes.Length;
        }
    }

    /// <summary>Bytes that are there even when they are none: a key.</summary>
    public void Message(int field, ReadOnlySpan<byte> bytes)
    {
        Head(field, bytes.Length);
        bytes.CopyTo(_target[Length..]);
        Length += bytes.Length;
    }

    /// <summary>Room for so many bytes, to be filled by somebody else.</summary>
    public Span<byte> Take(int length)
    {
        Span<byte> room = _target.Slice(Length, length);
        Length += length;
        return room;
    }
}
