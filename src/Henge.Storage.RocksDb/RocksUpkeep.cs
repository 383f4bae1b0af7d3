using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Storage.RocksDb;

/// <summary>
/// What goes on beside reads and writes, on a thread of its own: flushes, and looking for old versions. Thread-safe.
/// </summary>
/// <remarks>
/// RocksDB flushes and compacts by itself; it does not know, however, which versions are needed no more. A sweep reads everything once for
/// about as many entries as were written since the last one, and deletes those versions as a user of RocksDB would: so its snapshots keep
/// what they see, dropped ranges stay dropped, and tombstones of RocksDB go the way they always go. A compaction filter would do it while
/// it rewrites tables anyway; but it sees entries that a dropped range hides, is not told whether older ones lie further below, and takes
/// away what snapshots see.
/// </remarks>
internal sealed unsafe class RocksUpkeep : IDisposable
{
    private const int RetryMs = 1_000;
    private const int DeletesInABatch = 1_000;
    private const int StepEntries = 1_024;
    private readonly RocksDbEngine _engine;
    private readonly RocksWriter _writer;
    private readonly RocksDbOptions _options;
    private readonly Lock _flushGate = new();
    private readonly Lock _sweepGate = new();
    private readonly Lock _dropGate = new();
    private readonly Lock _floorGate = new();
    private readonly object _signal = new();
    private readonly Thread _thread;
    private ulong _floor;
    private ulong _sweptFloor;
    private ulong _keptFloor;
    private long _bytesSinceFlush;
    private long _entriesSinceSweep;
    private long _flushes;
    private long _drops;
    private bool _isFlushWanted;
    private bool _isFlushTold = true;
    private bool _isStopping;

    public RocksUpkeep(RocksDbEngine engine, RocksWriter writer, RocksDbOptions options)
    {
        (_engine, _writer, _options) = (engine, writer, options);
        using (RocksCursor cursor = new(engine.Handles.Db))
        {
            cursor.Seek(RocksKey.Floor);
            if (cursor.Valid && cursor.Key.SequenceEqual(RocksKey.Floor) && cursor.Value.Length == sizeof(ulong))
            {
                _floor = _keptFloor = BinaryPrimitives.ReadUInt64LittleEndian(cursor.Value);
            }
        }

        _thread = new Thread(Run) { IsBackground = true, Name = "henge-rocksdb" };
        _thread.Start();
    }

    /// <summary>Raised on the thread after durable positions have moved.</summary>
    public event Action? Flushed;

    /// <summary>Versions below it may be gone.</summary>
    public Core.Version Floor => new(Volatile.Read(ref _floor));

    /// <summary>Flushes since the engine was opened.</summary>
    public long Flushes => Interlocked.Read(ref _flushes);

    /// <summary>A batch was applied.</summary>
    public void OnApplied(int entries, int bytes)
    {
        long sinceSweep = Interlocked.Add(ref _entriesSinceSweep, entries);
        if (Interlocked.Add(ref _bytesSinceFlush, bytes) >= _options.EffectiveMemTableBytes)
        {
            RequestFlush();
        }
        else if (sinceSweep >= _options.SweepEntries && sinceSweep - entries < _options.SweepEntries)
        {
            Signal();
        }
    }

    /// <summary>As <see cref="IStorageEngine.SetHistoryFloor"/>.</summary>
    public void RaiseFloor(Core.Version floor)
    {
        lock (_signal)
        {
            if (floor.Value > _floor)
            {
                Volatile.Write(ref _floor, floor.Value);
            }
        }
    }

    /// <summary>Has everything in memory flushed soon.</summary>
    public void RequestFlush()
    {
        lock (_signal)
        {
            _isFlushWanted = true;
            Monitor.PulseAll(_signal);
        }
    }

    /// <summary>Flushes everything in memory before it returns.</summary>
    public void Flush()
    {
        lock (_flushGate)
        {
            Interlocked.Exchange(ref _bytesSinceFlush, 0);
            Dictionary<uint, ulong> positions = _writer.CopyPositions();
            KeepFloor(Volatile.Read(ref _floor));
            byte* error = null;
            Rocks.flush(_engine.Handles.Db, _engine.Handles.FlushAndWait, &error);
            _engine.CheckWrite(error);
            _writer.OnFlushed(positions);
            Interlocked.Increment(ref _flushes);
        }

        lock (_signal)
        {
            _isFlushTold = false;
            Monitor.PulseAll(_signal);
        }
    }

    /// <summary>
    /// Hides a range. A sweep that is under way ends: what it has read may be there no more, and what is written from now on under the same
    /// keys and versions is not what it takes it for.
    /// </summary>
    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        lock (_dropGate)
        {
            _drops++;
            _writer.DropRange(keyspace, lower, upper);
        }

