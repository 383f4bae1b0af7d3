using Henge.Core;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>What a key is at a version: from the open batch, or pinned in the engine. Dispose of it.</summary>
internal ref struct CurrentEntry
{
    private PinnedValue _pin;
    private bool _pinned;

    public bool Exists { get; private set; }

    /// <summary>The version that wrote it; zero when it does not exist.</summary>
    public Core.Version Version { get; private set; }

    public long ExpiresAtMs { get; private set; }

    public ReadOnlySpan<byte> Value { get; private set; }

    public DataType Type { get; private set; }

    public static CurrentEntry From(ReadOnlySpan<byte> value, Core.Version version, long expiresAtMs, DataType type = DataType.Bytes) =>
        new() { Exists = true, Version = version, ExpiresAtMs = expiresAtMs, Value = value, Type = type };

    public static CurrentEntry From(PinnedValue pin) =>
        new()
        {
            Exists = true,
            Version = pin.Version,
            ExpiresAtMs = pin.ExpiresAtMs,
            Value = pin.Span,
            Type = pin.Type,
            _pin = pin,
            _pinned = true,
        };

    public void Dispose()
    {
        if (_pinned)
        {
            _pinned = false;
            _pin.Dispose();
        }
    }
}

/// <summary>
/// The writes of the open batch, and the view through them onto the engine: a command sees what earlier commands of the same batch did.
/// Commands of several parts stage their writes first, so that each key is written once at the command's version and an abandoned command
/// leaves nothing. Not thread-safe.
/// </summary>
internal sealed class PendingWrites
{
    private readonly IStorageEngine _engine;
    private readonly uint _keyspace;
    private readonly uint _system;
    private readonly BatchIndex _batchIndex;
    private readonly WriteBatch _stage = new();
    private readonly BatchIndex _stageIndex;
    private readonly List<int> _expired = [];
    private byte[] _indexKey = new byte[64];
    private bool _staging;

    public PendingWrites(IStorageEngine engine, ShardId shard)
    {
        _engine = engine;
        _keyspace = SystemKeys.UserKeyspace(shard);
        _system = SystemKeys.SystemKeyspace(shard);
        _batchIndex = new BatchIndex(Batch);
        _stageIndex = new BatchIndex(_stage);
    }

    /// <summary>What the engine will get.</summary>
    public WriteBatch Batch { get; } = new();

    /// <summary>Where in <see cref="Batch"/> the tombstones of expired keys begin, rising.</summary>
    public List<int> ExpiredOffsets => _expired;

    /// <summary>The earliest moment that was put into the expiry index since <see cref="Clear"/>.</summary>
    public long EarliestCheckMs { get; private set; } = long.MaxValue;

    /// <summary>The user's key as it is at a version.</summary>
    public CurrentEntry Get(ReadOnlySpan<byte> key, Core.Version version)
    {
        if (_staging && _stageIndex.TryFind(_keyspace, key, out WriteBatchReader staged, out _))
        {
            return Visible(staged, version);
        }

        return GetBelowStage(key, version);
    }

    /// <summary>Writes a value; one whose time has passed deletes the key instead.</summary>
    public void Put(
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> value,
        Core.Version version,
        long expiresAtMs,
        DataType type = DataType.Bytes)
    {
        if (expiresAtMs != 0 && expiresAtMs <= version.Milliseconds)
        {
            using CurrentEntry current = Get(key, version);
            if (current.Exists)
            {
                Delete(key, version, current);
            }
        }
        else if (_staging)
        {
            _stage.Put(_keyspace, key, version, value, expiresAtMs, type);
        }
        else
        {
            Emit(key, value, version, expiresAtMs, type);
        }
    }

    /// <summary>
    /// Deletes a key that exists: a tombstone always ends a value (the reason of an event is told from that, decision 0071).
    /// </summary>
    public void Delete(ReadOnlySpan<byte> key, Core.Version version, scoped in CurrentEntry current)
    {
        Invariant.Check(current.Exists);
        if (_staging)
        {
            _stage.Delete(_keyspace, key, version);
        }
        else
        {
            EmitDelete(key, version, current);
        }
    }

    /// <summary>Deletes a key whose time has come.</summary>
    public void DeleteExpired(ReadOnlySpan<byte> key, Core.Version version)
    {
        _expired.Add(Batch.ByteCount);
        Batch.Delete(_keyspace, key, version);
    }

    /// <summary>
    /// For a key that is not visible: true when what is newest of it is the value of a version, whose time has passed (or was, and the
    /// engine has collected it since: that happens when the deletion comes later than history is long).
    /// </summary>
    public bool IsNewest(ReadOnlySpan<byte> key, Core.Version dataVersion)
    {
        if (_batchIndex.TryFind(_keyspace, key, out WriteBatchReader entry, out _))
        {
            return entry.Kind != EntryKind.Delete && entry.Version == dataVersion;
        }

        return ExpiryIndex.IsNewest(_engine, _keyspace, key, dataVersion, orCollected: true);
    }

    /// <summary>True when the key was written to or deleted after a version.</summary>
    public bool IsWrittenAfter(ReadOnlySpan<byte> key, Core.Version version)
    {
        if (_batchIndex.TryFind(_keyspace, key, out WriteBatchReader entry, out _))
        {
            return entry.Version > version;
        }

        return NewestEntry.TryFind(_engine, _keyspace, key, out Core.Version newest, out _) && newest > version;
    }

