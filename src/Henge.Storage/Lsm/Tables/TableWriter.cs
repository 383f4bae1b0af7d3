using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// Writes one table. Not thread-safe. Disposing of it frees its memory; the file stays the caller's. Its large buffers are from the shared
/// pool: as large objects of their own, a few for each table, they would have the collector look through all of its memory again and again
/// (decision 0123).
/// </summary>
internal sealed class TableWriter : IDisposable
{
    // Bytes of a table that may wait for the disk.
    private const int SyncBytes = 1 << 20;
    private const int BrotliQuality = 1;
    private const int BrotliWindowBits = 18;
    private readonly IFile _file;
    private readonly TableOptions _options;
    private readonly BlockBuilder _block;
    private readonly IndexBuilder _index = new();
    private ulong[] _hashes = [];
    private int _hashCount;
    private byte[] _pending;
    private int _pendingBytes;
    private byte[] _payload = [];
    private byte[] _compressed = [];
    private byte[] _lastKey = new byte[64];
    private int _lastKeyLength;
    private byte[] _smallestKey = [];
    private int _pendingLength;
    private long _written;
    private long _synced;
    private long _tombstones;
    private long _expiring;
    private long _garbage;
    private long _rawKeyBytes;
    private long _rawValueBytes;
    private long _minExpiresAtMs = long.MaxValue;
    private ulong _minVersion = ulong.MaxValue;
    private ulong _maxVersion;
    private bool _finished;

