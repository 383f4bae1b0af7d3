using System.Diagnostics.CodeAnalysis;
using Henge.Core;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Settings;

namespace Henge.Storage.Lsm.State;

/// <summary>
/// What an engine consists of at a moment, and the only place where that changes: memtables are sealed here, edits go to the manifest here,
/// and readers take their <see cref="SuperVersion"/> here. Thread-safe.
/// </summary>
/// <remarks>
/// Two locks, taken in this order: the install lock for edits (held over the manifest's sync), the gate for memtables and the current super
/// version (never held over I/O).
/// </remarks>
internal sealed partial class EngineState : IDisposable
{
    // How many times as many tables in L0 as usual there may be while damage keeps compactions from going on.
    private const int DamagedL0Factor = 5;
    private readonly object _gate = new();
    private readonly Lock _install = new();
    private readonly ManifestState _manifestState;
    private ManifestFile _manifest;
    private bool _manifestMustRoll;
    private SuperVersion? _current;
    private WriteBuffer _active;
    private WriteBuffer[] _sealed = [];
    private LevelSet _levels;
    private Dictionary<uint, ulong> _durablePositions;
    private ulong _floor;
    private ulong _requestedFloor;
    private bool _blocksWriters;
    private ulong _epoch;
    private int _pressure;
    private volatile Exception? _failure;
    private volatile Exception? _compactionProblem;
    private volatile bool _closed;

    public EngineState(
        EngineParts parts,
        ManifestFile manifest,
        ManifestState manifestState,
        LevelSet levels,
        KeyspaceClocks clocks,
        List<WriteBuffer> buffers)
    {
        Parts = parts;
        _manifest = manifest;
        _manifestState = manifestState;
        _levels = levels;
        Clocks = clocks;
        _active = buffers[^1];
        _sealed = [.. buffers.Take(buffers.Count - 1).Reverse()];
        _floor = manifestState.HistoryFloor.Value;
        _requestedFloor = _floor;
        _epoch = manifestState.Epoch;
        _durablePositions = new Dictionary<uint, ulong>(manifestState.Positions);
        foreach ((uint keyspace, Core.Version version) in manifestState.KeyspaceVersions)
        {
            Clocks.Get(keyspace).Raise(version);
        }

        _current = new SuperVersion(_active, _sealed, levels);
        UpdatePressure();
    }

    public EngineParts Parts { get; }

    public KeyspaceClocks Clocks { get; }

    /// <summary>The only keyspaces that there are, in order; null when the owner has not said.</summary>
    public volatile uint[]? Keyspaces;

    /// <summary>Set while a flush or compaction found the disk full.</summary>
    public volatile bool DiskIsFull;

    /// <summary>What keeps compactions from going on, if anything does.</summary>
    public Exception? CompactionProblem
    {
        get => _compactionProblem;
        set
        {
            lock (_gate)
            {
                _compactionProblem = value;
                UpdatePressure();
                Monitor.PulseAll(_gate);
            }
        }
    }

    public WritePressure Pressure => (WritePressure)Volatile.Read(ref _pressure);

    /// <summary>
    /// True when writes have to wait. Not so when it is damage that lets L0 grow: an owner that replaces what is damaged does so by
    /// writing.
    /// </summary>
    public bool BlocksWriters => Volatile.Read(ref _blocksWriters);

    /// <summary>
    /// What versions may be dropped by: the floor that was asked for when the last memtable that is durable now was sealed. An owner that
    /// replays its log from the durable position executes commands again, and must find what they found: nothing that was still visible
    /// there may be gone.
    /// </summary>
    public Core.Version Floor => new(Volatile.Read(ref _floor));

    /// <summary>What was asked for.</summary>
    public Core.Version RequestedFloor => new(Volatile.Read(ref _requestedFloor));

    public bool IsClosed => _closed;

    /// <summary>True when a failed write, or an error of its own, has finished the engine.</summary>
    public bool HasFailed => _failure is not null;