    /// <summary>A record of the shard's own.</summary>
    public CurrentEntry GetSystem(ReadOnlySpan<byte> key)
    {
        if (_batchIndex.TryFind(_system, key, out WriteBatchReader entry, out _))
        {
            return entry.Kind == EntryKind.Delete ? default : CurrentEntry.From(entry.Value, entry.Version, 0);
        }

        return _engine.TryGet(_system, key, new ReadPoint(Core.Version.Max, 0), out PinnedValue pin) ? CurrentEntry.From(pin) : default;
    }

    public void PutSystem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version) =>
        Batch.Put(_system, key, version, value);

    public void DeleteSystem(ReadOnlySpan<byte> key, Core.Version version) => Batch.Delete(_system, key, version);

    /// <summary>
    /// Puts a key into the expiry index, to be looked at at a moment. <paramref name="dataVersion"/> is the version that wrote the value.
    /// </summary>
    public void IndexExpiry(ReadOnlySpan<byte> key, long checkAtMs, Core.Version dataVersion, Core.Version version)
    {
        Span<byte> value = stackalloc byte[Varint.MaxBytes];
        PutSystem(IndexKey(key, checkAtMs), value[..Varint.Write(value, dataVersion.Value)], version);
        EarliestCheckMs = Math.Min(EarliestCheckMs, checkAtMs);
    }

    /// <summary>From now on writes are staged.</summary>
    public void BeginStage()
    {
        Invariant.Check(!_staging);
        _staging = true;
    }

    /// <summary>Forgets what is staged.</summary>
    public void AbandonStage()
    {
        _stage.Clear();
        _stageIndex.Clear();
        _staging = false;
    }

    /// <summary>
    /// Moves what is staged into the batch: the last state of each key, and no tombstone for a key that was not there before.
    /// </summary>
    public void CommitStage(Core.Version version)
    {
        Invariant.Check(_staging);
        var reader = new WriteBatchReader(_stage.Encoded);
        int offset = 0;
        while (reader.MoveNext())
        {
            bool latest = _stageIndex.TryFind(_keyspace, reader.Key, out _, out int at) && at == offset;
            offset = _stage.ByteCount - reader.RemainingBytes;
            if (!latest)
            {
                continue;
            }

            if (reader.Kind != EntryKind.Delete)
            {
                Emit(reader.Key, reader.Value, version, reader.ExpiresAtMs, reader.Type);
                continue;
            }

            using CurrentEntry before = GetBelowStage(reader.Key, version);
            if (before.Exists)
            {
                EmitDelete(reader.Key, version, before);
            }
        }

        AbandonStage();
    }

    /// <summary>Makes it ready for the next batch.</summary>
    public void Clear()
    {
        Batch.Clear();
        _batchIndex.Clear();
        _expired.Clear();
        EarliestCheckMs = long.MaxValue;
    }

    // The record of a value that is deleted goes with it; it is under the first moment, or under the exact one.
    private void EmitDelete(ReadOnlySpan<byte> key, Core.Version version, scoped in CurrentEntry current)
    {
        Batch.Delete(_keyspace, key, version);
        if (current.ExpiresAtMs != 0)
        {
            long first = ExpiryIndex.FirstCheck(current.ExpiresAtMs, current.Version);
            DeleteSystem(IndexKey(key, first), version);
            if (first != current.ExpiresAtMs)
            {
                DeleteSystem(IndexKey(key, current.ExpiresAtMs), version);
            }
        }
    }

    private ReadOnlySpan<byte> IndexKey(ReadOnlySpan<byte> key, long checkAtMs)
    {
        int length = SystemKeys.ExpiryPrefixBytes + key.Length;
        if (_indexKey.Length < length)
        {
            _indexKey = new byte[length * 2];
        }

        SystemKeys.WriteExpiryPrefix(_indexKey, checkAtMs);
        key.CopyTo(_indexKey.AsSpan(SystemKeys.ExpiryPrefixBytes));
        return _indexKey.AsSpan(0, length);
    }

    private static CurrentEntry Visible(scoped in WriteBatchReader entry, Core.Version version) =>
        entry.Kind == EntryKind.Delete || (entry.ExpiresAtMs != 0 && entry.ExpiresAtMs <= version.Milliseconds)
            ? default
            : CurrentEntry.From(entry.Value, entry.Version, entry.ExpiresAtMs, entry.Type);

    private CurrentEntry GetBelowStage(ReadOnlySpan<byte> key, Core.Version version)
    {
        if (_batchIndex.TryFind(_keyspace, key, out WriteBatchReader pending, out _))
        {
            return Visible(pending, version);
        }

        return GetStored(key, version);
    }

    /// <summary>The user's key as the engine has it at a version, without the open batch.</summary>
    internal CurrentEntry GetStored(ReadOnlySpan<byte> key, Core.Version version) =>
        _engine.TryGet(_keyspace, key, ReadPoint.AsOf(version), out PinnedValue pin) ? CurrentEntry.From(pin) : default;

    private void Emit(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, long expiresAtMs, DataType type)
    {
        Batch.Put(_keyspace, key, version, value, expiresAtMs, type);
        if (expiresAtMs != 0)
        {
            IndexExpiry(key, ExpiryIndex.FirstCheck(expiresAtMs, version), version, version);
        }
    }
}
