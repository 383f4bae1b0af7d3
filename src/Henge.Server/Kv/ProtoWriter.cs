using System.Text;
using Henge.Core;

namespace Henge.Server.Kv;

/// <summary>
/// Writes the wire format of Protocol Buffers into a span whose size was computed before. Fields with their default value are left out, as
/// proto3 has it. All field numbers here are below 16, so that a tag is one byte.
/// </summary>
internal ref struct ProtoWriter(Span<byte> destination)
{
    private readonly Span<byte> _destination = destination;

    /// <summary>Bytes written so far.</summary>
    public int Position { get; private set; }

    public static int SizeOf(ulong number) => number == 0 ? 0 : 1 + Varint.Size(number);

    public static int SizeOf(bool flag) => flag ? 2 : 0;

    public static int SizeOfBytes(int length) => length == 0 ? 0 : SizeOfMessage(length);

    public static int SizeOfText(string? text) => string.IsNullOrEmpty(text) ? 0 : SizeOfMessage(Encoding.UTF8.GetByteCount(text));

    public static int SizeOfMessage(int length) => 1 + Varint.Size((ulong)length) + length;

    public void Write(int field, ulong number)
    {
        if (number != 0)
        {
            _destination[Position++] = (byte)(field << 3);
            Position += Varint.Write(_destination[Position..], number);
        }
    }

    public void Write(int field, bool flag)
    {
        if (flag)
        {
            _destination[Position++] = (byte)(field << 3);
            _destination[Position++] = 1;
        }
    }

    public void Write(int field, ReadOnlySpan<byte> bytes)
    {
        if (!bytes.IsEmpty)
        {
            BeginMessage(field, bytes.Length);
            bytes.CopyTo(_destination[Position..]);
            Position += bytes.Length;
        }
    }

    public void Write(int field, string? text)
    {
        if (!string.IsNullOrEmpty(text))
        {
            BeginMessage(field, Encoding.UTF8.GetByteCount(text));
            Position += Encoding.UTF8.GetBytes(text, _destination[Position..]);
        }
    }

    /// <summary>Writes the head of a message in a message; its fields follow.</summary>
    public void BeginMessage(int field, int length)
    {
        _destination[Position++] = (byte)((field << 3) | 2);
        Position += Varint.Write(_destination[Position..], (ulong)length);
    }
}
