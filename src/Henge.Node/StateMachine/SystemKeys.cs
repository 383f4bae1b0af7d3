using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// Where a shard keeps what: user data in the keyspace of the shard's number, its own records in the keyspace with the highest bit set,
/// each key beginning with a tag (docs/formats.md, "A shard's keyspaces").
/// </summary>
internal static class SystemKeys
{
    public const byte MetaTag = 0x01;
    public const byte InstallTag = 0x02;
    public const byte SessionTag = 0x03;
    public const byte ExpiryTag = 0x04;
    public const byte SnapshotTag = 0x05;

    public const int SessionKeyBytes = 11;
    public const int ExpiryPrefixBytes = 9;

    /// <summary>The key of the meta record.</summary>
    public static ReadOnlySpan<byte> Meta => [MetaTag];

    /// <summary>The key of the record about the snapshot that the replica was built from.</summary>
    public static ReadOnlySpan<byte> Snapshot => [SnapshotTag];

    /// <summary>The key of the record that is there while a snapshot is being installed.</summary>
    public static ReadOnlySpan<byte> Install => [InstallTag];

    public static uint UserKeyspace(ShardId shard) => shard.Value;

    public static uint SystemKeyspace(ShardId shard) => shard.Value | 0x8000_0000;

    /// <summary>The stream under which the engine keeps the shard's applied index.</summary>
    public static uint Stream(ShardId shard) => shard.Value;

    public static void WriteSessionKey(Span<byte> destination, ulong clientId, ushort slot)
    {
        destination[0] = SessionTag;
        BinaryPrimitives.WriteUInt64BigEndian(destination[1..], clientId);
        BinaryPrimitives.WriteUInt16BigEndian(destination[9..], slot);
    }

    public static bool TryReadSessionKey(ReadOnlySpan<byte> key, out ulong clientId, out ushort slot)
    {
        bool good = key.Length == SessionKeyBytes && key[0] == SessionTag;
        clientId = good ? BinaryPrimitives.ReadUInt64BigEndian(key[1..]) : 0;
        slot = good ? BinaryPrimitives.ReadUInt16BigEndian(key[9..]) : (ushort)0;
        return good;
    }

    public static void WriteExpiryPrefix(Span<byte> destination, long checkAtMs)
    {
        destination[0] = ExpiryTag;
        BinaryPrimitives.WriteUInt64BigEndian(destination[1..], (ulong)checkAtMs);
    }

    public static long ReadExpiryTime(ReadOnlySpan<byte> key) => (long)BinaryPrimitives.ReadUInt64BigEndian(key[1..]);
}
