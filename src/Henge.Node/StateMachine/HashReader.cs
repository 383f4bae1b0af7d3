using System.IO.Hashing;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// Walks the fields of a hash as it is stored: <c>count varint | (field length varint | field | value length varint | value)*</c>, in the
/// order in which the fields were set first. Never reads outside of it; bytes that make no sense end the walk with <see cref="Damaged"/>.
/// </summary>
public ref struct HashReader
{
    private SpanReader _reader;
    private int _left;

    /// <summary>Opens a stored hash.</summary>
    public HashReader(ReadOnlySpan<byte> hash)
    {
        _reader = new SpanReader(hash);
        bool read = _reader.TryReadVarint(out ulong count) && count <= (ulong)hash.Length;
        Count = read ? (int)count : 0;
        Damaged = !read;
        _left = Count;
    }

    /// <summary>How many fields there are.</summary>
    public int Count { get; }

    /// <summary>The field.</summary>
    public ReadOnlySpan<byte> Field { get; private set; }

    /// <summary>Its value.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>True when the bytes did not make sense.</summary>
    public bool Damaged { get; private set; }

    /// <summary>Moves to the next field.</summary>
    public bool MoveNext()
    {
        if (Damaged || _left == 0)
        {
            Damaged |= !_reader.IsEmpty;
            return false;
        }

        _left--;
        Damaged = !_reader.TryReadBytes(out ReadOnlySpan<byte> field) | !_reader.TryReadBytes(out ReadOnlySpan<byte> value);
        Field = field;
        Value = value;
        return !Damaged;
    }

    /// <summary>The value of a field; false when there is none.</summary>
    public static bool TryGet(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> field, out ReadOnlySpan<byte> value)
    {
        var reader = new HashReader(hash);
        while (reader.MoveNext())
        {
            if (reader.Field.SequenceEqual(field))
            {
                value = reader.Value;
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>
    /// True for bytes that a hash may be stored as: all of them make sense, there is a field, and none comes twice. For hashes that come
    /// from outside.
    /// </summary>
    public static bool IsWellFormed(ReadOnlySpan<byte> hash)
    {
        var fields = new HashSet<byte[]>(ByteComparer.Instance);
        var reader = new HashReader(hash);
        while (reader.MoveNext())
        {
            if (!fields.Add(reader.Field.ToArray()))
            {
                return false;
            }
        }

        return !reader.Damaged && reader.Count > 0;
    }

    private sealed class ByteComparer : IEqualityComparer<byte[]>
    {
        public static ByteComparer Instance { get; } = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] bytes) => (int)XxHash64.HashToUInt64(bytes);
    }
}
