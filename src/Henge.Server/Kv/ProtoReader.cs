using Henge.Core;

namespace Henge.Server.Kv;

/// <summary>
/// Reads the wire format of Protocol Buffers in place, for the messages of the hot paths: no object and no copy for a request. What is
/// malformed throws <see cref="HengeException"/> (InvalidArgument); fields that are not known are skipped, as the format demands.
/// </summary>
internal ref struct ProtoReader(ReadOnlySpan<byte> message)
{
    private const int VarintType = 0;
    private const int Fixed64Type = 1;
    private const int BytesType = 2;
    private const int Fixed32Type = 5;

    private readonly ReadOnlySpan<byte> _message = message;

    /// <summary>Bytes read so far.</summary>
    public int Position { get; private set; }

    /// <summary>The field that was read last.</summary>
    public int Field { get; private set; }

    /// <summary>Its value, for numbers.</summary>
    public ulong Number { get; private set; }

    /// <summary>Its value, for strings, bytes and messages.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>Reads the next field of a kind that our messages have; false at the end.</summary>
    public bool Read()
    {
        while (Position < _message.Length)
        {
            ulong tag = ReadVarint();
            ulong field = tag >> 3;
            if (field is 0 or > 0x1FFF_FFFF)
            {
                throw Malformed("a field number is out of range");
            }

            Field = (int)field;
            switch ((int)(tag & 7))
            {
                case VarintType:
                    Number = ReadVarint();
                    Bytes = default;
                    return true;
                case BytesType:
                    ulong length = ReadVarint();
                    Bytes = Take(length);
                    Number = 0;
                    return true;
                case Fixed64Type:
                    Take(8);
                    break;
                case Fixed32Type:
                    Take(4);
                    break;
                default:
                    throw Malformed("a field has a wire type that is not in use");
            }
        }

        return false;
    }

    /// <summary>The error for bytes that are no message.</summary>
    public static HengeException Malformed(string what) =>
        new(ErrorCode.InvalidArgument, $"The message is not valid Protocol Buffers: {what}. Is it the message that this method takes?");

    private ulong ReadVarint()
    {
        ReadOnlySpan<byte> rest = _message[Position..];
        if (!rest.IsEmpty && rest[0] < 0x80)
        {
            Position++;
            return rest[0];
        }

        if (!Varint.TryRead(rest, out ulong value, out int bytes))
        {
            throw Malformed("a number is cut off or too long");
        }

        Position += bytes;
        return value;
    }

    private ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)(_message.Length - Position))
        {
            throw Malformed("a field is longer than the message");
        }

        ReadOnlySpan<byte> taken = _message.Slice(Position, (int)length);
        Position += (int)length;
        return taken;
    }
}
