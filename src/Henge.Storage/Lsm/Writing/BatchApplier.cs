using System.Runtime.CompilerServices;
using Henge.Core;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Compactions;
using Henge.Storage.Lsm.MemTables;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Lsm.Writing;

/// <summary>Puts batches into memtables, and keeps the positions and versions that go with them. Thread-safe.</summary>
internal sealed class BatchApplier
{
    private readonly EngineState _state;
    private readonly BackgroundWork _work;
    private readonly Func<ulong> _logEnd;
    private readonly Lock _positionsLock = new();
    private readonly Dictionary<uint, ulong> _positions;
    private readonly HybridClock _clock;
    private long _bytesIn;
    private ulong _lastStamp;

    public BatchApplier(EngineState state, BackgroundWork work, Func<ulong> logEnd)
    {
        _state = state;
        _work = work;
        _logEnd = logEnd;
        _clock = new HybridClock(state.Parts.Options.Time);
        _positions = new Dictionary<uint, ulong>(state.DurablePositions);
        foreach ((uint stream, ulong position) in state.GetPositionsInMemory())
        {
            _positions[stream] = position;
        }
    }

    public long BytesIn => Interlocked.Read(ref _bytesIn);

    /// <summary>Throws when a batch is not well formed, or has a key or value over its limit.</summary>
    public void Check(WriteBatch batch)
    {
        LsmOptions options = _state.Parts.Options;
        var reader = new WriteBatchReader(batch.Encoded);
        while (reader.MoveNext())
        {
            if (reader.IsPosition)
            {
                continue;
            }

            if (reader.Key.Length > options.MaxKeyBytes)
            {
                throw new HengeException(ErrorCode.TooLarge, $"A key has {reader.Key.Length} bytes; the most is {options.MaxKeyBytes}.");
            }

            if (reader.Value.Length > options.MaxValueBytes)
            {
                throw new HengeException(
                    ErrorCode.TooLarge,
                    $"A value has {reader.Value.Length} bytes; the most is {options.MaxValueBytes}.");
            }
        }

        if (reader.Damaged)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The batch is not well formed, so nothing of it was applied.");
        }
    }

    /// <summary>Gives the batch's entries that have no version the next one. Only one caller at a time.</summary>
    public Core.Version Stamp(WriteBatch batch)
    {
        if (_lastStamp == 0)
        {
            foreach ((_, Core.Version seen) in _state.Clocks.All())
            {
                _lastStamp = Math.Max(_lastStamp, seen.Value);
            }
        }

        Core.Version version = _clock.NextAfter(new Core.Version(_lastStamp));
        _lastStamp = version.Value;
        batch.Stamp(version);
        return version;
    }

    /// <summary>Adds the entries to a memtable that was entered; whole, they become visible to iterators.</summary>
    public void Apply(WriteBatch batch, WriteBuffer buffer)
    {
        Apply(batch.Encoded, buffer, _state.Clocks, this);
        Interlocked.Add(ref _bytesIn, batch.ByteCount);
    }

    /// <summary>Adds the entries to a memtable, and raises the clocks when all are in it; false when the bytes make no sense.</summary>
    [SkipLocalsInit]
    public static unsafe bool Apply(ReadOnlySpan<byte> encoded, WriteBuffer buffer, KeyspaceClocks clocks, BatchApplier? applier)
    {
        MemTable table = buffer.Table;
        var raises = new BatchRaises();
        Unsafe.SkipInit(out MemTableGroup group);
        group.Nodes.Count = 0;
        var reader = new WriteBatchReader(encoded);
        while (reader.MoveNext())
        {
            if (reader.IsPosition)
            {
                buffer.SetPosition(reader.Keyspace, reader.Position);
                applier?.SetPosition(reader.Keyspace, reader.Position);
                continue;
            }

            raises.See(clocks, reader.Keyspace, reader.Version);
            table.Add(ref group, reader.Kind, reader.Keyspace, reader.Key, reader.Version, reader.Value, reader.Header);
            if (group.IsFull)
            {
                table.AddGroup(&group);
            }
        }

        table.AddGroup(&group);
        raises.Raise(clocks, buffer);
        return !reader.Damaged;
    }

    /// <summary>Seals the memtable when it has reached its size, and sees to its flush.</summary>
    public void SealIfFull(WriteBuffer buffer)
    {
        if (buffer.Table.ApproximateBytes >= _state.Parts.Options.EffectiveMemTableBytes && _state.SealIfFull(buffer, _logEnd()))
        {
            _work.ScheduleFlush();
        }
    }

    public ulong GetPosition(uint stream)
    {
        lock (_positionsLock)
        {
            return _positions.GetValueOrDefault(stream);
        }
    }

    private void SetPosition(uint stream, ulong position)
    {
        lock (_positionsLock)
        {
            _positions[stream] = position;
        }
    }
}
