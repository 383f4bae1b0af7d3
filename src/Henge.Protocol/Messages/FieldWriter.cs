using Henge.Core;

namespace Henge.Protocol.Messages;

/// <summary>
/// Writes the fields of a message into a span whose size was computed before. What has its default value is left out, as proto3 has it,
/// unless the method says otherwise. All fields that are written here have numbers below 16, so that a tag is one byte. Allocates nothing.
/// </summary>
internal ref struct FieldWriter(Span<byte> destination)
{
    private SpanWriter _destination = new(destination);

    /// <summary>Bytes written so far.</summary>
    public readonly int Position => _destination.Written;

    /// <summary>Bytes of a number.</summary>
    public static int SizeOf(ulong number) => number == 0 ? 0 : SizeOfPresent(number);

    /// <summary>Bytes of a boolean.</summary>
    public static int SizeOf(bool flag) => flag ? 2 : 0;

    /// <summary>Bytes of so many bytes.</summary>
    public static int SizeOfBytes(int length) => length == 0 ? 0 : SizeOfMessage(length);

    /// <summary>Bytes of a number that is there even when it is 0.</summary>
    public static int SizeOfPresent(ulong number) => 1 + Varint.Size(number);

    /// <summary>Bytes of a message of so many bytes, or of bytes that are there even when they are none.</summary>
    public static int SizeOfMessage(int length) => 1 + Varint.Size((ulong)length) + length;

    /// <summary>A number.</summary>
    public void Write(int field, ulong number)
    {
        if (number != 0)
        {
            WritePresent(field, number);
        }
    }

    /// <summary>A boolean.</summary>
    public void Write(int field, bool flag)
    {
        if (flag)
        {
            WritePresent(field, 1);
        }
    }

    /// <summary>Bytes.</summary>
    public void Write(int field, ReadOnlySpan<byte> bytes)
    {
        if (!bytes.IsEmpty)
        {
            WritePresent(field, bytes);
        }
    }

    /// <summary>A number that is there even when it is 0.</summary>
    public void WritePresent(int field, ulong number)
    {
        _destination.WriteByte((byte)((field << WireType.Bits) | WireType.Number));
        _destination.WriteVarint(number);
    }

    /// <summary>Bytes that are there even when they are none.</summary>
    public void WritePresent(int field, ReadOnlySpan<byte> bytes)
    {
        BeginMessage(field, bytes.Length);
        _destination.WriteRaw(bytes);
    }

    /// <summary>The head of a message in a message; its fields follow.</summary>
    public void BeginMessage(int field, int length)
    {
        _destination.WriteByte((byte)((field << WireType.Bits) | WireType.Bytes));
        _destination.WriteVarint((ulong)length);
    }

    /// <summary>Room for so many bytes that somebody else writes.</summary>
    public Span<byte> Take(int length) => _destination.Take(length);

    internal void WriteText(int field, string text, int bytes)
    {
        BeginMessage(field, bytes);
        System.Text.Encoding.UTF8.GetBytes(text, _destination.Take(bytes));
    }
}