    /// <summary>Begins a table in a new, empty file.</summary>
    public TableWriter(IFile file, TableOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.BlockBytes);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.RestartInterval);
        ArgumentOutOfRangeException.ThrowIfNegative(options.BloomBitsPerKey);
        _file = file;
        _options = options;
        _block = new BlockBuilder(options.RestartInterval);
        _pendingBytes = Math.Max(options.WriteBufferBytes, 4096);
        _pending = ArrayPool<byte>.Shared.Rent(_pendingBytes);
        TableFormat.WriteHeader(_pending);
        _pendingLength = TableFormat.HeaderBytes;
    }

    /// <summary>Bytes of the file if it were finished now, about.</summary>
    public long EstimatedBytes =>
        Offset + _block.EstimatedBytes + _index.Bytes + ((long)_hashCount * _options.BloomBitsPerKey / 8) + TableFormat.FooterBytes + 256;

    /// <summary>Entries added.</summary>
    public long EntryCount { get; private set; }

    private long Offset => _written + _pendingLength;

    private ReadOnlySpan<byte> LastKey => _lastKey.AsSpan(0, _lastKeyLength);

    /// <summary>Adds an entry; keys must rise strictly. The value of a kind with a header begins with it.</summary>
    public void Add(ReadOnlySpan<byte> internalKey, ReadOnlySpan<byte> value)
    {
        Invariant.Check(!_finished && InternalKey.IsWellFormed(internalKey), "malformed key, or table finished");
        bool newKey = EntryCount == 0 || !InternalKey.SamePrefix(LastKey, internalKey);
        Invariant.Check(EntryCount == 0 || InternalKey.Compare(LastKey, internalKey) < 0, "keys of a table must rise");
        if (_block.Count > 0 && _block.EstimatedBytes + internalKey.Length + value.Length > _options.BlockBytes)
        {
            EndBlock();
        }

        if (_block.Count == 0)
        {
            _index.BeginBlock(LastKey, internalKey);
        }

        Count(internalKey, value, newKey);
        _block.Add(internalKey, value);
        if (EntryCount++ == 0)
        {
            _smallestKey = internalKey.ToArray();
        }

        if (_lastKey.Length < internalKey.Length)
        {
            Array.Resize(ref _lastKey, internalKey.Length * 2);
        }

        internalKey.CopyTo(_lastKey);
        _lastKeyLength = internalKey.Length;
    }

    private void Count(ReadOnlySpan<byte> internalKey, ReadOnlySpan<byte> value, bool newKey)
    {
        EntryKind kind = InternalKey.GetKind(internalKey);
        ulong version = InternalKey.GetVersion(internalKey).Value;
        _minVersion = Math.Min(_minVersion, version);
        _maxVersion = Math.Max(_maxVersion, version);
        _rawKeyBytes += internalKey.Length;
        _rawValueBytes += value.Length;
        _tombstones += kind == EntryKind.Delete ? 1 : 0;
        if (EntryHeader.IsIn(kind))
        {
            Invariant.Check(value.Length >= EntryHeader.Bytes, "a value that expires or has a type begins with its header");
            long expiresAtMs = EntryHeader.ExpiresAtMs(BinaryPrimitives.ReadInt64LittleEndian(value));
            if (expiresAtMs != 0 || kind == EntryKind.PutExpiring)
            {
                _expiring++;
                _minExpiresAtMs = Math.Min(_minExpiresAtMs, expiresAtMs);
            }
        }

        if (!newKey)
        {
            _garbage++;
        }
        else if (_options.BloomBitsPerKey != 0)
        {
            if (_hashCount == _hashes.Length)
            {
                GrowHashes();
            }

            _hashes[_hashCount++] = BloomFilter.Hash(InternalKey.GetPrefix(internalKey));
        }
    }

    private void GrowHashes()
    {
        ulong[] larger = ArrayPool<ulong>.Shared.Rent(Math.Max(1024, checked(2 * _hashCount)));
        _hashes.AsSpan(0, _hashCount).CopyTo(larger);
        ReturnHashes();
        _hashes = larger;
    }

    private void ReturnHashes()
    {
        if (_hashes.Length > 0)
        {
            ArrayPool<ulong>.Shared.Return(_hashes);
            _hashes = [];
        }
    }

    /// <summary>
    /// Writes what is left, and with <paramref name="sync"/> makes the file's contents durable. The table must not be empty.
    /// </summary>
    public TableProperties Finish(bool sync = true)
    {
        Invariant.Check(!_finished && EntryCount > 0, "a table is finished once, and not empty");
        _finished = true;
        EndBlock();
        int probes = BloomFilter.ProbesFor(_options.BloomBitsPerKey);
        BlockHandle filter = WriteFilter(probes);
        BlockHandle index = WriteBlock(_index.Finish(), BlockCodec.None);
        TableProperties properties = new()
        {
            SmallestKey = _smallestKey,
            LargestKey = LastKey.ToArray(),
            MinVersion = new Core.Version(_minVersion),
            MaxVersion = new Core.Version(_maxVersion),
            EntryCount = EntryCount,
            TombstoneCount = _tombstones,
            ExpiringCount = _expiring,
            GarbageCount = _garbage,
            MinExpiresAtMs = _minExpiresAtMs,
            RawKeyBytes = _rawKeyBytes,
            RawValueBytes = _rawValueBytes,
            BlockCount = _index.Count,
            FileBytes = 0,
        };
        BlockHandle propertiesBlock = WriteBlock(TablePropertiesFormat.Encode(properties, probes), BlockCodec.None);
        Span<byte> footer = stackalloc byte[TableFormat.FooterBytes];
        TableFormat.WriteFooter(footer, filter, index, propertiesBlock);
        Append(footer);
        FlushPending();
        if (sync)
        {
            _file.Sync();
        }

        return properties with { FileBytes = Offset };
    }

    private BlockHandle WriteFilter(int probes)
    {
        if (_options.BloomBitsPerKey == 0)
        {
            return WriteBlock(default, BlockCodec.None);
        }

        int length = BloomFilter.SizeFor(_hashCount, _options.BloomBitsPerKey);
        byte[] rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            Span<byte> filter = rented.AsSpan(0, length);
            filter.Clear();
            foreach (ulong hash in _hashes.AsSpan(0, _hashCount))
            {
                BloomFilter.Add(filter, probes, hash);
            }

            return WriteBlock(filter, BlockCodec.None);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private void EndBlock()
    {
        int entries = _block.Count;
        ulong maxVersion = _block.MaxVersion;
        int length = _block.Finish(ref _payload);
        BlockHandle handle = _options.Codec == BlockCodec.Brotli && TryCompress(_payload.AsSpan(0, length), out int compressed)
            ? WriteBlock(_compressed.AsSpan(0, compressed), BlockCodec.Brotli)
            : WriteBlock(_payload.AsSpan(0, length), BlockCodec.None);
        _index.EndBlock(handle.Length, entries, maxVersion);
    }

    private bool TryCompress(ReadOnlySpan<byte> payload, out int length)
    {
        int most = payload.Length - (payload.Length / 8);
        if (_compressed.Length < most)
        {
            _compressed = new byte[most * 2];
        }

        length = 0;
        if (
            most <= sizeof(int)
            || !BrotliEncoder.TryCompress(
                payload,
                _compressed.AsSpan(sizeof(int), most - sizeof(int)),
                out int bytes,
                BrotliQuality,
                BrotliWindowBits))
        {
            return false;
        }

        BinaryPrimitives.WriteInt32LittleEndian(_compressed, payload.Length);
        length = bytes + sizeof(int);
        return true;
    }

    private BlockHandle WriteBlock(ReadOnlySpan<byte> payload, BlockCodec codec)
    {
        if (payload.Length >= TableFormat.MaxBlockBytes)
        {
            throw new HengeException(
                ErrorCode.TooLarge,
                $"A block of {payload.Length} bytes is over the limit of {TableFormat.MaxBlockBytes} for table '{_file.Path}'.");
        }

        BlockHandle handle = new(Offset, payload.Length);
        Span<byte> trailer = stackalloc byte[TableFormat.BlockTrailerBytes];
        trailer[0] = (byte)codec;
        BinaryPrimitives.WriteUInt32LittleEndian(trailer[1..], TableFormat.Checksum(handle.Offset, payload, (byte)codec));
        Append(payload);
        Append(trailer);
        return handle;
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int piece = Math.Min(bytes.Length, _pendingBytes - _pendingLength);
            bytes[..piece].CopyTo(_pending.AsSpan(_pendingLength));
            _pendingLength += piece;
            bytes = bytes[piece..];
            if (_pendingLength == _pendingBytes)
            {
                FlushPending();
            }
        }
    }

    private void FlushPending()
    {
        if (_pendingLength > 0)
        {
            _file.Write(_written, _pending.AsSpan(0, _pendingLength));
            _written += _pendingLength;
            _pendingLength = 0;
            if (_written - _synced >= SyncBytes)
            {
                // In small steps, so that the disk never has more than this to do before the log's next sync, which somebody waits for.
                _synced = _written;
                _file.Sync();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ReturnHashes();
        if (_pending.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_pending);
            _pending = [];
            _pendingBytes = 0;
        }
    }
}
