namespace Henge.Client;

/// <summary>
/// Reads fields of a message in the Protocol Buffers encoding. Throws <see cref="FormatException"/> for what is none; never reads beyond
/// its span.
/// </summary>
internal ref struct WireReader(ReadOnlySpan<byte> source)
{
    private ReadOnlySpan<byte> _rest = source;
    private int _wireType;

    /// <summary>The number of the field that <see cref="Next"/> came to.</summary>
    public int Field { get; private set; }

    /// <summary>Goes to the next field; false at the end.</summary>
    public bool Next()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }

        ulong tag = Varint();
        Field = (int)(tag >> 3);
        _wireType = (int)(tag & 7);
        return Field > 0 && tag <= uint.MaxValue ? true : throw new FormatException("a field has no number");
    }

    public ulong Number() => _wireType == 0 ? Varint() : throw new FormatException($"field {Field} is not a number");

    public ReadOnlySpan<byte> Bytes()
    {
        if (_wireType != 2)
        {
            throw new FormatException($"field {Field} is not bytes");
        }

        return Take(Varint());
    }

    /// <summary>Passes over a field of any type, as newer nodes may send.</summary>
    public void Skip()
    {
        switch (_wireType)
        {
            case 0:
                Varint();
                break;
            case 1:
                Take(8);
                break;
            case 2:
                Take(Varint());
                break;
            case 5:
                Take(4);
                break;
            default:
                throw new FormatException($"field {Field} has the unknown wire type {_wireType}");
        }
    }

    private ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)_rest.Length)
        {
            throw new FormatException($"field {Field} is longer than its message");
        }

        ReadOnlySpan<byte> taken = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return taken;
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (int i = 0; i < 10 && i < _rest.Length; i++)
        {
            byte b = _rest[i];
            value |= (ulong)(b & 0x7F) << (7 * i);
            if (b < 0x80)
            {
                _rest = _rest[(i + 1)..];
                return value;
            }
        }

        throw new FormatException("a number is cut short or too long");
    }
}
