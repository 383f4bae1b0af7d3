using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Henge.Core;
using Henge.Storage.Lsm.Iterators;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.RocksDb;

/// <summary>
/// RocksDB behind Henge's interface, for comparison, and for those who trust nothing else: one entry for each version of a key, in an order
/// that RocksDB's own comparison gives (<c>RocksKey</c>), no history kept twice. Thread-safe.
/// </summary>
/// <remarks>
/// RocksDB reads and writes its files itself: the file-system seam, and with it faults on purpose and the simulator, do not reach them.
/// What a disk damages is found by its checksums; a damaged table that a compaction meets ends the engine, as RocksDB takes no more writes
/// then. A point read makes a cursor (about a microsecond more than a get of RocksDB), and allocates nothing on the managed heap.
/// </remarks>
public sealed unsafe class RocksDbEngine : IStorageEngine
{
    private const int StackKeyBytes = 512;
    private const string FormatLevel = "henge-rocksdb 1";
    private readonly RocksDbOptions _options;
    private readonly nint _pointReads;
    private readonly RocksUpkeep _upkeep;
    private readonly RocksWriter _writer;
    private readonly ConcurrentDictionary<uint, HengeException> _damage = [];
    private Exception? _failure;
    private long _pressureAtMs = long.MinValue;
    private int _pressure;
    private int _disposed;

    private RocksDbEngine(RocksDbOptions options)
    {
        _options = options;
        Handles = new RocksHandles(options);
        _pointReads = RocksHandles.CreateReadOptions(isScan: false, fillCache: true, snapshot: 0);
        try
        {
            CheckFormat();
            _writer = new RocksWriter(this, options);
            _upkeep = new RocksUpkeep(this, _writer, options);
        }
        catch
        {
            Rocks.readoptions_destroy(_pointReads);
            Handles.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Opens the engine in a directory of this machine's disk, and recovers what was acknowledged before.
    /// </summary>
    /// <exception cref="HengeException">
    /// <see cref="ErrorCode.Misconfigured"/>: the options make no sense, or the native library does not load here.
    /// <see cref="ErrorCode.Locked"/>: another process has it open. <see cref="ErrorCode.UnsupportedFormat"/>: RocksDB's files, and not
    /// written by this engine or by a build with this format. <see cref="ErrorCode.Corruption"/>: damaged; nothing was changed.
    /// </exception>
    public static RocksDbEngine Open(RocksDbOptions options)
    {
        options.Validate();
        System.IO.Directory.CreateDirectory(options.Directory);
        return new RocksDbEngine(options);
    }

    /// <inheritdoc/>
    public string Name => "rocksdb";

    /// <inheritdoc/>
    public event Action? Flushed
    {
        add => _upkeep.Flushed += value;
        remove => _upkeep.Flushed -= value;
    }

    /// <summary>
    /// What RocksDB says of itself, asked for at most every 10 ms: it is asked before each write.
    /// </summary>
    public WritePressure Pressure
    {
        get
        {
            long now = Environment.TickCount64;
            if (now - Volatile.Read(ref _pressureAtMs) >= 10 && _disposed == 0)
            {
                Volatile.Write(ref _pressureAtMs, now);
                WritePressure pressure = Handles.Property("rocksdb.is-write-stopped") != 0 ? WritePressure.Stop
                    : Handles.Property("rocksdb.actual-delayed-write-rate") != 0 ? WritePressure.SlowDown
                    : WritePressure.None;
                Volatile.Write(ref _pressure, (int)pressure);
            }

            return (WritePressure)Volatile.Read(ref _pressure);
        }
    }

    internal RocksHandles Handles { get; }

    /// <inheritdoc/>
    public void Apply(WriteBatch batch, bool sync = true)
    {
        ThrowIfUnusable();
        _writer.Apply(batch, sync);
        _upkeep.OnApplied(batch.Count, batch.ByteCount);
    }

    /// <inheritdoc/>
    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value) =>
        TryGet(_pointReads, keyspace, key, point, out value);

    /// <inheritdoc/>
    public EngineIterator CreateIterator(in IteratorOptions options) => CreateIterator(options, snapshot: 0);

    /// <inheritdoc/>
    public IEngineSnapshot CreateSnapshot()
    {
        ThrowIfUnusable();
        return new RocksDbSnapshot(this);
    }

    /// <inheritdoc/>
    public ulong GetPosition(uint stream) => _writer.GetPosition(stream);

    /// <inheritdoc/>
    public ulong GetDurablePosition(uint stream) => _writer.GetDurablePosition(stream);

    /// <inheritdoc/>
    public void RequestFlush()
    {
        ThrowIfUnusable();
        _upkeep.RequestFlush();
    }

    /// <inheritdoc/>
    public void Flush()
    {
        ThrowIfUnusable();
        _upkeep.Flush();
    }

    /// <inheritdoc/>
    public Core.Version HistoryFloor => _upkeep.Floor;

    /// <inheritdoc/>
    public void SetHistoryFloor(Core.Version floor)
    {
        ThrowIfUnusable();
        _upkeep.RaiseFloor(floor);
    }

    /// <inheritdoc/>
    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        ThrowIfUnusable();
        if (upper.IsEmpty || lower.SequenceCompareTo(upper) < 0)
        {
            _upkeep.DropRange(keyspace, lower, upper);
        }
    }

