using Henge.Core;

namespace Henge.Protocol.Messages;

/// <summary>
/// Reads the fields of a message in place, for the messages of the hot paths: no object and no copy. Never reads outside of the message;
/// what is malformed throws <see cref="MessageFormatException"/>. Callers pass over tags that they do not know, as the format demands:
/// unknown fields, and known ones with another type. Groups, which no message of ours ever had, are refused, and so are numbers of more
/// than 64 bits.
/// </summary>
internal ref struct FieldReader(ReadOnlySpan<byte> message)
{
    private readonly int _length = message.Length;
    private SpanReader _source = new(message);

    /// <summary>Number (shifted by <see cref="WireType.Bits"/>) and <see cref="WireType"/> of the field that was read last.</summary>
    public uint Tag { get; private set; }

    /// <summary>Its value, for numbers.</summary>
    public ulong Number { get; private set; }

    /// <summary>Its value, for strings, bytes and messages. It points into the message.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>Its value, for booleans.</summary>
    public readonly bool Flag => Number != 0;

    /// <summary>Bytes read so far.</summary>
    public readonly int Position => _length - _source.Rest.Length;

    /// <summary>Reads the next field that is a number or bytes; false at the end.</summary>
    public bool Read()
    {
        while (!_source.IsEmpty)
        {
            ulong tag = ReadNumber();
            if (tag is < 1 << WireType.Bits or > uint.MaxValue)
            {
                throw new MessageFormatException("a field number is out of range");
            }

            Tag = (uint)tag;
            switch ((int)(tag & ((1 << WireType.Bits) - 1)))
            {
                case WireType.Number:
                    Number = ReadNumber();
                    Bytes = default;
                    return true;
                case WireType.Bytes:
                    Bytes = Take(ReadNumber());
                    Number = 0;
                    return true;
                case WireType.Fixed64:
                    Take(8);
                    break;
                case WireType.Fixed32:
                    Take(4);
                    break;
                default:
                    throw new MessageFormatException("a field has a wire type that is not in use");
            }
        }

        return false;
    }

    private ulong ReadNumber() => _source.TryReadVarint(out ulong value)
        ? value
        : throw new MessageFormatException("a number is cut off or too long");

    private ReadOnlySpan<byte> Take(ulong length)
    {
        ReadOnlySpan<byte> taken = _source.ReadRaw(length);
        return _source.Failed ? throw new MessageFormatException("a field is longer than the message") : taken;
    }
}
