using System.Buffers.Binary;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.RocksDb;

/// <summary>
/// Keys as RocksDB orders them, by memcmp: <c>1 u8 | keyspace u32 BE | key, escaped | 0 u8, 1 u8 | ~version u64 BE</c>, and as value
/// <c>kind u8 | [header i64 LE] | value</c>. In an escaped key each 0 is followed by 255, so that the end of a key sorts before whatever
/// goes on: versions of one key lie together, newest first, and keys in their order. Pure functions.
/// </summary>
/// <remarks>
/// Keyspaces without history (highest bit set) have one entry for a key: there the last 8 bytes are 255 each, and the value begins with
/// the version, u64 LE. Positions and the history floor lie under keys that begin with 0.
/// </remarks>
internal static class RocksKey
{
    /// <summary>First byte of entries.</summary>
    public const byte EntryTag = 1;

    /// <summary>First byte of positions and settings.</summary>
    public const byte StateTag = 0;

    /// <summary>Bytes of the version.</summary>
    public const int SuffixBytes = sizeof(ulong);

    private const int HeadBytes = 1 + sizeof(uint);
    private const int EndBytes = 2;
    private const byte Escape = 0xFF;
    private const byte End = 1;

    /// <summary>The key of the history floor.</summary>
    public static ReadOnlySpan<byte> Floor => [StateTag, (byte)'f'];

    /// <summary>The key of the engine's format.</summary>
    public static ReadOnlySpan<byte> Format => [StateTag, (byte)'v'];

    /// <summary>The first byte string after all positions.</summary>
    public static ReadOnlySpan<byte> PositionsEnd => [StateTag, (byte)'p' + 1];

    /// <summary>Bytes of the key of a position.</summary>
    public const int PositionBytes = 2 + sizeof(uint);

    /// <summary>Whether a keyspace keeps only the newest version of each key.</summary>
    public static bool HasHistory(uint keyspace) => (keyspace & 0x8000_0000) == 0;

    /// <summary>The most bytes that an entry's key can take.</summary>
    public static int MaxBytes(int keyLength) => HeadBytes + (2 * keyLength) + EndBytes + SuffixBytes;

    /// <summary>Writes the key of a stream's position.</summary>
    public static int WritePosition(Span<byte> destination, uint stream)
    {
        destination[0] = StateTag;
        destination[1] = (byte)'p';
        BinaryPrimitives.WriteUInt32BigEndian(destination[2..], stream);
        return PositionBytes;
    }

    /// <summary>Writes the key of an entry, and returns its length.</summary>
    public static int Write(Span<byte> destination, uint keyspace, ReadOnlySpan<byte> key, Core.Version version)
    {
        int at = WriteBound(destination, keyspace, key);
        destination[at++] = 0;
        destination[at++] = End;
        BinaryPrimitives.WriteUInt64BigEndian(destination[at..], HasHistory(keyspace) ? ~version.Value : ulong.MaxValue);
        return at + SuffixBytes;
    }

    /// <summary>Writes what comes before all entries of a key and after all of smaller keys, and returns its length.</summary>
    public static int WriteBound(Span<byte> destination, uint keyspace, ReadOnlySpan<byte> key)
    {
        destination[0] = EntryTag;
        BinaryPrimitives.WriteUInt32BigEndian(destination[1..], keyspace);
        int at = HeadBytes;
        while (true)
        {
            int zero = key.IndexOf((byte)0);
            ReadOnlySpan<byte> plain = zero < 0 ? key : key[..zero];
            plain.CopyTo(destination[at..]);
            at += plain.Length;
            if (zero < 0)
            {
                return at;
            }

            destination[at++] = 0;
            destination[at++] = Escape;
            key = key[(zero + 1)..];
        }
    }

    /// <summary>The first key after a whole keyspace.</summary>
    public static int WriteEnd(Span<byte> destination, uint keyspace)
    {
        if (keyspace == uint.MaxValue)
        {
            destination[0] = EntryTag + 1;
            return 1;
        }

        return WriteBound(destination, keyspace + 1, default);
    }

    /// <summary>What all versions of a key have in common.</summary>
    public static ReadOnlySpan<byte> PrefixOf(ReadOnlySpan<byte> rocksKey) => rocksKey[..^SuffixBytes];

    /// <summary>The keyspace.</summary>
    public static uint KeyspaceOf(ReadOnlySpan<byte> rocksKey) => BinaryPrimitives.ReadUInt32BigEndian(rocksKey[1..]);

    /// <summary>True when bytes can be the key and the value of an entry.</summary>
    public static bool IsWellFormed(ReadOnlySpan<byte> rocksKey, ReadOnlySpan<byte> value)
    {
        if (rocksKey.Length < HeadBytes + EndBytes + SuffixBytes || rocksKey[0] != EntryTag
            || rocksKey[^(SuffixBytes + 1)] != End || rocksKey[^(SuffixBytes + 2)] != 0)
        {
            return false;
        }

        int head = HasHistory(KeyspaceOf(rocksKey)) ? 0 : sizeof(ulong);
        return value.Length > head && value[head] <= (byte)EntryKind.PutTyped
            && value.Length >= head + 1 + (EntryHeader.IsIn((EntryKind)value[head]) ? EntryHeader.Bytes : 0);
    }

    /// <summary>The entry's version.</summary>
    public static Core.Version VersionOf(ReadOnlySpan<byte> rocksKey, ReadOnlySpan<byte> value) =>
        new(HasHistory(KeyspaceOf(rocksKey))
            ? ~BinaryPrimitives.ReadUInt64BigEndian(rocksKey[^SuffixBytes..])
            : BinaryPrimitives.ReadUInt64LittleEndian(value));

    /// <summary>The kind and what stands after it, from the value.</summary>
    public static ReadOnlySpan<byte> BodyOf(ReadOnlySpan<byte> rocksKey, ReadOnlySpan<byte> value, out EntryKind kind)
    {
        int head = HasHistory(KeyspaceOf(rocksKey)) ? 0 : sizeof(ulong);
        kind = (EntryKind)value[head];
        return value[(head + 1)..];
    }

    /// <summary>
    /// Writes the internal key (<see cref="InternalKey"/>) of an entry into a buffer, which grows when it must, and returns its length.
    /// </summary>
    public static int ToInternal(ref byte[] buffer, ReadOnlySpan<byte> rocksKey, ReadOnlySpan<byte> value)
    {
        if (buffer.Length < rocksKey.Length)
        {
            buffer = new byte[rocksKey.Length * 2];
        }

        ReadOnlySpan<byte> escaped = rocksKey[HeadBytes..^(EndBytes + SuffixBytes)];
        rocksKey.Slice(1, sizeof(uint)).CopyTo(buffer);
        int at = sizeof(uint);
        while (true)
        {
            int zero = escaped.IndexOf((byte)0);
            ReadOnlySpan<byte> plain = zero < 0 ? escaped : escaped[..(zero + 1)];
            plain.CopyTo(buffer.AsSpan(at));
            at += plain.Length;
            if (zero < 0)
            {
                break;
            }

            escaped = escaped[(zero + 2)..];
        }

        BodyOf(rocksKey, value, out EntryKind kind);
        InternalKey.WriteTrailer(buffer.AsSpan(at), VersionOf(rocksKey, value), kind);
        return at + InternalKey.TrailerBytes;
    }
}
