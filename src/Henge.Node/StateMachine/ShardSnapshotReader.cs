using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>
/// Reads a snapshot of a shard: all that the engine held at one applied index, as a stream of checksummed chunks. Made on the shard's
/// worker; then to be used by one thread at a time, any. Holds an engine snapshot until disposed of; memory is one record and what the
/// caller's buffer takes.
/// </summary>
internal sealed class ShardSnapshotReader : IDisposable
{
    private enum Stage : byte
    {
        System,
        Entries,
        End,
        Done,
    }

    private readonly IEngineSnapshot _snapshot;
    private readonly ShardId _shard;
    private readonly ArrayBufferWriter<byte> _body = new();
    private readonly ArrayBufferWriter<byte> _record = new();
    private EngineIterator? _iterator;
    private int _sent;
    private uint _sequence;
    private ulong _systemCount;
    private ulong _entryCount;
    private Stage _stage;
    private bool _disposed;

    internal ShardSnapshotReader(ShardId shard, IEngineSnapshot snapshot, SnapshotMeta meta, Core.Version lastVersion, Core.Version floor)
    {
        _shard = shard;
        _snapshot = snapshot;
        Meta = meta;
        LastVersion = lastVersion;
        Span<byte> head = _body.GetSpan(37);
        head[0] = SnapshotFormat.Format;
        BinaryPrimitives.WriteUInt32LittleEndian(head[1..], shard.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(head[5..], meta.Index.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(head[13..], meta.Term.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(head[21..], lastVersion.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(head[29..], floor.Value);
        _body.Advance(37);
        _body.Write(meta.Extra.Span);
        Frame(SnapshotFormat.HeaderRecord);
    }

    /// <summary>A deliberate bug, for the simulator only: leaves out who has written what.</summary>
    internal bool WithoutSessions { get; init; }

    /// <summary>A deliberate bug, for the simulator only: hashes go out as plain values.</summary>
    internal bool WithoutTypes { get; init; }

    /// <summary>What it is a snapshot of.</summary>
    public SnapshotMeta Meta { get; }

    /// <summary>The last version in it.</summary>
    public Core.Version LastVersion { get; }

    /// <summary>
    /// Fills a buffer (at least <see cref="SnapshotFormat.MinChunkBytes"/>) with the next chunk; false when there is no more.
    /// <paramref name="isLast"/> with the last one.
    /// </summary>
    public bool TryRead(Span<byte> destination, out int written, out bool isLast)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, SnapshotFormat.MinChunkBytes, nameof(destination));
        destination = destination[..Math.Min(destination.Length, SnapshotFormat.MaxChunkBytes)];
        int at = SnapshotFormat.ChunkHeaderBytes;
        while (at < destination.Length && (_sent < _record.WrittenCount || MoveNext()))
        {
            int part = Math.Min(destination.Length - at, _record.WrittenCount - _sent);
            _record.WrittenSpan.Slice(_sent, part).CopyTo(destination[at..]);
            _sent += part;
            at += part;
        }

        isLast = _stage == Stage.Done && _sent == _record.WrittenCount;
        written = at > SnapshotFormat.ChunkHeaderBytes ? at : 0;
        if (written > 0)
        {
            SnapshotFormat.WriteChunkHeader(destination[..at], _sequence++);
        }

        return written > 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _iterator?.Dispose();
            _snapshot.Dispose();
        }
    }

    private bool MoveNext()
    {
        while (true)
        {
            switch (_stage)
            {
                case Stage.System:
                    if (MoveSystem())
                    {
                        return true;
                    }

                    NextStage();
                    break;
                case Stage.Entries:
                    if (MoveEntry())
                    {
                        return true;
                    }

                    NextStage();
                    break;
                case Stage.End:
                    Span<byte> counts = _body.GetSpan(16);
                    BinaryPrimitives.WriteUInt64LittleEndian(counts, _systemCount);
                    BinaryPrimitives.WriteUInt64LittleEndian(counts[8..], _entryCount);
                    _body.Advance(16);
                    Frame(SnapshotFormat.EndRecord);
                    _stage = Stage.Done;
                    return true;
                default:
                    return false;
            }
        }
    }

    private void NextStage()
    {
        _iterator?.Dispose();
        _iterator = null;
        _stage++;
    }

    private bool MoveSystem()
    {
        if (_iterator is null)
        {
            // Sessions and the expiry index; the other tags are about this replica alone.
            _iterator = _snapshot.CreateIterator(new IteratorOptions
            {
                Keyspace = SystemKeys.SystemKeyspace(_shard),
                Point = new ReadPoint(Core.Version.Max, 0),
                Lower = new byte[] { WithoutSessions ? SystemKeys.ExpiryTag : SystemKeys.SessionTag },
                Upper = new byte[] { SystemKeys.ExpiryTag + 1 },
            });
            _iterator.SeekToFirst();
        }
        else
        {
            _iterator.Next();
        }

        if (!_iterator.Valid)
        {
            return false;
        }

        _body.WriteVarint(_iterator.Version.Value);
        _body.WriteBytes(_iterator.Key);
        _body.Write(_iterator.Value);
        Frame(SnapshotFormat.SystemRecord);
        _systemCount++;
        return true;
    }

    private bool MoveEntry()
    {
        // From the last to the first, so that the versions of a key rise: the engine that takes them in relies on that.
        if (_iterator is null)
        {
            _iterator = _snapshot.CreateIterator(new IteratorOptions
            {
                Keyspace = SystemKeys.UserKeyspace(_shard),
                Point = new ReadPoint(Core.Version.Max, 0),
                AllVersions = true,
            });
            _iterator.SeekToLast();
        }
        else
        {
            _iterator.Prev();
        }

        if (!_iterator.Valid)
        {
            return false;
        }

        (EntryKind kind, DataType type) = (_iterator.Kind, _iterator.Type);
        if (WithoutTypes && kind == EntryKind.PutTyped)
        {
            (kind, type) = (_iterator.ExpiresAtMs == 0 ? EntryKind.Put : EntryKind.PutExpiring, DataType.Bytes);
        }

        _body.WriteVarint((ulong)kind);
        _body.WriteVarint(_iterator.Version.Value);
        _body.WriteVarint((ulong)EntryHeader.Join(type, _iterator.ExpiresAtMs));
        _body.WriteBytes(_iterator.Key);
        _body.Write(_iterator.Value);
        Frame(SnapshotFormat.EntryRecord);
        _entryCount++;
        return true;
    }

    private void Frame(byte type)
    {
        _record.ResetWrittenCount();
        Span<byte> head = _record.GetSpan(Varint.MaxBytes + 1);
        int at = Varint.Write(head, (ulong)_body.WrittenCount + 1);
        head[at] = type;
        _record.Advance(at + 1);
        _record.Write(_body.WrittenSpan);
        _body.ResetWrittenCount();
        _sent = 0;
    }
}
