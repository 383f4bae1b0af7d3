using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// Walks one data block both ways and puts its keys together in memory of its own. Not thread-safe. The block must stay where it is from
/// <see cref="Open"/> until <see cref="Close"/>.
/// </summary>
internal sealed unsafe class BlockCursor
{
    private const int SlackBytes = 32;
    private byte* _block;
    private byte* _keysEnd;
    private byte* _entry;
    private byte* _nextEntry;
    private byte* _value;
    private byte* _nextValue;
    private byte* _key;
    private int _keyCapacity = 96;
    private int _prefixLength;
    private int _suffixLength;
    private int _shared;
    private int _restart;
    private ulong _metaMask;
    private ulong _baseVersion;
    private int _metaBytes;

    public BlockCursor() => _key = OffHeap.Allocate(_keyCapacity + SlackBytes);

    /// <summary>True while it stands on an entry.</summary>
    public bool Valid => _entry != null;

    /// <summary>The internal key.</summary>
    public ReadOnlySpan<byte> Key => new(_key, _prefixLength + InternalKey.TrailerBytes);

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value => new(_value, (int)(_nextValue - _value));

    /// <summary>Goes to a block, and stands nowhere in it.</summary>
    public void Open(byte* block)
    {
        BlockHeader* header = (BlockHeader*)block;
        _block = block;
        _keysEnd = block + header->ValuesOffset;
        _metaBytes = header->MetaBytes;
        _metaMask = BlockFormat.MetaMask(block);
        _baseVersion = header->BaseVersion;
        _entry = null;
    }

    /// <summary>Stands nowhere.</summary>
    public void Close()
    {
        _block = null;
        _entry = null;
    }

    /// <summary>Frees the memory for keys.</summary>
    public void Free()
    {
        Close();
        if (_key != null)
        {
            OffHeap.Free(_key, _keyCapacity + SlackBytes);
            _key = null;
        }
    }

    /// <summary>Goes to a copy of the block that it stands in.</summary>
    public void Rebase(byte* block)
    {
        long shift = block - _block;
        _block += shift;
        _keysEnd += shift;
        _entry += shift;
        _nextEntry += shift;
        _value += shift;
        _nextValue += shift;
    }

    /// <summary>To the first entry. A block is never empty.</summary>
    public void SeekToFirst()
    {
        GoTo(0);
        Next();
    }

    /// <summary>To the last entry.</summary>
    public void SeekToLast()
    {
        GoTo(((BlockHeader*)_block)->RestartCount - 1);
        do
        {
            Next();
        }
        while (_nextEntry < _keysEnd);
    }

    /// <summary>
    /// To the first entry at or after a target, which has 8 readable bytes after its prefix; not valid when there is none.
    /// </summary>
    public void Seek(byte* target, int targetLength, ulong targetVersion, uint targetKind)
    {
        GoTo(BlockFormat.FindRestart(_block, target, targetLength, targetVersion, targetKind));
        int match = 0;

        // As in BlockFormat.TryFind, only that the key is put together on the way.
        for (Next(); _entry != null; Next())
        {
            if (_shared > match)
            {
                continue;
            }

            if (_shared < match)
            {
                // Also at the next restart point, which FindRestart found to be at or after the target.
                return;
            }

            byte* suffix = _key + _shared;
            int rest = targetLength - match;
            int shorter = Math.Min(_suffixLength, rest);
            int common = BlockFormat.CommonLength(suffix, target + match, shorter);
            if (common < shorter ? suffix[common] > target[match + common]
                : _suffixLength != rest ? _suffixLength > rest
                : !BlockFormat.IsBefore(Meta(), _baseVersion, targetVersion, targetKind))
            {
                return;
            }

            match += common;
        }
    }

    /// <summary>One entry on; not valid after the last.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Next()
    {
        byte* entry = _nextEntry;
        if (entry >= _keysEnd)
        {
            _entry = null;
            return;
        }

        _entry = entry;
        byte* meta = BlockFormat.ReadLengths(entry, out int shared, out int suffixLength, out int valueLength);
        byte* suffix = meta + _metaBytes;
        int prefixLength = shared + suffixLength;
        if (prefixLength + InternalKey.TrailerBytes > _keyCapacity)
        {
            GrowKey(prefixLength + InternalKey.TrailerBytes, shared);
        }

        byte* key = _key + shared;
        if (suffixLength <= 16)
        {
            Unsafe.WriteUnaligned(key, Unsafe.ReadUnaligned<ulong>(suffix));
            Unsafe.WriteUnaligned(key + 8, Unsafe.ReadUnaligned<ulong>(suffix + 8));
        }
        else
        {
            Unsafe.CopyBlockUnaligned(key, suffix, (uint)suffixLength);
        }

        ulong word = Unsafe.ReadUnaligned<ulong>(meta) & _metaMask;
        ulong inverted = ~(_baseVersion + (word >> 2));
        byte* trailer = _key + prefixLength;
        Unsafe.WriteUnaligned(trailer, BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(inverted) : inverted);
        trailer[sizeof(ulong)] = (byte)(word & 3);
        _shared = shared;
        _suffixLength = suffixLength;
        _prefixLength = prefixLength;
        _nextEntry = suffix + suffixLength;
        _value = _nextValue;
        _nextValue = _value + valueLength;
    }

    /// <summary>One entry back; not valid before the first.</summary>
    public void Prev()
    {
        byte* here = _entry;
        BlockFormat.Restart(_block, _restart, out byte* start, out _);
        if (start >= here)
        {
            if (_restart == 0)
            {
                _entry = null;
                return;
            }

            GoTo(_restart - 1);
        }
        else
        {
            // Next() may have crossed restart points: the last one before this entry.
            int restart = _restart;
            while (restart + 1 < ((BlockHeader*)_block)->RestartCount && RestartKey(restart + 1) < here)
            {
                restart++;
            }

            GoTo(restart);
        }

        do
        {
            Next();
        }
        while (_nextEntry < here);
    }

    private ulong Meta() =>
        Unsafe.ReadUnaligned<ulong>(BlockFormat.ReadLengths(_entry, out _, out _, out _)) & _metaMask;

    private byte* RestartKey(int restart)
    {
        BlockFormat.Restart(_block, restart, out byte* key, out _);
        return key;
    }

    private void GoTo(int restart)
    {
        _restart = restart;
        BlockFormat.Restart(_block, restart, out _nextEntry, out _nextValue);
    }

    private void GrowKey(int needed, int kept)
    {
        int capacity = needed * 2;
        byte* key = OffHeap.Allocate(capacity + SlackBytes);
        Unsafe.CopyBlockUnaligned(key, _key, (uint)kept);
        OffHeap.Free(_key, _keyCapacity + SlackBytes);
        _key = key;
        _keyCapacity = capacity;
    }
}