    /// <summary>What is written now lies in this epoch.</summary>
    public ulong Epoch
    {
        get
        {
            lock (_gate)
            {
                return _epoch;
            }
        }
    }

    public ulong GetDurablePosition(uint stream) => Volatile.Read(ref _durablePositions).GetValueOrDefault(stream);

    public IReadOnlyDictionary<uint, ulong> DurablePositions => Volatile.Read(ref _durablePositions);

    /// <summary>Positions of batches that are in memory, oldest first.</summary>
    public IEnumerable<KeyValuePair<uint, ulong>> GetPositionsInMemory()
    {
        lock (_gate)
        {
            return [.. _sealed.Reverse().Append(_active).SelectMany(static buffer => buffer.GetPositions())];
        }
    }

    /// <summary>Moves the history floor up; false when it is there already.</summary>
    public bool RaiseFloor(Core.Version floor)
    {
        lock (_gate)
        {
            bool higher = floor.Value > _requestedFloor;
            if (higher)
            {
                Volatile.Write(ref _requestedFloor, floor.Value);
                if (_active.IsEmpty && _sealed.Length == 0)
                {
                    Volatile.Write(ref _floor, floor.Value);
                }
            }

            return higher;
        }
    }

    /// <summary>Throws when the engine is closed, or finished by a failed write.</summary>
    public void ThrowIfUnusable()
    {
        if (_failure is not null || _closed)
        {
            ThrowUnusable();
        }
    }

