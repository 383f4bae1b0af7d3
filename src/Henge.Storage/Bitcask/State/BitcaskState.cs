using System.Diagnostics.CodeAnalysis;
using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// What an engine consists of at a moment: the manifest, the segments, and the view that readers take. Thread-safe.
/// </summary>
/// <remarks>
/// Locks, taken in this order: the writer's gate (<see cref="BatchWriter.Gate"/>), the install lock for the manifest (held over its sync),
/// the index lock for views and for replacing addresses (never held over I/O).
/// </remarks>
internal sealed class BitcaskState : IDisposable
{
    private readonly object _waiting = new();
    private readonly Lock _install = new();
    private readonly Lock _segmentsLock = new();
    private SegmentManifest _manifest;
    private Dictionary<uint, Segment> _segments;
    private IndexView? _view;
    private RangeDrop[] _drops;
    private ulong _requestedFloor;
    private ulong _durableFloor;
    private ulong _appliedEpoch;
    private volatile Exception? _failure;
    private volatile bool _closed;

    public BitcaskState(
        BitcaskOptions options,
        SegmentStore store,
        IBackgroundScheduler scheduler,
        SegmentManifest manifest,
        Dictionary<uint, Segment> segments,
        KeyspaceClocks clocks)
    {
        Options = options;
        Store = store;
        Scheduler = scheduler;
        Clocks = clocks;
        Obsolete = new ObsoleteFiles(store.Files, store.Directory, scheduler, options.Log);
        _manifest = manifest;
        _segments = segments;
        _drops = [.. manifest.Drops];
        _requestedFloor = manifest.Floor.Value;
        _durableFloor = manifest.Floor.Value;
        _appliedEpoch = manifest.Epoch;
        _view = new IndexView(1, [], Forget);
    }

    public BitcaskOptions Options { get; }

    public SegmentStore Store { get; }

    public IFileSystem Files => Store.Files;

    public string Directory => Options.Directory;

    public IBackgroundScheduler Scheduler { get; }

    public ObsoleteFiles Obsolete { get; }

    public KeyspaceClocks Clocks { get; }

    public ReadBuffers Buffers { get; } = new();

    public DamagedEntries Damage { get; } = new();

    /// <summary>Held while the current view, or an address in its indexes, is replaced.</summary>
    public Lock IndexLock { get; } = new();

    /// <summary>The only keyspaces that there are; null when the owner has not said.</summary>
    public volatile uint[]? Keyspaces;

    /// <summary>Set while a merge found the disk full.</summary>
    public volatile bool DiskIsFull;

    public bool IsClosed => _closed;

    /// <summary>True when a failed write or sync has finished the engine.</summary>
    public bool HasFailed => _failure is not null;

    /// <summary>What was asked for.</summary>
    public Core.Version RequestedFloor => new(Volatile.Read(ref _requestedFloor));

    /// <summary>
    /// What versions may be dropped by: the floor that was asked for when all that was applied before it became durable. An owner that
    /// replays its log from the durable position executes commands again, and must find what they found.
    /// </summary>
    public Core.Version DurableFloor => new(Volatile.Read(ref _durableFloor));

    /// <summary>The epoch of the last drop that the indexes show.</summary>
    public ulong AppliedEpoch
    {
        get => Volatile.Read(ref _appliedEpoch);
        set => Volatile.Write(ref _appliedEpoch, value);
    }

    /// <summary>The drops that segments still hold entries for.</summary>
    public RangeDrop[] Drops => Volatile.Read(ref _drops);

    /// <summary>All open files of segments, replaced ones that views may still read included.</summary>
    public IEnumerable<Segment> AllSegments => Volatile.Read(ref _segments).Values;

    /// <summary>The segments that count.</summary>
    public IEnumerable<Segment> ListedSegments => AllSegments.Where(static segment => segment.LastView == long.MaxValue);

    /// <summary>A segment by its number; null when nothing can reach it any more.</summary>
    public Segment? FindSegment(uint id) => Volatile.Read(ref _segments).GetValueOrDefault(id);

    public void AddSegment(Segment segment)
    {
        lock (_segmentsLock)
        {
            Volatile.Write(ref _segments, new Dictionary<uint, Segment>(_segments) { [segment.Id] = segment });
        }
    }

    /// <summary>Takes a segment out that came to nothing: no view has shown it.</summary>
    public void Discard(Segment segment)
    {
        Forget(segment);
    }

    public bool RaiseFloor(Core.Version floor) => Raise(ref _requestedFloor, floor.Value);

    public void RaiseDurableFloor(Core.Version floor) => Raise(ref _durableFloor, floor.Value);

    /// <summary>The current view, with a reference that goes back to it by the stripe.</summary>
    public IndexView Acquire(out int stripe)
    {
        while (true)
        {
            IndexView? view = Volatile.Read(ref _view);
            if (view is null)
            {
                ThrowUnusable();
            }

            if (view.TryRetain(out stripe))
            {
                return view;
            }
        }
    }

    /// <summary>
    /// Puts a table in place of a keyspace's index, or takes the index away. The caller holds <see cref="IndexLock"/>, and a reference
    /// to the table of its own.
    /// </summary>
    public void PublishTable(uint keyspace, MemTable? table)
    {
        if (_view is not { } current)
        {
            return;
        }

        var tables = new Dictionary<uint, MemTable>(current.Tables);
        if (table is null)
        {
            tables.Remove(keyspace);
        }
        else
        {
            tables[keyspace] = table;
        }

        Publish(tables, []);
    }

