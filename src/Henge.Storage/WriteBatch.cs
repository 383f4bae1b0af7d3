using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Storage;

/// <summary>
/// Entries that take effect together. Reusable: <see cref="Clear"/> keeps the buffer, so a batch allocates only while it grows to its
/// usual size. Not thread-safe. The encoded form is also what the engine's own log holds (docs/formats.md):
/// <c>kind u8 | keyspace u32 LE | version u64 LE | key length varint | key | [header i64 LE] | value length varint | value</c> for each
/// entry, and <c>0xF0 | stream u32 LE | position u64 LE</c> for each position.
/// </summary>
public sealed class WriteBatch
{
    internal const byte PositionTag = 0xF0;

    // A larger buffer is on loan until the batch is cleared: a node has a batch for each shard, and after one burst (the replay of a log)
    // all of them would stay large.
    private const int MostOwnBytes = 256 * 1024;
    private byte[] _buffer;
    private byte[]? _ownBuffer;
    private List<byte[]>? _rentedBuffers;
    private int _length;

    /// <summary>Creates an empty batch with room for some bytes.</summary>
    public WriteBatch(int capacityBytes = 1024) => _buffer = new byte[capacityBytes];

    /// <summary>Entries in the batch, not counting positions.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes of the encoded form.</summary>
    public int ByteCount => _length;

    /// <summary>Bytes that it can hold without growing.</summary>
    internal int CapacityBytes => _buffer.Length;

    /// <summary>The encoded form.</summary>
    public ReadOnlySpan<byte> Encoded => _buffer.AsSpan(0, _length);

    /// <summary>
    /// Adds a value; with <paramref name="expiresAtMs"/> other than 0 it ends at that moment (milliseconds since the epoch of versions, at
    /// most <see cref="EntryHeader.MaxExpiresAtMs"/>; <see cref="ArgumentOutOfRangeException"/> for others).
    /// </summary>
    public void Put(
        uint keyspace,
        ReadOnlySpan<byte> key,
        Core.Version version,
        ReadOnlySpan<byte> value,
        long expiresAtMs = 0,
        DataType type = DataType.Bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expiresAtMs);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(expiresAtMs, EntryHeader.MaxExpiresAtMs);
        EntryKind kind = type != DataType.Bytes ? EntryKind.PutTyped : expiresAtMs == 0 ? EntryKind.Put : EntryKind.PutExpiring;
        int at = Begin(kind, keyspace, key, version, value.Length + 18);
        if (kind != EntryKind.Put)
        {
            BinaryPrimitives.WriteInt64LittleEndian(_buffer.AsSpan(at), EntryHeader.Join(type, expiresAtMs));
            at += EntryHeader.Bytes;
        }

        at += Varint.Write(_buffer.AsSpan(at), (ulong)value.Length);
        value.CopyTo(_buffer.AsSpan(at));
        _length = at + value.Length;
    }

    /// <summary>Adds a tombstone.</summary>
    public void Delete(uint keyspace, ReadOnlySpan<byte> key, Core.Version version)
    {
        int at = Begin(EntryKind.Delete, keyspace, key, version, 1);
        _buffer[at++] = 0;
        _length = at;
    }

    /// <summary>Says how far the owner's log is applied by this batch (see <see cref="IStorageEngine.GetPosition"/>).</summary>
    public void SetPosition(uint stream, ulong position)
    {
        Reserve(13);
        _buffer[_length] = PositionTag;
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.AsSpan(_length + 1), stream);
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer.AsSpan(_length + 5), position);
        _length += 13;
    }

    /// <summary>Takes over an encoded batch, for example from a log. Check it with <see cref="WriteBatchReader"/> first.</summary>
    public void Load(ReadOnlySpan<byte> encoded, int count)
    {
        Clear();
        Reserve(encoded.Length);
        encoded.CopyTo(_buffer);
        _length = encoded.Length;
        Count = count;
    }

    /// <summary>Empties it. Up to 256 KiB of memory are kept. What <see cref="Encoded"/> gave must not be used any more.</summary>
    public void Clear()
    {
        _length = 0;
        Count = 0;
        if (_ownBuffer is not null)
        {
            _buffer = _ownBuffer;
            _ownBuffer = null;
            foreach (byte[] rented in _rentedBuffers!)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }

            _rentedBuffers.Clear();
        }
    }

    /// <summary>Gives a version to all entries that have none yet.</summary>
    internal void Stamp(Core.Version version)
    {
        for (int at = 0; at < _length;)
        {
            if (_buffer[at] == PositionTag)
            {
                at += 13;
                continue;
            }

            Span<byte> number = _buffer.AsSpan(at + 5, 8);
            if (BinaryPrimitives.ReadUInt64LittleEndian(number) == 0)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(number, version.Value);
            }

            bool headed = EntryHeader.IsIn((EntryKind)_buffer[at]);
            at = Skip(at + 13) + (headed ? EntryHeader.Bytes : 0);
            at = Skip(at);
        }
    }

    private int Skip(int at)
    {
        Varint.TryRead(_buffer.AsSpan(at, _length - at), out ulong length, out int bytes);
        return at + bytes + (int)length;
    }

    private int Begin(EntryKind kind, uint keyspace, ReadOnlySpan<byte> key, Core.Version version, int rest)
    {
        Reserve(13 + Varint.MaxBytes + key.Length + rest);
        int at = _length;
        _buffer[at] = (byte)kind;
        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.AsSpan(at + 1), keyspace);
        BinaryPrimitives.WriteUInt64LittleEndian(_buffer.AsSpan(at + 5), version.Value);
        at += 13;
        at += Varint.Write(_buffer.AsSpan(at), (ulong)key.Length);
        key.CopyTo(_buffer.AsSpan(at));
        Count++;
        return at + key.Length;
    }

    private void Reserve(int bytes)
    {
        int needed = checked(_length + bytes);
        if (needed > _buffer.Length)
        {
            Grow(needed);
        }
    }

    private void Grow(int needed)
    {
        int size = Math.Max(needed, (int)Math.Min(2L * _buffer.Length, Array.MaxLength));
        if (size <= MostOwnBytes)
        {
            Array.Resize(ref _buffer, size);
            return;
        }

        // What was outgrown is given back with the rest: the key or value that is being added may still be read from it.
        byte[] larger = ArrayPool<byte>.Shared.Rent(size);
        (_rentedBuffers ??= []).Add(larger);
        _ownBuffer ??= _buffer;
        _buffer.AsSpan(0, _length).CopyTo(larger);
        _buffer = larger;
    }
}
