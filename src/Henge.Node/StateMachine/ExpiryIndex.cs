using System.Buffers;
using System.Numerics;
using Henge.Core;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>
/// Finds keys whose time has come. Each value that ends has a record <c>tag | check time u64 BE | key → version</c> among the shard's own;
/// records are in the replicated state, so every replica has the same. Not thread-safe; for the worker.
/// </summary>
/// <remarks>
/// A put does not look at what it replaces, so records of replaced values stay until their time. To bound them where a key with a long time
/// to live is written again and again, check times are rounded down to about 1/64 of the time to live: such a key has at most about 128
/// records. A check that comes too early because of this writes an exact record (decision 0072).
/// </remarks>
internal sealed class ExpiryIndex(IStorageEngine engine, ShardId shard)
{
    // Times to live under about a minute are checked exactly.
    private const long ExactBelowMs = 65_536;
    private readonly ArrayBufferWriter<byte> _command = new();
    private long _scanFromMs;

    /// <summary>Nothing is due before this moment (milliseconds since the epoch of versions); a lower bound.</summary>
    public long NextDueMs { get; private set; }

    /// <summary>The moment under which a new value is put into the index.</summary>
    public static long FirstCheck(long expiresAtMs, Core.Version version)
    {
        long left = expiresAtMs - version.Milliseconds;
        if (left < ExactBelowMs)
        {
            return expiresAtMs;
        }

        long step = 1L << BitOperations.Log2((ulong)left / 64);
        return expiresAtMs & -step;
    }

    /// <summary>Values were put into the index, the earliest to be checked at a moment.</summary>
    public void Added(long checkAtMs)
    {
        NextDueMs = Math.Min(NextDueMs, checkAtMs);
        _scanFromMs = Math.Min(_scanFromMs, checkAtMs);
    }

    /// <summary>The index was replaced as a whole.</summary>
    public void Reset()
    {
        NextDueMs = 0;
        _scanFromMs = 0;
    }

    /// <summary>
    /// Adds commands for up to <paramref name="max"/> due records to an entry, and returns how many there were. What it gives is due until
    /// the commands are applied: ask again only after they were, or were lost.
    /// </summary>
    public int Collect(long nowMs, Core.Version floor, int max, EntryBuilder entry)
    {
        if (nowMs < NextDueMs)
        {
            return 0;
        }

        byte[] lower = Bound(_scanFromMs);
        using EngineIterator records = engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.SystemKeyspace(shard),
            Point = new ReadPoint(Core.Version.Max, 0),
            Lower = lower,
            Upper = new byte[] { SystemKeys.ExpiryTag + 1 },
        });
        records.SeekToFirst();
        _scanFromMs = records.Valid ? SystemKeys.ReadExpiryTime(records.Key) : long.MaxValue;
        NextDueMs = _scanFromMs;
        int count = 0;
        for (; count < max && entry.HasRoom && records.Valid && SystemKeys.ReadExpiryTime(records.Key) <= nowMs; records.Next(), count++)
        {
            ReadOnlySpan<byte> key = records.Key[SystemKeys.ExpiryPrefixBytes..];
            Core.Version indexed = ReadVersion(records.Value);
            long checkAtMs = SystemKeys.ReadExpiryTime(records.Key);
            _command.ResetWrittenCount();

            // Only where the check comes later than history is long can the value have been collected already.
            CommandEncoder.DeleteExpired(
                _command,
                key,
                checkAtMs,
                IsNewest(engine, SystemKeys.UserKeyspace(shard), key, indexed, checkAtMs <= floor.Milliseconds)
                    ? indexed
                    : Core.Version.Zero);
            entry.Add(_command.WrittenSpan);
        }

        return count;
    }

    /// <summary>The version of the value that an index record is about.</summary>
    public static Core.Version ReadVersion(ReadOnlySpan<byte> value) =>
        Varint.TryRead(value, out ulong version, out _) && version <= Core.Version.MaxValue
            ? new Core.Version(version)
            : throw new HengeException(ErrorCode.Corruption, "A record of the expiry index is not well formed.");

    /// <summary>
    /// True when the newest entry of a key is the value of a version. With <paramref name="orCollected"/> also when there is no entry, or
    /// only a tombstone that took the value's place: the engine forgets values whose time had passed at its history floor.
    /// </summary>
    public static bool IsNewest(IStorageEngine engine, uint keyspace, ReadOnlySpan<byte> key, Core.Version dataVersion, bool orCollected)
    {
        // Without orCollected only a value counts, so no iterator is made for a key that has none.
        if (!orCollected)
        {
            return engine.TryGet(keyspace, key, new ReadPoint(Core.Version.Max, 0), out PinnedValue value) && IsOf(value, dataVersion);
        }

        return !NewestEntry.TryFind(engine, keyspace, key, out Core.Version newest, out bool isValue)
            || (isValue ? newest == dataVersion : newest <= dataVersion);
    }

    private static bool IsOf(PinnedValue value, Core.Version version)
    {
        using (value)
        {
            return value.Version == version;
        }
    }

    private static byte[] Bound(long fromMs)
    {
        var key = new byte[SystemKeys.ExpiryPrefixBytes];
        SystemKeys.WriteExpiryPrefix(key, fromMs);
        return key;
    }
}