        Flush();
    }

    /// <summary>Deletes the versions that no read can need any more. Nothing when the floor has not moved since the last time.</summary>
    public void Sweep()
    {
        lock (_sweepGate)
        {
            Interlocked.Exchange(ref _entriesSinceSweep, 0);
            var floor = new Core.Version(Volatile.Read(ref _floor));
            if (floor.Value <= _sweptFloor)
            {
                return;
            }

            // Before anything is missing below it, and with it in one order: what survives a crash has the floor too.
            KeepFloor(floor.Value);
            if (SweepTo(floor))
            {
                _sweptFloor = floor.Value;
            }
        }
    }

    public void Dispose()
    {
        lock (_signal)
        {
            _isStopping = true;
            Monitor.PulseAll(_signal);
        }

        _thread.Join();
    }

    private void KeepFloor(ulong floor)
    {
        lock (_floorGate)
        {
            if (floor > _keptFloor)
            {
                _writer.Put(RocksKey.Floor, floor);
                _keptFloor = floor;
            }
        }
    }

    private void Signal()
    {
        lock (_signal)
        {
            Monitor.PulseAll(_signal);
        }
    }

    private bool IsSweepDue() => Interlocked.Read(ref _entriesSinceSweep) is var entries && entries >= _options.SweepEntries
        && Volatile.Read(ref _floor) > _sweptFloor && entries >= _engine.Handles.Property("rocksdb.estimate-num-keys") / 2;

    private void Run()
    {
        while (true)
        {
            bool flush, tell, sweep;
            lock (_signal)
            {
                while (true)
                {
                    if (_isStopping)
                    {
                        return;
                    }

                    (flush, tell, sweep) = (_isFlushWanted, !_isFlushTold, IsSweepDue());
                    if (flush || tell || sweep)
                    {
                        (_isFlushWanted, _isFlushTold) = (false, true);
                        break;
                    }

                    // The floor rises without a signal, and what is due by it can wait.
                    Monitor.Wait(_signal, RetryMs);
                }
            }

            if (tell)
            {
                Flushed?.Invoke();
            }

            if (!TryDo(flush, sweep))
            {
                return;
            }
        }
    }

    // False when the engine is finished: whoever calls it next is told why.
    private bool TryDo(bool flush, bool sweep)
    {
        try
        {
            if (flush)
            {
                Flush();
            }

            if (sweep)
            {
                Sweep();
            }
        }
        catch (HengeException e) when (e.Code == ErrorCode.DiskFull)
        {
            lock (_signal)
            {
                _isFlushWanted |= flush;
                if (!_isStopping)
                {
                    Monitor.Wait(_signal, RetryMs);
                }
            }
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption && !flush)
        {
            // A read of the sweep met damage, which is told of by the engine; what lies before it has been swept.
        }
        catch (Exception e) when (e is IOException or HengeException or ObjectDisposedException)
        {
            return false;
        }

        return true;
    }

    private bool SweepTo(Core.Version floor)
    {
        long drops;
        lock (_dropGate)
        {
            drops = _drops;
        }

        using RocksCursor cursor = new(_engine.Handles.Db);
        var garbage = new List<byte[]>();
        byte[] prefix = [];
        byte[]? hidden = null;
        bool isReached = false;
        int steps = 0;
        for (cursor.Seek([RocksKey.EntryTag]); cursor.Valid; cursor.Next())
        {
            ReadOnlySpan<byte> key = cursor.Key, value = cursor.Value;
            if (key[0] != RocksKey.EntryTag || !RocksKey.HasHistory(RocksKey.KeyspaceOf(key)))
            {
                break;
            }

            if (!RocksKey.IsWellFormed(key, value))
            {
                throw _engine.Malformed(key, RocksKey.KeyspaceOf(key));
            }

            if (++steps % StepEntries == 0 && Volatile.Read(ref _isStopping))
            {
                return false;
            }

            if (!RocksKey.PrefixOf(key).SequenceEqual(prefix))
            {
                EndKey(garbage, ref hidden);
                prefix = RocksKey.PrefixOf(key).ToArray();
                isReached = false;
            }

            if (garbage.Count >= DeletesInABatch && !TryDelete(garbage, drops))
            {
                return false;
            }

            if (isReached)
            {
                garbage.Add(key.ToArray());
            }
            else if (RocksKey.VersionOf(key, value) <= floor)
            {
                isReached = true;
                hidden = IsInvisible(key, value, floor) ? key.ToArray() : null;
            }
        }

        _engine.Check(cursor.Error, 0);
        EndKey(garbage, ref hidden);
        return TryDelete(garbage, drops);
    }

    private static bool IsInvisible(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version floor)
    {
        ReadOnlySpan<byte> body = RocksKey.BodyOf(key, value, out EntryKind kind);
        return kind == EntryKind.Delete
            || (EntryHeader.IsIn(kind) && !EntryHeader.IsAlive(BinaryPrimitives.ReadInt64LittleEndian(body), floor.Milliseconds));
    }

    // A tombstone goes after, or in one batch with, all that it hides.
    private static void EndKey(List<byte[]> garbage, ref byte[]? hidden)
    {
        if (hidden is not null)
        {
            garbage.Add(hidden);
            hidden = null;
        }
    }

    private bool TryDelete(List<byte[]> garbage, long drops)
    {
        lock (_dropGate)
        {
            if (_drops != drops)
            {
                return false;
            }

            _writer.WriteOne(batch =>
            {
                foreach (byte[] key in garbage)
                {
                    fixed (byte* bytes = key)
                    {
                        Rocks.writebatch_delete(batch, bytes, (nuint)key.Length);
                    }
                }
            });
        }

        garbage.Clear();
        return true;
    }
}
