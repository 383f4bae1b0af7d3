using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>
/// Replaces a shard's state by a snapshot, chunk by chunk, on the shard's worker. From the first chunk until <see cref="Complete"/> the
/// state machine serves nothing; a record in the engine, durable before anything is dropped, says so over a crash as well, and goes away in
/// the same batch that makes the new state whole.
/// </summary>
/// <remarks>
/// The engine is flushed (which blocks) before the old state is dropped and when the new one is whole. After an error, or when disposed of
/// before it is complete, the replica is left in <see cref="MachineState.NeedsSnapshot"/>, and another installation can begin.
/// </remarks>
internal sealed class ShardSnapshotInstaller : IDisposable
{
    private const int BatchBytes = 1024 * 1024;
    private const ulong AfterAllMarkers = 1 << 24;

    private readonly ShardStateMachine _machine;
    private readonly IStorageEngine _engine;
    private readonly WriteBatch _batch = new(BatchBytes);
    private readonly uint _userKeyspace;
    private readonly uint _systemKeyspace;
    private byte[] _incomplete = [];
    private int _incompleteLength;
    private uint _sequence;
    private SnapshotMeta _meta;
    private Core.Version _lastVersion;
    private Core.Version _floor;
    private Core.Version _markerVersion;
    private ulong _systemCount;
    private ulong _entryCount;
    private bool _begun;
    private bool _ended;
    private bool _completed;

    internal ShardSnapshotInstaller(ShardStateMachine machine)
    {
        _machine = machine;
        _engine = machine.Engine;
        _userKeyspace = SystemKeys.UserKeyspace(machine.Shard);
        _systemKeyspace = SystemKeys.SystemKeyspace(machine.Shard);
    }

    /// <summary>True when all chunks have been taken: then call <see cref="Complete"/>.</summary>
    public bool HasAll => _ended && _incompleteLength == 0;

    /// <summary>
    /// Takes the next chunk. Throws <see cref="HengeException"/>: Corruption for a damaged one, or one out of order; InvalidArgument when
    /// the snapshot is of another shard, or not newer than what is there (then nothing was changed).
    /// </summary>
    public void Write(ReadOnlySpan<byte> chunk)
    {
        Invariant.Check(!_completed);
        Append(SnapshotFormat.ReadChunk(chunk, _sequence));
        _sequence++;
        int at = 0;
        while (TryTakeRecord(ref at, out ReadOnlySpan<byte> record))
        {
            Take(record);
        }

        _incomplete.AsSpan(at, _incompleteLength - at).CopyTo(_incomplete);
        _incompleteLength -= at;
        if (_batch.ByteCount >= BatchBytes)
        {
            ApplyBatch();
        }
    }

    /// <summary>
    /// Makes the new state whole and durable, and lets the state machine serve it. The replica may drop its log before the snapshot's index
    /// after that.
    /// </summary>
    public SnapshotMeta Complete()
    {
        Invariant.Check(HasAll && !_completed);
        _machine.WriteInstalled(_batch, _meta, _lastVersion, _floor);
        _batch.Delete(_systemKeyspace, SystemKeys.Install, _markerVersion.Next);
        _batch.SetPosition(SystemKeys.Stream(_machine.Shard), _meta.Index.Value);
        ApplyBatch();
        _engine.Flush();

        // It is gone and durably so; now nothing of the old state is left that a read or a compaction could have to look at, should it be
        // damaged.
        _engine.DropRange(_systemKeyspace, SystemKeys.Install, [SystemKeys.InstallTag + 1]);
        _completed = true;
        _machine.LeaveInstall();
        return _meta;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_begun && !_completed)
        {
            _machine.AbortInstall();
        }