    /// <summary>The tables of all keyspaces, when the engine is opened. The caller keeps a reference to each.</summary>
    public void PublishAll(Dictionary<uint, MemTable> tables)
    {
        lock (IndexLock)
        {
            Publish(tables, []);
        }
    }

    /// <summary>
    /// A merge has replaced segments, and no address leads to them any more: they go when their readers are done.
    /// </summary>
    public void Retire(IReadOnlyList<Segment> segments)
    {
        lock (IndexLock)
        {
            if (_view is { } current)
            {
                Publish(current.Tables, segments);
            }
        }
    }

    /// <summary>The manifest of this moment; not to be changed.</summary>
    public SegmentManifest Manifest
    {
        get
        {
            lock (_install)
            {
                return _manifest;
            }
        }
    }

    /// <summary>Changes the manifest, durably. When it fails the old one counts, or the engine is finished.</summary>
    /// <exception cref="DiskFullException">Nothing was changed.</exception>
    public SegmentManifest Install(Action<SegmentManifest> change)
    {
        lock (_install)
        {
            ThrowIfUnusable();
            SegmentManifest next = _manifest.Clone();
            change(next);
            next.NextId = Store.NextId;
            next.Segments.Sort(static (a, b) => a.Id.CompareTo(b.Id));
            RetireDrops(next);
            try
            {
                next.Write(Files, Directory);
            }
            catch (DiskFullException)
            {
                throw;
            }
            catch (IOException error)
            {
                Fail(error);
                throw;
            }

            _manifest = next;
            Volatile.Write(ref _drops, [.. next.Drops]);
            return next;
        }
    }

    /// <summary>A write or sync failed: what is on the disk is not known any more. Every later call throws.</summary>
    public void Fail(Exception error)
    {
        Interlocked.CompareExchange(ref _failure, error, null);
        Pulse();
    }

    public void ThrowIfUnusable()
    {
        if (_failure is not null || _closed)
        {
            ThrowUnusable();
        }
    }

    /// <summary>Waits until a condition holds, running background work on this thread where it has none of its own.</summary>
    public bool WaitUntil(Func<bool> condition)
    {
        while (true)
        {
            lock (_waiting)
            {
                ThrowIfUnusable();
                if (condition())
                {
                    return true;
                }

                if (Scheduler.HasThreads)
                {
                    // Woken by each change of state; the timeout is for what changes without one.
                    Monitor.Wait(_waiting, 100);
                    continue;
                }
            }

            if (!Scheduler.TryRunOne())
            {
                return condition();
            }
        }
    }

    /// <summary>Wakes those who wait for a change.</summary>
    public void Pulse()
    {
        lock (_waiting)
        {
            Monitor.PulseAll(_waiting);
        }
    }

    /// <summary>Takes no more work; what readers hold stays until they are done.</summary>
    public void Dispose()
    {
        _closed = true;
        Pulse();
        lock (IndexLock)
        {
            IndexView? last = _view;
            Volatile.Write(ref _view, null);
            last?.Close();
        }
    }

    /// <summary>Closes the files, when nothing reads or writes any more.</summary>
    public void CloseFiles()
    {
        foreach (Segment segment in AllSegments)
        {
            segment.File.Dispose();
        }

        Buffers.Dispose();
    }

    private static bool Raise(ref ulong place, ulong value)
    {
        ulong seen = Volatile.Read(ref place);
        while (seen < value)
        {
            ulong now = Interlocked.CompareExchange(ref place, value, seen);
            if (now == seen)
            {
                return true;
            }

            seen = now;
        }

        return false;
    }

    private void Publish(Dictionary<uint, MemTable> tables, IReadOnlyList<Segment> replaced)
    {
        IndexView old = _view!;
        var next = new IndexView(old.Number + 1, tables, Forget);
        old.Precede(next, replaced);
        Volatile.Write(ref _view, next);
        old.Close();
    }

    // Called when no reader can be led there any more; on any thread.
    private void Forget(Segment segment)
    {
        Remove(segment);
        segment.File.Dispose();
        Obsolete.Add(BitcaskFiles.Segment(segment.Id));
        if (segment.HasHint)
        {
            Obsolete.Add(BitcaskFiles.Hint(segment.Id));
        }
    }

    private void Remove(Segment segment)
    {
        lock (_segmentsLock)
        {
            var segments = new Dictionary<uint, Segment>(_segments);
            segments.Remove(segment.Id);
            Volatile.Write(ref _segments, segments);
        }
    }

    // A drop is needed while a segment of an earlier epoch holds entries of its keyspace.
    private void RetireDrops(SegmentManifest manifest) => manifest.Drops.RemoveAll(drop => !manifest.Segments.Exists(listed =>
        listed.Epoch < drop.Epoch && FindSegment(listed.Id) is { } segment && segment.Keyspaces.ContainsKey(drop.Keyspace)));

    [DoesNotReturn]
    private void ThrowUnusable()
    {
        if (_failure is { } failure)
        {
            throw new IOException($"The engine in {Directory} has stopped, because a write to the disk failed: {failure.Message} "
                + "End the process; after a restart the engine recovers everything that was acknowledged.", failure);
        }

        throw new ObjectDisposedException("BitcaskEngine");
    }
}
