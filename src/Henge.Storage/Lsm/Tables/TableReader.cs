using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// An open table. Thread-safe. Its index and filter stay in memory (off-heap); data blocks come through the cache.
/// </summary>
/// <remarks>
/// Reference counted: opened with one reference; when the last one goes, its blocks leave the cache and the file is closed.
/// Iterators hold one each; found values hold only their block (and so the cache must be disposed of after the tables).
/// </remarks>
internal sealed unsafe class TableReader
{
    private readonly IFile _file;
    private readonly BlockCache _cache;
    private readonly ulong _cacheKeys;
    private readonly TableIndex _index;
    private readonly byte* _filter;
    private readonly int _filterBytes;
    private readonly uint _filterBlocks;
    private readonly int _filterProbes;
    private readonly ulong _minVersion;
    private int _references = 1;

    private TableReader(
        IFile file,
        BlockCache cache,
        TableProperties properties,
        TableIndex index,
        byte* filter,
        BlockHandle filterHandle,
        int filterProbes)
    {
        _file = file;
        _cache = cache;
        _cacheKeys = cache.NewKeyRange();
        Properties = properties;
        _index = index;
        _filter = filter;
        FilterHandle = filterHandle;
        _filterBytes = filterHandle.Length;
        _filterBlocks = (uint)(filterHandle.Length / BloomFilter.BlockBytes);
        _filterProbes = filterProbes;
        _minVersion = properties.MinVersion.Value;
    }

