using Henge.Core;

namespace Henge.Storage.Lsm;

/// <summary>Writes tags, varints and length-prefixed bytes.</summary>
internal sealed class FieldWriter
{
    private byte[] _buffer = new byte[256];
    private int _length;

    public FieldWriter Tag(byte tag)
    {
        Reserve(1);
        _buffer[_length++] = tag;
        return this;
    }

    public FieldWriter Number(ulong value)
    {
        Reserve(Varint.MaxBytes);
        _length += Varint.Write(_buffer.AsSpan(_length), value);
        return this;
    }

    public FieldWriter Bytes(ReadOnlySpan<byte> bytes)
    {
        Number((ulong)bytes.Length);
        Reserve(bytes.Length);
        bytes.CopyTo(_buffer.AsSpan(_length));
        _length += bytes.Length;
        return this;
    }

    public byte[] ToArray() => _buffer.AsSpan(0, _length).ToArray();

    private void Reserve(int bytes)
    {
        if (_length + bytes > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_length + bytes, _buffer.Length * 2));
        }
    }
}

/// <summary>Reads what <see cref="FieldWriter"/> wrote. Bad bytes set <see cref="Damaged"/> and read as zeros; nothing outside is read.</summary>
internal ref struct FieldReader(ReadOnlySpan<byte> source)
{
    private ReadOnlySpan<byte> _rest = source;

    public bool Damaged { get; private set; }

    public readonly bool AtEnd => _rest.IsEmpty;

    public byte Tag()
    {
        if (_rest.IsEmpty)
        {
            Fail();
            return 0;
        }

        byte tag = _rest[0];
        _rest = _rest[1..];
        return tag;
    }

    public ulong Number(ulong max = ulong.MaxValue)
    {
        if (!Varint.TryRead(_rest, out ulong value, out int bytes) || value > max)
        {
            Fail();
            return 0;
        }

        _rest = _rest[bytes..];
        return value;
    }

    public ReadOnlySpan<byte> Bytes()
    {
        ulong length = Number();
        if (length > (ulong)_rest.Length)
        {
            Fail();
            return default;
        }

        ReadOnlySpan<byte> bytes = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return bytes;
    }

    public void Fail()
    {
        Damaged = true;
        _rest = default;
    }
}