    /// <inheritdoc/>
    public void Checkpoint(string directory)
    {
        ThrowIfUnusable();
        _upkeep.Flush();
        byte* error = null;
        nint checkpoint = Rocks.checkpoint_object_create(Handles.Db, &error);
        Rocks.Check(error, _options.Directory);
        try
        {
            Rocks.checkpoint_create(checkpoint, directory, 0, &error);
            Rocks.Check(error, directory);
        }
        finally
        {
            Rocks.checkpoint_object_destroy(checkpoint);
        }
    }

    /// <summary>Damage that reads have met, under the keyspace that was read.</summary>
    public void TakeDamage(Action<uint, HengeException> found)
    {
        foreach ((uint keyspace, HengeException error) in _damage)
        {
            if (_damage.TryRemove(keyspace, out _))
            {
                found(keyspace, error);
            }
        }
    }

    /// <inheritdoc/>
    public long EstimateTableBytes(uint keyspace)
    {
        ThrowIfUnusable();
        Span<byte> bounds = stackalloc byte[32];
        int from = RocksKey.WriteBound(bounds, keyspace, default);
        int to = RocksKey.WriteEnd(bounds[16..], keyspace);
        ulong size = 0;
        byte* error = null;
        fixed (byte* begin = bounds)
        {
            byte* end = begin + 16;
            nuint beginLength = (nuint)from, endLength = (nuint)to;
            Rocks.approximate_sizes(Handles.Db, 1, &begin, &beginLength, &end, &endLength, &size, &error);
        }

        Rocks.Check(error, _options.Directory);
        return (long)size;
    }

    /// <inheritdoc/>
    public EngineStatistics GetStatistics()
    {
        ThrowIfUnusable();
        return new EngineStatistics
        {
            MemTableBytes = Handles.Property("rocksdb.cur-size-all-mem-tables"),
            TableBytes = Handles.Property("rocksdb.total-sst-files-size"),
            BytesIn = _writer.BytesIn,
            BlockCacheBytes = Handles.Property("rocksdb.block-cache-usage"),
            Flushes = _upkeep.Flushes,
            Entries = Handles.Property("rocksdb.estimate-num-keys"),
        };
    }

    /// <summary>
    /// Looks through everything for versions that no read can need any more, and has RocksDB compact all tables. Blocks until it is done.
    /// </summary>
    public void Compact()
    {
        ThrowIfUnusable();
        _upkeep.Sweep();
        Flush();
        Rocks.compact_range(Handles.Db, null, 0, null, 0);
    }