    /// <summary>
    /// Opens a table and takes over the file (which is closed when this fails). Damage is a <see cref="HengeException"/> with
    /// <see cref="ErrorCode.Corruption"/>, an unknown format version one with <see cref="ErrorCode.UnsupportedFormat"/>.
    /// </summary>
    public static TableReader Open(IFile file, BlockCache cache)
    {
        try
        {
            return OpenCore(file, cache);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>About how many bytes of keys and values, before compression, a keyspace has here: by whole blocks.</summary>
    public long EstimateBytesOf(uint keyspace)
    {
        bool mayHave = BinaryPrimitives.ReadUInt32BigEndian(Properties.SmallestKey) <= keyspace
            && keyspace <= BinaryPrimitives.ReadUInt32BigEndian(Properties.LargestKey);
        double share = mayHave ? (double)_index.CountBlocksOf(keyspace) / _index.Count : 0;
        return (long)(share * (Properties.RawKeyBytes + Properties.RawValueBytes));
    }

    /// <summary>
    /// Stands for a table that the manifest lists and that cannot be opened: as one block, as wide as the table, of which each read says
    /// why. So what lies elsewhere is found, and nothing older is found in the place of what is lost.
    /// </summary>
    public static TableReader Unreadable(string path, TableMeta meta, HengeException error, BlockCache cache)
    {
        const int BlockBytes = 1;
        var builder = new IndexBuilder();
        builder.BeginBlock([], meta.Smallest);
        builder.EndBlock(BlockBytes, 1, meta.MaxVersion.Value);
        long end = TableFormat.HeaderBytes + BlockBytes + TableFormat.BlockTrailerBytes;
        TableIndex? index = TableIndex.Decode(builder.Finish(), end, out string? problem);
        Invariant.Check(index is not null, problem ?? "");
        var properties = new TableProperties
        {
            SmallestKey = meta.Smallest,
            LargestKey = meta.Largest,
            MinVersion = meta.MinVersion,
            MaxVersion = meta.MaxVersion,
            EntryCount = meta.Entries,
            TombstoneCount = meta.Tombstones,
            ExpiringCount = meta.Expiring,
            GarbageCount = meta.Garbage,
            MinExpiresAtMs = meta.Expiring > 0 ? 0 : long.MaxValue,
            RawKeyBytes = 0,
            RawValueBytes = 0,
            BlockCount = 1,
            FileBytes = meta.Bytes,
        };
        return new TableReader(new UnreadableFile(path, error), cache, properties, index, null, new BlockHandle(end, 0), 0);
    }

    private static TableReader OpenCore(IFile file, BlockCache cache)
    {
        long length = file.Length;
        if (length < TableFormat.HeaderBytes + TableFormat.FooterBytes)
        {
            throw TableFormat.Damaged(file.Path, 0, $"a file of {length} bytes is too short for a table");
        }

        Span<byte> frame = stackalloc byte[TableFormat.FooterBytes];
        ReadExactly(file, 0, frame[..TableFormat.HeaderBytes]);
        TableFormat.CheckHeader(frame, file.Path);
        ReadExactly(file, length - TableFormat.FooterBytes, frame);
        TableFormat.ReadFooter(frame, length, file.Path, out BlockHandle filter, out BlockHandle index, out BlockHandle properties);
        using MetaBlock propertiesBlock = ReadMetaBlock(file, properties);
        TableProperties? decoded = TablePropertiesFormat.Decode(propertiesBlock.Payload, length, out int probes);
        if (decoded is null || (filter.Length > 0 && probes == 0) || filter.Length % BloomFilter.BlockBytes != 0)
        {
            throw TableFormat.Damaged(file.Path, properties.Offset, "the properties make no sense");
        }

        using MetaBlock indexBlock = ReadMetaBlock(file, index);
        TableIndex? decodedIndex = TableIndex.Decode(indexBlock.Payload, filter.Offset, out string? error);
        if (decodedIndex is null)
        {
            throw TableFormat.Damaged(file.Path, index.Offset, error!);
        }

        byte* filterMemory = null;
        try
        {
            if (decodedIndex.Count != decoded.BlockCount)
            {
                throw TableFormat.Damaged(
                    file.Path,
                    index.Offset,
                    $"the index has {decodedIndex.Count} blocks, but the properties say {decoded.BlockCount}");
            }

            using MetaBlock filterBlock = ReadMetaBlock(file, filter);
            filterMemory = filter.Length == 0 ? null : OffHeap.AllocateAligned(filter.Length);
            filterBlock.Payload.CopyTo(new Span<byte>(filterMemory, filter.Length));
            return new TableReader(file, cache, decoded, decodedIndex, filterMemory, filter, probes);
        }
        catch
        {
            decodedIndex.Free();
            throw;
        }
    }

    /// <summary>What the table says about itself.</summary>
    public TableProperties Properties { get; }

    /// <summary>The file's name, for messages.</summary>
    public string Path => _file.Path;

    /// <summary>Called for each block that cannot be read, before the read fails. Any thread.</summary>
    internal Action<int, HengeException>? Damaged { get; set; }

    /// <summary>The index.</summary>
    internal TableIndex Index => _index;

    /// <summary>Where the filter lies.</summary>
    internal BlockHandle FilterHandle { get; }

    /// <summary>False when no version of the key is in the table, by the filter alone.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool MayContain(ulong hash) => _filterBlocks == 0 || BloomFilter.MayContain(_filter, _filterBlocks, _filterProbes, hash);

    /// <summary>
    /// The newest entry of a key at or below a version, tombstones included. Asks the filter first. A found value pins its block.
    /// Allocates nothing when the block is in the cache.
    /// </summary>
    public bool TryGet(in LookupKey key, out FoundEntry entry)
    {
        Unsafe.SkipInit(out entry);
        if (key.At.Value < _minVersion || !MayContain(key.Hash))
        {
            return false;
        }

        int number = _index.Find(key.Pointer, key.PrefixLength, key.At.Value, 0);
        if (!_cache.TryPin(_cacheKeys + (uint)number, out PinnedBlock block))
        {
            block = Load(number, fillCache: true);
        }

        BlockFormat.PrefetchKeys(block.Data);
        bool found = BlockFormat.TryFind(block.Data, key, ref entry);
        if (!found || entry.Kind == EntryKind.Delete)
        {
            block.Unpin();
            entry.Owner = null;
            return found;
        }

        entry.Owner = block.Owner;
        entry.Token = block.Token;
        return true;
    }

    /// <summary>An iterator; it holds a reference.</summary>
    public InternalIterator CreateIterator(in TableReadOptions options)
    {
        Retain();
        return new TableIterator(this, options);
    }

    /// <summary>The block that an internal key belongs to.</summary>
    internal int FindBlock(ReadOnlySpan<byte> internalKey)
    {
        fixed (byte* key = internalKey)
        {
            // The trailer's 9 bytes are the slack that comparisons need.
            return _index.Find(
                key, internalKey.Length - InternalKey.TrailerBytes, InternalKey.GetVersion(internalKey).Value, internalKey[^1]);
        }
    }

    /// <summary>Pins a data block if the cache has it.</summary>
    internal bool TryPinCached(int number, out PinnedBlock block) =>
        _cache.TryPin(_cacheKeys + (uint)number, out block);

    /// <summary>Reads a data block from the file, checks it, and pins it.</summary>
    internal PinnedBlock Load(int number, bool fillCache)
    {
        BlockHandle handle = _index.Block(number).Handle;
        int stored = handle.Length + TableFormat.BlockTrailerBytes;
        byte* data = BlockMemory.Allocate(stored);
        try
        {
            Span<byte> bytes = new(data, stored);
            ReadExactly(_file, handle.Offset, bytes);
            return Adopt(ref data, bytes, number, fillCache);
        }
        catch (Exception error)
        {
            BlockMemory.Free(data);
            ReportDamage(number, error);
            throw;
        }
    }

    /// <summary>
    /// Makes a block of stored bytes that lie in a buffer of the caller's. When they need no decompression and are not to be cached, they
    /// are used where they lie (<paramref name="inPlace"/>, with nothing pinned): <see cref="BlockMemory.SlackBytes"/> must be readable
    /// behind them.
    /// </summary>
    internal PinnedBlock LoadFrom(byte* stored, int number, bool fillCache, out bool inPlace)
    {
        BlockHandle handle = _index.Block(number).Handle;
        Span<byte> bytes = new(stored, handle.Length + TableFormat.BlockTrailerBytes);
        if (!fillCache && bytes[handle.Length] == (byte)BlockCodec.None)
        {
            CheckInPlace(stored, bytes, number);
            inPlace = true;
            return default;
        }

        inPlace = false;
        byte* data = BlockMemory.Allocate(bytes.Length);
        try
        {
            bytes.CopyTo(new Span<byte>(data, bytes.Length));
            return Adopt(ref data, new Span<byte>(data, bytes.Length), number, fillCache);
        }
        catch (Exception error)
        {
            BlockMemory.Free(data);
            ReportDamage(number, error);
            throw;
        }
    }

    private void CheckInPlace(byte* stored, Span<byte> bytes, int number)
    {
        BlockHandle handle = _index.Block(number).Handle;
        try
        {
            _ = TableFormat.CheckBlock(bytes, handle.Offset, Path);
            CheckFormat(stored, handle.Length, handle.Offset);
        }
        catch (Exception error)
        {
            ReportDamage(number, error);
            throw;
        }
    }

    private void ReportDamage(int number, Exception error)
    {
        if (error is HengeException { Code: ErrorCode.Corruption } damage)
        {
            Damaged?.Invoke(number, damage);
        }
    }

    /// <summary>Reads the stored bytes of a block and its neighbours behind it, not checked yet.</summary>
    internal void ReadRaw(int number, Span<byte> target)
    {
        try
        {
            ReadExactly(_file, _index.Block(number).Offset, target);
        }
        catch (Exception error)
        {
            // Which of them it was is not known: those that are whole are found so when they are read by themselves.
            long end = _index.Block(number).Offset + target.Length;
            for (int block = number; block < _index.Count && _index.Block(block).Offset < end; block++)
            {
                ReportDamage(block, error);
            }

            throw;
        }
    }

    private PinnedBlock Adopt(ref byte* data, Span<byte> stored, int number, bool fillCache)
    {
        long offset = _index.Block(number).Offset;
        int length = stored.Length - TableFormat.BlockTrailerBytes;
        BlockCodec codec = TableFormat.CheckBlock(stored, offset, Path);
        int allocated = stored.Length;
        if (codec != BlockCodec.None)
        {
            byte* raw = Decompress(stored[..length], codec, offset, out length);
            BlockMemory.Free(data);
            data = raw;
            allocated = length;
        }

        CheckFormat(data, length, offset);
        return fillCache ? _cache.Insert(_cacheKeys + (uint)number, data, allocated) : BlockMemory.PinUncached(data, allocated);
    }

    private byte* Decompress(ReadOnlySpan<byte> stored, BlockCodec codec, long offset, out int length)
    {
        length = stored.Length < sizeof(int) ? -1 : BitConverter.ToInt32(stored);
        if (codec != BlockCodec.Brotli || length is < 0 or >= TableFormat.MaxBlockBytes)
        {
            throw TableFormat.Damaged(
                Path,
                offset,
                $"a block has codec {(byte)codec} and says {length} bytes, which makes no sense to this build");
        }

        byte* raw = BlockMemory.Allocate(length);
        if (BrotliDecoder.TryDecompress(stored[sizeof(int)..], new Span<byte>(raw, length), out int written) && written == length)
        {
            return raw;
        }

        BlockMemory.Free(raw);
        throw TableFormat.Damaged(Path, offset, "a block cannot be decompressed");
    }

    private void CheckFormat(byte* data, int length, long offset)
    {
        if (BlockFormat.Validate(data, length) is { } error)
        {
            throw TableFormat.Damaged(Path, offset, error);
        }
    }

    private static MetaBlock ReadMetaBlock(IFile file, BlockHandle handle)
    {
        MetaBlock block = new(handle.Length);
        try
        {
            ReadExactly(file, handle.Offset, block.Stored);
            BlockCodec codec = TableFormat.CheckBlock(block.Stored, handle.Offset, file.Path);
            return codec == BlockCodec.None
                ? block
                : throw TableFormat.Damaged(file.Path, handle.Offset, $"a block that is never compressed has codec {(byte)codec}");
        }
        catch
        {
            block.Dispose();
            throw;
        }
    }

    /// <summary>
    /// A block other than of data, on its way into memory of its own: in a buffer from the shared pool until it is disposed of.
    /// </summary>
    private readonly ref struct MetaBlock(int payloadBytes)
    {
        private readonly byte[] _rented = ArrayPool<byte>.Shared.Rent(payloadBytes + TableFormat.BlockTrailerBytes);

        public Span<byte> Stored => _rented.AsSpan(0, payloadBytes + TableFormat.BlockTrailerBytes);

        public ReadOnlySpan<byte> Payload => _rented.AsSpan(0, payloadBytes);

        public void Dispose() => ArrayPool<byte>.Shared.Return(_rented);
    }

    private static void ReadExactly(IFile file, long offset, Span<byte> target)
    {
        int read;
        try
        {
            read = file.Read(offset, target);
        }
        catch (IOException error) when (FileErrors.IsUnreadable(error))
        {
            // A sector that the disk cannot read is as lost as one that it reads wrongly.
            throw TableFormat.Unreadable(file.Path, offset, error);
        }

        if (read != target.Length)
        {
            throw TableFormat.Damaged(file.Path, offset, $"the file ends after {read} of {target.Length} bytes");
        }
    }

    /// <summary>Reads everything, past the cache, and checks checksums, order, counts and filter; throws at the first damage.</summary>
    public void Verify() => TableInspector.Verify(this);

    /// <summary>Writes properties, index and entries readably.</summary>
    public void Dump(TextWriter output) => TableInspector.Dump(this, output);

    /// <summary>Takes a reference; the caller must hold one, or know that another is held meanwhile.</summary>
    public void Retain() => Interlocked.Increment(ref _references);

    /// <summary>Gives a reference back.</summary>
    public void Release()
    {
        int left = Interlocked.Decrement(ref _references);
        Invariant.Check(left >= 0, "table released too often");
        if (left != 0)
        {
            return;
        }

        for (int i = 0; i < _index.Count; i++)
        {
            _cache.Drop(_cacheKeys + (uint)i);
        }

        _index.Free();
        if (_filter != null)
        {
            OffHeap.FreeAligned(_filter, _filterBytes);
        }

        _file.Dispose();
    }
}