    /// <summary>
    /// Finishes the engine: what is in memory and what is on the disk may differ from now on, so nothing may be served any more.
    /// </summary>
    public void Fail(Exception error)
    {
        lock (_gate)
        {
            if (_failure is null)
            {
                _failure = error;
                Parts.Log($"The engine in {Parts.Directory} stops: {error.Message}");
            }

            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>The current state, with a reference that goes back by <see cref="StripedReferences.Release"/> and the stripe.</summary>
    public SuperVersion Acquire(out int stripe)
    {
        while (true)
        {
            SuperVersion? current = Volatile.Read(ref _current);
            if (current is null)
            {
                ThrowUnusable();
            }

            if (current.TryRetain(out stripe))
            {
                return current;
            }
        }
    }

    /// <summary>The memtable that is written, entered: leave it by <see cref="WriteBuffer.Exit"/>.</summary>
    public WriteBuffer EnterActive()
    {
        while (true)
        {
            WriteBuffer active = Volatile.Read(ref _active);
            if (active.TryEnter())
            {
                return active;
            }

            ThrowIfUnusable();
        }
    }

    /// <summary>Seals a memtable that has grown full, if there is room for another; true if so.</summary>
    public bool SealIfFull(WriteBuffer buffer, ulong logEnd)
    {
        lock (_gate)
        {
            if (buffer != _active || _closed)
            {
                return false;
            }

            bool seal = _sealed.Length < Parts.Options.MaxSealedMemTables;
            if (seal)
            {
                Seal(logEnd);
            }

            UpdatePressure();
            return seal;
        }
    }

    /// <summary>As <see cref="SealIfFull"/>, for the memtable that is written; true if it was sealed.</summary>
    public bool SealFullActive(ulong logEnd)
    {
        lock (_gate)
        {
            return !_closed && _active.Table.ApproximateBytes >= Parts.Options.EffectiveMemTableBytes && SealIfFull(_active, logEnd);
        }
    }

    /// <summary>Seals what is in memory, if anything is; true if so.</summary>
    public bool SealActive(ulong logEnd)
    {
        lock (_gate)
        {
            if (_closed || _active.IsEmpty)
            {
                return false;
            }

            Seal(logEnd);
            UpdatePressure();
            return true;
        }
    }

    /// <summary>Memtables that wait, oldest first.</summary>
    public WriteBuffer[] GetSealed()
    {
        lock (_gate)
        {
            return [.. _sealed.Reverse()];
        }
    }

    public long MemoryBytes
    {
        get
        {
            lock (_gate)
            {
                return _closed ? 0 : _active.Table.ApproximateBytes + _sealed.Sum(static buffer => buffer.Table.ApproximateBytes);
            }
        }
    }

    /// <summary>
    /// Waits until a state holds, running background work on this thread when the scheduler has no threads. False when nothing can bring it
    /// about.
    /// </summary>
    public bool WaitUntil(Func<bool> condition)
    {
        while (true)
        {
            lock (_gate)
            {
                ThrowIfUnusable();
                if (condition())
                {
                    return true;
                }

                if (Parts.Scheduler.HasThreads)
                {
                    // Woken by each change of state; the timeout is for what changes outside of the gate.
                    Monitor.Wait(_gate, 100);
                    continue;
                }
            }

            if (!Parts.Scheduler.TryRunOne())
            {
                lock (_gate)
                {
                    return condition();
                }
            }
        }
    }

    /// <summary>Wakes those who wait for a change.</summary>
    public void Pulse()
    {
        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Takes no more work; memory is freed when the last reader is done.</summary>
    public void Dispose()
    {
        SuperVersion? last;
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
            last = _current;
            Volatile.Write(ref _current, null);
            Monitor.PulseAll(_gate);
        }

        lock (_install)
        {
            last?.Close();
            _levels.Release();
            _manifest.Dispose();
            _active.Seal();
            _active.WaitUntilQuiet();
            _active.Table.Release();
            foreach (WriteBuffer buffer in _sealed)
            {
                buffer.Table.Release();
            }
        }
    }

    private void Seal(ulong logEnd)
    {
        WriteBuffer old = _active;
        old.FloorAtSeal = _requestedFloor;
        _sealed = [old, .. _sealed];
        Volatile.Write(ref _active, new WriteBuffer(Parts.Options.EffectiveMemTableBytes, _epoch, logEnd));
        old.Seal();
        Publish();
    }

    private void Publish()
    {
        if (_closed)
        {
            return;
        }

        SuperVersion? old = _current;
        Volatile.Write(ref _current, new SuperVersion(_active, _sealed, _levels));
        old?.Close();
    }

    private void UpdatePressure()
    {
        LsmOptions options = Parts.Options;
        int tables = _levels.Levels[0].Length;
        bool full = _sealed.Length >= options.MaxSealedMemTables;

        // An owner that replaces what is damaged does so by writing; if it were held up until compactions go on, they never would. But it
        // is asked to write nothing else once there are far too many tables.
        bool awaitsOwner = _compactionProblem is not null && options.OpenDamagedTables;
        bool blocks =
            (tables >= options.L0StopTrigger && !awaitsOwner)
            || (full && !_closed && _active.Table.ApproximateBytes >= options.EffectiveMemTableBytes);
        Volatile.Write(ref _blocksWriters, blocks);
        WritePressure pressure =
            blocks || tables >= options.L0StopTrigger * DamagedL0Factor ? WritePressure.Stop
            : tables >= options.L0SlowDownTrigger || full ? WritePressure.SlowDown
            : WritePressure.None;
        Volatile.Write(ref _pressure, (int)pressure);
    }

    [DoesNotReturn]
    private void ThrowUnusable()
    {
        if (_failure is HengeException { Code: ErrorCode.Internal } fault)
        {
            throw new HengeException(
                ErrorCode.Internal,
                $"The engine in {Parts.Directory} has stopped over an error of its own: {fault.Message} "
                    + "End the process; after a restart the engine recovers everything that was acknowledged. Please report it.",
                fault);
        }

        if (_failure is { } failure)
        {
            throw new IOException($"The engine in {Parts.Directory} has stopped, because a write to the disk failed: {failure.Message} "
                + "End the process; after a restart the engine recovers everything that was acknowledged.", failure);
        }

        throw new ObjectDisposedException("LsmEngine");
    }
}
