using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Henge.Storage.Lsm.Keys;

/// <summary>
/// The key under which an entry lies in memtables and tables: <c>keyspace u32 BE | key | ~version u64 BE | kind u8</c>
/// (docs/formats.md). Entries order by keyspace, then by key, then newest version first, then by kind. Pure functions.
/// </summary>
/// <remarks>
/// The order is not memcmp of the whole: the trailer begins with a byte of 0xFF or so, which would put "ab" before "a". The part
/// before the trailer is compared first, then the trailer.
/// </remarks>
internal static unsafe class InternalKey
{
    /// <summary>Bytes of the keyspace.</summary>
    public const int KeyspaceBytes = sizeof(uint);

    /// <summary>Bytes of version and kind.</summary>
    public const int TrailerBytes = sizeof(ulong) + 1;

    /// <summary>Bytes around the user's key.</summary>
    public const int OverheadBytes = KeyspaceBytes + TrailerBytes;

    /// <summary>
    /// A kind after all kinds. With a key and a version it is the end of what lies at this version; together with version 0, the end of the
    /// key.
    /// </summary>
    public const EntryKind AfterAllKinds = (EntryKind)0xFF;

    /// <summary>Bytes of the internal key of a user's key.</summary>
    public static int Size(int keyLength) => keyLength + OverheadBytes;

    /// <summary>
    /// Writes an internal key and returns its length. To seek the newest entry at or below a version, write that version with kind 0.
    /// </summary>
    public static int Write(Span<byte> destination, uint keyspace, ReadOnlySpan<byte> key, Core.Version version, EntryKind kind)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, keyspace);
        key.CopyTo(destination[KeyspaceBytes..]);
        WriteTrailer(destination[(KeyspaceBytes + key.Length)..], version, kind);
        return Size(key.Length);
    }

    /// <summary>Writes version and kind.</summary>
    public static void WriteTrailer(Span<byte> destination, Core.Version version, EntryKind kind)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, ~version.Value);
        destination[sizeof(ulong)] = (byte)kind;
    }

    /// <summary>True when the bytes can be an internal key.</summary>
    public static bool IsWellFormed(ReadOnlySpan<byte> internalKey) =>
        internalKey.Length >= OverheadBytes
        && internalKey[^1] <= (byte)EntryKind.PutTyped
        && GetVersion(internalKey).Value <= Core.Version.MaxValue;

    /// <summary>The keyspace.</summary>
    public static uint GetKeyspace(ReadOnlySpan<byte> internalKey) => BinaryPrimitives.ReadUInt32BigEndian(internalKey);

    /// <summary>The user's key.</summary>
    public static ReadOnlySpan<byte> GetKey(ReadOnlySpan<byte> internalKey) => internalKey[KeyspaceBytes..^TrailerBytes];

    /// <summary>Keyspace and user's key: what all versions of one key have in common.</summary>
    public static ReadOnlySpan<byte> GetPrefix(ReadOnlySpan<byte> internalKey) => internalKey[..^TrailerBytes];

    /// <summary>The version.</summary>
    public static Core.Version GetVersion(ReadOnlySpan<byte> internalKey) =>
        new(~BinaryPrimitives.ReadUInt64BigEndian(internalKey[^TrailerBytes..]));

    /// <summary>What the entry is.</summary>
    public static EntryKind GetKind(ReadOnlySpan<byte> internalKey) => (EntryKind)internalKey[^1];

    /// <summary>Splits an internal key.</summary>
    public static void Split(
        ReadOnlySpan<byte> internalKey, out uint keyspace, out ReadOnlySpan<byte> key, out Core.Version version, out EntryKind kind)
    {
        keyspace = GetKeyspace(internalKey);
        key = GetKey(internalKey);
        version = GetVersion(internalKey);
        kind = GetKind(internalKey);
    }

    /// <summary>Orders two internal keys.</summary>
    public static int Compare(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        int order = GetPrefix(a).SequenceCompareTo(GetPrefix(b));
        return order != 0 ? order : CompareTrailers(a, b);
    }

    /// <summary>True when two entries are of one user's key (in one keyspace).</summary>
    public static bool SamePrefix(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b) =>
        a.Length == b.Length && GetPrefix(a).SequenceEqual(GetPrefix(b));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int CompareTrailers(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        ulong va = BinaryPrimitives.ReadUInt64BigEndian(a[^TrailerBytes..]);
        ulong vb = BinaryPrimitives.ReadUInt64BigEndian(b[^TrailerBytes..]);
        return va != vb ? (va < vb ? -1 : 1) : a[^1] - b[^1];
    }

    /// <summary>Readable form, for messages and dumps.</summary>
    public static string Describe(ReadOnlySpan<byte> internalKey)
    {
        if (internalKey.Length < OverheadBytes)
        {
            return $"malformed key 0x{Convert.ToHexString(internalKey)}";
        }

        Split(internalKey, out uint keyspace, out ReadOnlySpan<byte> key, out Core.Version version, out EntryKind kind);
        return $"{keyspace}/{DescribeKey(key)}@{version} {kind}";
    }

    /// <summary>A user's key as quoted text when it is printable ASCII, else in hex; long ones are cut.</summary>
    public static string DescribeKey(ReadOnlySpan<byte> key)
    {
        ReadOnlySpan<byte> shown = key.Length > 64 ? key[..64] : key;
        string rest = key.Length > 64 ? $"… ({key.Length} bytes)" : "";
        return shown.ContainsAnyExceptInRange((byte)0x20, (byte)0x7E)
            ? "0x" + Convert.ToHexString(shown) + rest
            : "'" + System.Text.Encoding.ASCII.GetString(shown) + "'" + rest;
    }
}
