using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// Gathers the index block (docs/formats.md): for each data block a separator, its length, count and largest version. A separator is the
/// shortest string after all of the block before and at or before all of its own; between two blocks that share a key it is the
/// key with the place right after the last entry of the block before. So each internal key belongs to one block.
/// </summary>
internal sealed class IndexBuilder
{
    private byte[] _buffer = new byte[4096];
    private byte[] _separator = new byte[64];
    private int _separatorLength;
    private int _length;

    /// <summary>Data blocks.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes so far.</summary>
    public int Bytes => _length;

    /// <summary>
    /// Begins a data block. <paramref name="lastKey"/> is the last internal key of the one before; empty for the first block.
    /// </summary>
    public void BeginBlock(ReadOnlySpan<byte> lastKey, ReadOnlySpan<byte> firstKey)
    {
        ReadOnlySpan<byte> separator = default;
        bool withTrailer = false;
        if (!lastKey.IsEmpty)
        {
            ReadOnlySpan<byte> first = InternalKey.GetPrefix(firstKey);
            int common = first.CommonPrefixLength(InternalKey.GetPrefix(lastKey));
            withTrailer = InternalKey.SamePrefix(lastKey, firstKey);
            separator = withTrailer ? first : first[..(common + 1)];
        }

        int shared = separator.CommonPrefixLength(_separator.AsSpan(0, _separatorLength));
        Reserve(separator.Length + (3 * Varint.MaxBytes) + InternalKey.TrailerBytes);
        Append((ulong)shared);
        Append((ulong)(separator.Length - shared));
        separator[shared..].CopyTo(_buffer.AsSpan(_length));
        _length += separator.Length - shared;
        _buffer[_length++] = withTrailer ? (byte)1 : (byte)0;
        if (withTrailer)
        {
            lastKey[^InternalKey.TrailerBytes..].CopyTo(_buffer.AsSpan(_length));
            _length += InternalKey.TrailerBytes;
            _buffer[_length - 1]++;
        }

        if (_separator.Length < separator.Length)
        {
            Array.Resize(ref _separator, separator.Length * 2);
        }

        separator.CopyTo(_separator);
        _separatorLength = separator.Length;
    }

    /// <summary>Ends a data block; <paramref name="length"/> is that of its stored payload.</summary>
    public void EndBlock(int length, int entries, ulong maxVersion)
    {
        Reserve(3 * Varint.MaxBytes);
        Append((ulong)length);
        Append((ulong)entries);
        Append(maxVersion);
        Count++;
    }

    /// <summary>The index block: the number of data blocks, then what was gathered.</summary>
    public byte[] Finish()
    {
        byte[] block = new byte[sizeof(int) + _length];
        BinaryPrimitives.WriteInt32LittleEndian(block, Count);
        _buffer.AsSpan(0, _length).CopyTo(block.AsSpan(sizeof(int)));
        return block;
    }

    private void Append(ulong number) => _length += Varint.Write(_buffer.AsSpan(_length), number);

    private void Reserve(int bytes)
    {
        if (_length + bytes > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_length + bytes, _buffer.Length * 2));
        }
    }
}
