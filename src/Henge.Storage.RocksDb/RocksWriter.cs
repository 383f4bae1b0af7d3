using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using Henge.Core;

namespace Henge.Storage.RocksDb;

/// <summary>Writes batches, and keeps the positions that go with them. Thread-safe.</summary>
internal sealed unsafe class RocksWriter : IDisposable
{
    // A larger batch is not kept: RocksDB never gives its memory back.
    private const int MostKeptBytes = 256 * 1024;
    private const int MostKept = 16;
    private readonly RocksDbEngine _engine;
    private readonly RocksDbOptions _options;
    private readonly ConcurrentBag<nint> _batches = [];
    private readonly Lock _lock = new();
    private readonly Dictionary<uint, ulong> _positions = [];
    private Dictionary<uint, ulong> _durable = [];
    private long _bytesIn;

    public RocksWriter(RocksDbEngine engine, RocksDbOptions options)
    {
        _engine = engine;
        _options = options;
        Span<byte> first = stackalloc byte[RocksKey.PositionBytes];
        RocksKey.WritePosition(first, 0);
        using RocksCursor cursor = new(engine.Handles.Db);
        for (cursor.Seek(first); cursor.Valid && cursor.Key.SequenceCompareTo(RocksKey.PositionsEnd) < 0; cursor.Next())
        {
            if (cursor.Key.Length != RocksKey.PositionBytes || cursor.Value.Length != sizeof(ulong))
            {
                throw engine.Malformed(cursor.Key, 0);
            }

            _positions[BinaryPrimitives.ReadUInt32BigEndian(cursor.Key[2..])] = BinaryPrimitives.ReadUInt64LittleEndian(cursor.Value);
        }

        engine.Check(cursor.Error, 0);

        // What is there now has survived: memtables become tables in the order in which they were filled.
        _durable = new Dictionary<uint, ulong>(_positions);
    }

    /// <summary>Bytes of batches since the engine was opened.</summary>
    public long BytesIn => Interlocked.Read(ref _bytesIn);

    public ulong GetPosition(uint stream)
    {
        lock (_lock)
        {
            return _positions.GetValueOrDefault(stream);
        }
    }

    public ulong GetDurablePosition(uint stream)
    {
        lock (_lock)
        {
            return _durable.GetValueOrDefault(stream);
        }
    }

    /// <summary>The positions of what is in memory by now.</summary>
    public Dictionary<uint, ulong> CopyPositions()
    {
        lock (_lock)
        {
            return new Dictionary<uint, ulong>(_positions);
        }
    }

    /// <summary>What had these positions has been flushed.</summary>
    public void OnFlushed(Dictionary<uint, ulong> positions)
    {
        lock (_lock)
        {
            foreach ((uint stream, ulong position) in _durable)
            {
                // A sync of the log may have been ahead of it.
                if (position > positions.GetValueOrDefault(stream))
                {
                    positions[stream] = position;
                }
            }

            _durable = positions;
        }
    }

    public void Apply(WriteBatch batch, bool sync)
    {
        CheckLimits(batch);
        nint rocks = Rent();
        try
        {
            Fill(rocks, batch);
            byte* error = null;
            Rocks.write(_engine.Handles.Db, sync ? _engine.Handles.SyncedWrite : _engine.Handles.Write, rocks, &error);
            _engine.CheckWrite(error);
        }
        finally
        {
            Return(rocks, batch.ByteCount);
        }

        Interlocked.Add(ref _bytesIn, batch.ByteCount);
        TakePositions(batch, isDurable: sync && _options.WriteAheadLog);
    }