    /// <summary>
    /// Closes the engine. Readers that are under way must be done; iterators, snapshots and pinned values must have been disposed of.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _upkeep.Dispose();
            _writer.Dispose();
            Rocks.readoptions_destroy(_pointReads);
            Handles.Dispose();
        }
    }

    internal void ThrowIfUnusable()
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        if (Volatile.Read(ref _failure) is { } failure)
        {
            throw new IOException($"The engine has failed before, and takes nothing more: {failure.Message}", failure);
        }
    }

    /// <summary>Throws what a read met; damage is remembered under the keyspace.</summary>
    internal void Check(byte* error, uint keyspace)
    {
        if (error == null)
        {
            return;
        }

        try
        {
            Rocks.Check(error, _options.Directory);
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            _damage[keyspace] = e;
            throw;
        }
    }

    /// <summary>
    /// Throws what a write or a flush met. But for a full disk the engine is finished then: memory and disk may not agree.
    /// </summary>
    internal void CheckWrite(byte* error)
    {
        if (error == null)
        {
            return;
        }

        try
        {
            Rocks.Check(error, _options.Directory);
        }
        catch (Exception e) when (e is not HengeException { Code: ErrorCode.DiskFull })
        {
            Interlocked.CompareExchange(ref _failure, e, null);
            throw;
        }
    }

    internal HengeException Malformed(ReadOnlySpan<byte> rocksKey, uint keyspace)
    {
        HengeException error = new(
            ErrorCode.Corruption,
            $"RocksDB in {_options.Directory} has an entry that this engine did not write, under 0x{Convert.ToHexString(rocksKey)}.");
        _damage[keyspace] = error;
        return error;
    }

    internal EngineIterator CreateIterator(in IteratorOptions options, nint snapshot)
    {
        ThrowIfUnusable();
        return new LsmIterator(
            new RocksIterator(this, options.Keyspace, options.FillCache, snapshot), options, options.Point.At, static () => { });
    }

    [SkipLocalsInit]
    internal bool TryGet(nint readOptions, uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        ThrowIfUnusable();
        int most = RocksKey.MaxBytes(key.Length);
        byte[]? rented = null;
        Span<byte> sought = most <= StackKeyBytes ? stackalloc byte[StackKeyBytes] : rented = ArrayPool<byte>.Shared.Rent(most);
        try
        {
            return Find(readOptions, keyspace, sought[..RocksKey.Write(sought, keyspace, key, point.At)], point, out value);
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    private bool Find(nint readOptions, uint keyspace, ReadOnlySpan<byte> sought, ReadPoint point, out PinnedValue value)
    {
        value = default;
        nint iterator = Rocks.create_iterator(Handles.Db, readOptions);
        bool isKept = false;
        try
        {
            fixed (byte* from = sought)
            {
                Rocks.iter_seek(iterator, from, (nuint)sought.Length);
            }

            if (Rocks.iter_valid(iterator) == 0)
            {
                byte* error = null;
                Rocks.iter_get_error(iterator, &error);
                Check(error, keyspace);
                return false;
            }

            nuint keyLength, storedLength;
            byte* key = Rocks.iter_key(iterator, &keyLength);
            var rocksKey = new ReadOnlySpan<byte>(key, (int)keyLength);
            if (rocksKey.Length != sought.Length || !RocksKey.PrefixOf(rocksKey).SequenceEqual(RocksKey.PrefixOf(sought)))
            {
                return false;
            }

            byte* bytes = Rocks.iter_value(iterator, &storedLength);
            var stored = new ReadOnlySpan<byte>(bytes, (int)storedLength);
            if (!RocksKey.IsWellFormed(rocksKey, stored))
            {
                throw Malformed(rocksKey, keyspace);
            }

            Core.Version version = RocksKey.VersionOf(rocksKey, stored);
            int length = RocksKey.BodyOf(rocksKey, stored, out EntryKind kind).Length;
            byte* body = bytes + (stored.Length - length);
            long header = EntryHeader.IsIn(kind) ? BinaryPrimitives.ReadInt64LittleEndian(new ReadOnlySpan<byte>(body, length)) : 0;
            if (version > point.At || kind == EntryKind.Delete || !EntryHeader.IsAlive(header, point.NowMs))
            {
                return false;
            }

            int skipped = EntryHeader.IsIn(kind) ? EntryHeader.Bytes : 0;
            value = new PinnedValue(
                IteratorOwner.Instance, iterator, body + skipped, length - skipped, version, EntryHeader.ExpiresAtMs(header),
                EntryHeader.Type(header));
            isKept = true;
            return true;
        }
        finally
        {
            if (!isKept)
            {
                Rocks.iter_destroy(iterator);
            }
        }
    }

    // A database of somebody else must not be written to: its keys would be taken for damage.
    private void CheckFormat()
    {
        using RocksCursor cursor = new(Handles.Db);
        cursor.Seek(default);
        bool isEmpty = !cursor.Valid;
        cursor.Seek(RocksKey.Format);
        string level = cursor.Valid && cursor.Key.SequenceEqual(RocksKey.Format)
            ? System.Text.Encoding.UTF8.GetString(cursor.Value)
            : "";
        if (!isEmpty && level != FormatLevel)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                level.Length == 0
                    ? $"{_options.Directory} holds a database of RocksDB that Henge did not make. Nothing was changed."
                    : $"{_options.Directory} was written in the format '{level}', and this build knows '{FormatLevel}'. Nothing was changed.");
        }

        if (isEmpty)
        {
            nint batch = Rocks.writebatch_create();
            byte* error = null;
            byte[] text = System.Text.Encoding.UTF8.GetBytes(FormatLevel);
            fixed (byte* key = RocksKey.Format, value = text)
            {
                Rocks.writebatch_put(batch, key, (nuint)RocksKey.Format.Length, value, (nuint)text.Length);
            }

            Rocks.write(Handles.Db, Handles.Write, batch, &error);
            Rocks.writebatch_destroy(batch);
            Rocks.Check(error, _options.Directory);
            Rocks.flush(Handles.Db, Handles.FlushAndWait, &error);
            Rocks.Check(error, _options.Directory);
        }
    }

    private sealed class IteratorOwner : IPinOwner
    {
        public static readonly IteratorOwner Instance = new();

        public void Unpin(nint token) => Rocks.iter_destroy(token);
    }
}
