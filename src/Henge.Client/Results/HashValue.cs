using Henge.Core;

namespace Henge.Client;

/// <summary>
/// The bytes of a value of type <see cref="DataType.Hash"/>: <c>count varint | (field length varint | field | value length varint |
/// value)*</c> (docs/formats.md, "Hashes"). Pure functions.
/// </summary>
public static class HashValue
{
    /// <summary>
    /// The fields of a hash, in the order in which they were set first. They are parts of the given memory. Throws
    /// <see cref="FormatException"/> for bytes that are no hash.
    /// </summary>
    public static IReadOnlyList<HashField> Read(ReadOnlyMemory<byte> stored)
    {
        ReadOnlyMemory<byte> rest = stored;
        int count = Length(ref rest);
        var fields = new HashField[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlyMemory<byte> field = Part(ref rest);
            fields[i] = new HashField(field, Part(ref rest));
        }

        return rest.IsEmpty ? fields : throw NotAHash();
    }

    /// <summary>
    /// The bytes of a hash. Throws <see cref="ArgumentException"/> for no fields, and for one that comes twice, as a node would.
    /// </summary>
    public static byte[] Encode(IReadOnlyList<HashField> fields)
    {
        long size = Varint.Size((ulong)fields.Count);
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (HashField field in fields)
        {
            size += Varint.Size((ulong)field.Field.Length) + (long)field.Field.Length;
            size += Varint.Size((ulong)field.Value.Length) + (long)field.Value.Length;
            if (!names.Add(Convert.ToHexString(field.Field.Span)))
            {
                throw new ArgumentException("A field of the hash comes twice.", nameof(fields));
            }
        }

        if (fields.Count == 0)
        {
            throw new ArgumentException("A hash has at least one field: without any, its key does not exist.", nameof(fields));
        }

        byte[] stored = new byte[checked((int)size)];
        int at = Varint.Write(stored, (ulong)fields.Count);
        foreach (HashField field in fields)
        {
            at = Write(stored, at, field.Field.Span);
            at = Write(stored, at, field.Value.Span);
        }

        return stored;
    }

    private static int Write(byte[] target, int at, ReadOnlySpan<byte> part)
    {
        at += Varint.Write(target.AsSpan(at), (ulong)part.Length);
        part.CopyTo(target.AsSpan(at));
        return at + part.Length;
    }

    private static ReadOnlyMemory<byte> Part(ref ReadOnlyMemory<byte> rest)
    {
        int length = Length(ref rest);
        ReadOnlyMemory<byte> part = rest[..length];
        rest = rest[length..];
        return part;
    }

    // A length, or a number of fields, is never more than the bytes behind it.
    private static int Length(ref ReadOnlyMemory<byte> rest)
    {
        if (!Varint.TryRead(rest.Span, out ulong number, out int bytes) || number > (ulong)(rest.Length - bytes))
        {
            throw NotAHash();
        }

        rest = rest[bytes..];
        return (int)number;
    }

    private static FormatException NotAHash() => new("The bytes are not those of a hash.");
}
