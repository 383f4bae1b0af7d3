using System.IO.Hashing;
using Henge.Core;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>
/// Finds the latest entry of a key in a <see cref="WriteBatch"/> that is still being filled. It takes entries in only when a search needs
/// them, so that a batch of plain puts pays nothing for it. Open addressing over offsets into the batch. Not thread-safe.
/// </summary>
internal sealed class BatchIndex(WriteBatch batch)
{
    private (uint Hash, int Next)[] _slots = new (uint, int)[64];
    private int _used;
    private int _indexedTo;

    /// <summary>Finds the latest entry; false when the batch has none of this key. <paramref name="offset"/> is where it begins.</summary>
    public bool TryFind(uint keyspace, ReadOnlySpan<byte> key, out WriteBatchReader entry, out int offset)
    {
        CatchUp();
        uint hash = Hash(keyspace, key);
        int mask = _slots.Length - 1;
        for (int i = (int)hash & mask; _slots[i].Next != 0; i = (i + 1) & mask)
        {
            if (_slots[i].Hash == hash)
            {
                WriteBatchReader reader = At(_slots[i].Next - 1);
                if (reader.Keyspace == keyspace && reader.Key.SequenceEqual(key))
                {
                    entry = reader;
                    offset = _slots[i].Next - 1;
                    return true;
                }
            }
        }

        entry = default;
        offset = -1;
        return false;
    }

    /// <summary>Forgets everything; to be called when the batch is cleared.</summary>
    public void Clear()
    {
        if (_used > 0)
        {
            Array.Clear(_slots);
        }

        _used = 0;
        _indexedTo = 0;
    }

    private static uint Hash(uint keyspace, ReadOnlySpan<byte> key) => (uint)(XxHash64.HashToUInt64(key, keyspace) >> 16);

    private WriteBatchReader At(int offset)
    {
        var reader = new WriteBatchReader(batch.Encoded[offset..]);
        Invariant.Check(reader.MoveNext());
        return reader;
    }

    private void CatchUp()
    {
        if (_indexedTo == batch.ByteCount)
        {
            return;
        }

        var reader = new WriteBatchReader(batch.Encoded[_indexedTo..]);
        int offset = _indexedTo;
        while (reader.MoveNext())
        {
            if (!reader.IsPosition)
            {
                Insert(reader.Keyspace, reader.Key, offset);
            }

            offset = batch.ByteCount - reader.RemainingBytes;
        }

        Invariant.Check(!reader.Damaged);
        _indexedTo = batch.ByteCount;
    }

    private void Insert(uint keyspace, ReadOnlySpan<byte> key, int offset)
    {
        if ((_used + 1) * 4 > _slots.Length * 3)
        {
            Grow();
        }

        uint hash = Hash(keyspace, key);
        int mask = _slots.Length - 1;
        int i = (int)hash & mask;
        for (; _slots[i].Next != 0; i = (i + 1) & mask)
        {
            if (_slots[i].Hash == hash)
            {
                WriteBatchReader there = At(_slots[i].Next - 1);
                if (there.Keyspace == keyspace && there.Key.SequenceEqual(key))
                {
                    _slots[i].Next = offset + 1;
                    return;
                }
            }
        }

        _slots[i] = (hash, offset + 1);
        _used++;
    }

    private void Grow()
    {
        (uint Hash, int Next)[] old = _slots;
        _slots = new (uint, int)[old.Length * 2];
        int mask = _slots.Length - 1;
        foreach ((uint Hash, int Next) slot in old)
        {
            if (slot.Next != 0)
            {
                int i = (int)slot.Hash & mask;
                while (_slots[i].Next != 0)
                {
                    i = (i + 1) & mask;
                }

                _slots[i] = slot;
            }
        }
    }
}