        _incomplete = [];
    }

    private static HengeException Damaged(string what) => new(ErrorCode.Corruption, $"A snapshot is damaged: {what}.");

    private void Append(ReadOnlySpan<byte> bytes)
    {
        int needed = checked(_incompleteLength + bytes.Length);
        if (needed > _incomplete.Length)
        {
            Array.Resize(ref _incomplete, Math.Max(needed, _incomplete.Length * 2));
        }

        bytes.CopyTo(_incomplete.AsSpan(_incompleteLength));
        _incompleteLength = needed;
    }

    private bool TryTakeRecord(ref int at, out ReadOnlySpan<byte> record)
    {
        record = default;
        ReadOnlySpan<byte> rest = _incomplete.AsSpan(at, _incompleteLength - at);
        if (!Varint.TryRead(rest, out ulong length, out int size))
        {
            return rest.Length >= Varint.MaxBytes ? throw Damaged("a record has no length") : false;
        }

        if (length is 0 or > SnapshotFormat.MaxRecordBytes)
        {
            throw Damaged($"a record says that it has {length} bytes");
        }

        if ((ulong)(rest.Length - size) < length)
        {
            return false;
        }

        record = rest.Slice(size, (int)length);
        at += size + (int)length;
        return true;
    }

    private void Take(ReadOnlySpan<byte> record)
    {
        if (_ended)
        {
            throw Damaged("there is more after its end");
        }

        var reader = new SpanReader(record[1..]);
        if (!_begun)
        {
            if (record[0] != SnapshotFormat.HeaderRecord)
            {
                throw Damaged("it does not begin with a header");
            }

            Begin(reader.Rest);
            return;
        }

        switch (record[0])
        {
            case SnapshotFormat.SystemRecord:
                TakeSystem(ref reader);
                break;
            case SnapshotFormat.EntryRecord:
                TakeEntry(ref reader);
                break;
            case SnapshotFormat.EndRecord:
                if (
                    !reader.TryReadUInt64(out ulong systems)
                    || !reader.TryReadUInt64(out ulong entries)
                    || systems != _systemCount
                    || entries != _entryCount)
                {
                    throw Damaged("the counts at its end do not agree");
                }

                _ended = true;
                break;
            default:
                throw Damaged($"it has a record of type {record[0]}");
        }
    }

    private void Begin(ReadOnlySpan<byte> header)
    {
        if (header.Length < 1 || header[0] is < SnapshotFormat.OldestFormat or > SnapshotFormat.Format)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"The snapshot is of format {(header.Length > 0 ? header[0] : 0)}; this build knows {SnapshotFormat.OldestFormat} to "
                    + $"{SnapshotFormat.Format}. Bring both nodes to one version of Henge.");
        }

        if (header.Length is < 37 or > 37 + SnapshotMeta.MaxExtraBytes)
        {
            throw Damaged("its header is not well formed");
        }

        var shard = new ShardId(BinaryPrimitives.ReadUInt32LittleEndian(header[1..]));
        _meta = new SnapshotMeta(
            new LogIndex(BinaryPrimitives.ReadUInt64LittleEndian(header[5..])),
            new Term(BinaryPrimitives.ReadUInt64LittleEndian(header[13..])),
            header[37..].ToArray());
        _lastVersion = new Core.Version(BinaryPrimitives.ReadUInt64LittleEndian(header[21..]));
        _floor = new Core.Version(BinaryPrimitives.ReadUInt64LittleEndian(header[29..]));
        if (_lastVersion.Value > Core.Version.MaxValue || _floor.Value > Core.Version.MaxValue)
        {
            throw Damaged("its header is not well formed");
        }

        if (shard != _machine.Shard || (_machine.State == MachineState.Ready && !IsWanted(_meta.Index)))
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"The snapshot is of shard {shard} up to entry {_meta.Index}, and the replica is of shard {_machine.Shard} and has applied "
                    + $"{_machine.AppliedIndex}.");
        }

        _begun = true;
        _machine.EnterInstall();
        _markerVersion = NextMarkerVersion();
        _batch.Put(_systemKeyspace, SystemKeys.Install, _markerVersion, default);
        ApplyBatch();

        // The marker must be durable before what it warns of can happen.
        _engine.Flush();
        _engine.DropRange(_userKeyspace, default, default);
        _engine.DropRange(_systemKeyspace, default, SystemKeys.Install);
        _engine.DropRange(_systemKeyspace, [SystemKeys.InstallTag + 1], default);
    }

    // State that is damaged is replaced by a whole one of the same index, too.
    private bool IsWanted(LogIndex index) =>
        index > _machine.AppliedIndex || (index == _machine.AppliedIndex && _machine.Damage is not null);

    private void TakeSystem(ref SpanReader reader)
    {
        if (!reader.TryReadVarint(out ulong version) || version > Core.Version.MaxValue || !reader.TryReadBytes(out ReadOnlySpan<byte> key)
            || key.IsEmpty || key[0] is not (SystemKeys.SessionTag or SystemKeys.ExpiryTag))
        {
            throw Damaged("a record of the shard's own is not well formed");
        }

        _batch.Put(_systemKeyspace, key, new Core.Version(version), reader.Rest);
        _systemCount++;
        ApplyFullBatch();
    }

    private void TakeEntry(ref SpanReader reader)
    {
        if (
            !reader.TryReadVarint(out ulong kind)
            || kind > (ulong)EntryKind.PutTyped
            || !reader.TryReadVarint(out ulong version)
            || version > Core.Version.MaxValue
            || !reader.TryReadVarint(out ulong header)
            || header > long.MaxValue
            || !reader.TryReadBytes(out ReadOnlySpan<byte> key)
            || !Fits((EntryKind)kind, (long)header))
        {
            throw Damaged("an entry is not well formed");
        }

        if (kind == (ulong)EntryKind.Delete)
        {
            _batch.Delete(_userKeyspace, key, new Core.Version(version));
        }
        else
        {
            _batch.Put(
                _userKeyspace,
                key,
                new Core.Version(version),
                reader.Rest,
                EntryHeader.ExpiresAtMs((long)header),
                EntryHeader.Type((long)header));
        }

        _entryCount++;
        ApplyFullBatch();
    }

    private static bool Fits(EntryKind kind, long header) => kind switch
    {
        EntryKind.PutTyped => EntryHeader.Type(header) == DataType.Hash,
        EntryKind.PutExpiring => header != 0 && EntryHeader.Type(header) == DataType.Bytes,
        _ => header == 0,
    };

    private void ApplyFullBatch()
    {
        if (_batch.ByteCount >= BatchBytes)
        {
            ApplyBatch();
        }
    }

    private void ApplyBatch()
    {
        _engine.Apply(_batch, sync: false);
        _batch.Clear();
    }

    // Later than whatever an earlier installation left at this key, so that it is the newest there; and a count of its own, far below the
    // versions of writes. Above the last write it would raise what the keyspace shows, and a snapshot taken afterwards would show sessions
    // of the write that comes next (docs/simulation.md, seed 2001073).
    private Core.Version NextMarkerVersion()
    {
        using EngineIterator markers = _engine.CreateIterator(new IteratorOptions
        {
            Keyspace = _systemKeyspace,
            Point = new ReadPoint(Core.Version.Max, 0),
            Lower = SystemKeys.Install.ToArray(),
            Upper = new byte[] { SystemKeys.InstallTag + 1 },
            AllVersions = true,
        });
        try
        {
            markers.SeekToFirst();
            return markers.Valid ? markers.Version.Next : new Core.Version(1);
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            // What is there cannot be read. Each installation has raised it by one, so this is later; and it is far below any version of a
            // write.
            return new Core.Version(AfterAllMarkers);
        }
    }
}