    /// <summary>Hides a range, as a tombstone of RocksDB; not flushed yet.</summary>
    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        byte[] from = new byte[RocksKey.MaxBytes(lower.Length)];
        byte[] to = new byte[RocksKey.MaxBytes(upper.Length)];
        int fromLength = RocksKey.WriteBound(from, keyspace, lower);
        int toLength = upper.IsEmpty ? RocksKey.WriteEnd(to, keyspace) : RocksKey.WriteBound(to, keyspace, upper);
        WriteOne(rocks =>
        {
            fixed (byte* begin = from, end = to)
            {
                Rocks.writebatch_delete_range(rocks, begin, (nuint)fromLength, end, (nuint)toLength);
            }
        });
    }

    /// <summary>Writes a setting of the engine.</summary>
    public void Put(ReadOnlySpan<byte> key, ulong number)
    {
        byte[] copy = key.ToArray();
        byte[] value = BitConverter.GetBytes(number);
        WriteOne(rocks =>
        {
            fixed (byte* bytes = copy, valueBytes = value)
            {
                Rocks.writebatch_put(rocks, bytes, (nuint)copy.Length, valueBytes, (nuint)value.Length);
            }
        });
    }

    /// <summary>Writes what a caller puts into a batch.</summary>
    public void WriteOne(Action<nint> fill)
    {
        nint rocks = Rent();
        try
        {
            fill(rocks);
            byte* error = null;
            Rocks.write(_engine.Handles.Db, _engine.Handles.Write, rocks, &error);
            _engine.CheckWrite(error);
        }
        finally
        {
            Return(rocks, 0);
        }
    }

    public void Dispose()
    {
        while (_batches.TryTake(out nint batch))
        {
            Rocks.writebatch_destroy(batch);
        }
    }

    private void CheckLimits(WriteBatch batch)
    {
        var reader = new WriteBatchReader(batch.Encoded);
        while (reader.MoveNext())
        {
            if (!reader.IsPosition && reader.Key.Length > _options.MaxKeyBytes)
            {
                throw new HengeException(ErrorCode.TooLarge, $"A key has {reader.Key.Length} bytes; the most is {_options.MaxKeyBytes}.");
            }

            if (!reader.IsPosition && reader.Value.Length > _options.MaxValueBytes)
            {
                throw new HengeException(
                    ErrorCode.TooLarge,
                    $"A value has {reader.Value.Length} bytes; the most is {_options.MaxValueBytes}.");
            }
        }

        if (reader.Damaged)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The batch is not well formed, so nothing of it was applied.");
        }
    }

    private static void Fill(nint rocks, WriteBatch batch)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(1024);
        try
        {
            Span<byte> position = stackalloc byte[RocksKey.PositionBytes];
            var reader = new WriteBatchReader(batch.Encoded);
            while (reader.MoveNext())
            {
                if (reader.IsPosition)
                {
                    RocksKey.WritePosition(position, reader.Keyspace);
                    ulong number = reader.Position;
                    fixed (byte* key = position)
                    {
                        Rocks.writebatch_put(rocks, key, (nuint)position.Length, (byte*)&number, sizeof(ulong));
                    }

                    continue;
                }

                int most = RocksKey.MaxBytes(reader.Key.Length);
                if (buffer.Length < most)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = ArrayPool<byte>.Shared.Rent(most);
                }

                Add(rocks, reader, buffer, RocksKey.Write(buffer, reader.Keyspace, reader.Key, reader.Version));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void Add(nint rocks, in WriteBatchReader reader, byte[] buffer, int keyLength)
    {
        bool hasHistory = RocksKey.HasHistory(reader.Keyspace);
        Span<byte> head = stackalloc byte[sizeof(ulong) + 1 + EntryHeader.Bytes];
        int at = 0;
        if (!hasHistory)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(head, reader.Version.Value);
            at = sizeof(ulong);
        }

        head[at++] = (byte)reader.Kind;
        if (EntryHeader.IsIn(reader.Kind))
        {
            BinaryPrimitives.WriteInt64LittleEndian(head[at..], EntryHeader.Join(reader.Type, reader.ExpiresAtMs));
            at += EntryHeader.Bytes;
        }

        fixed (byte* key = buffer, headBytes = head, value = reader.Value)
        {
            if (!hasHistory && reader.Kind == EntryKind.Delete)
            {
                // There is nothing older that it would have to hide.
                Rocks.writebatch_delete(rocks, key, (nuint)keyLength);
                return;
            }

            byte** keys = stackalloc byte*[1] { key };
            byte** values = stackalloc byte*[2] { headBytes, value };
            nuint* keyLengths = stackalloc nuint[1] { (nuint)keyLength };
            nuint* valueLengths = stackalloc nuint[2] { (nuint)at, (nuint)reader.Value.Length };
            Rocks.writebatch_putv(rocks, 1, keys, keyLengths, reader.Value.IsEmpty ? 1 : 2, values, valueLengths);
        }
    }

    private void TakePositions(WriteBatch batch, bool isDurable)
    {
        var reader = new WriteBatchReader(batch.Encoded);
        while (reader.MoveNext())
        {
            if (reader.IsPosition)
            {
                lock (_lock)
                {
                    _positions[reader.Keyspace] = reader.Position;
                    if (isDurable)
                    {
                        _durable[reader.Keyspace] = reader.Position;
                    }
                }
            }
        }
    }

    private nint Rent() => _batches.TryTake(out nint batch) ? batch : Rocks.writebatch_create();

    private void Return(nint batch, int bytes)
    {
        if (bytes > MostKeptBytes || _batches.Count >= MostKept)
        {
            Rocks.writebatch_destroy(batch);
            return;
        }

        Rocks.writebatch_clear(batch);
        _batches.Add(batch);
    }
}
