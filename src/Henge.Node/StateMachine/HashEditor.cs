using System.Buffers;
using System.IO.Hashing;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// Makes a stored hash from another one and what a command changes in it, in time proportional to both: the command's fields stand in a
/// table, and the stored ones pass by once. Reusable; not thread-safe.
/// </summary>
internal sealed class HashEditor
{
    private const int MostIdleBytes = 1024 * 1024;
    private readonly List<Change> _changes = [];
    private int[] _slots = new int[16];
    private ulong _seed;
    private ArrayBufferWriter<byte> _result = new();

    /// <summary>The new hash; valid until the next edit.</summary>
    public ReadOnlySpan<byte> Result => _result.WrittenSpan;

    /// <summary>Fields of the new hash; 0: there is none any more.</summary>
    public int Count { get; private set; }

    /// <summary>
    /// Sets fields: <paramref name="pairs"/> holds fields and values, <paramref name="count"/> of them. Returns how many fields are new.
    /// The seed keeps the cost of lookups from depending on which fields a client chooses.
    /// </summary>
    public int Set(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> pairs, int count, ulong seed)
    {
        Load(pairs, count, withValues: true, seed);
        return Merge(hash, pairs, setting: true);
    }

    /// <summary>Deletes fields. Returns how many there were.</summary>
    public int Delete(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> fields, int count, ulong seed)
    {
        Load(fields, count, withValues: false, seed);
        return Merge(hash, fields, setting: false);
    }

    private int Merge(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> source, bool setting)
    {
        if (_result.Capacity > MostIdleBytes)
        {
            _result = new ArrayBufferWriter<byte>();
        }

        _result.ResetWrittenCount();
        int seen = MarkSeen(hash, source);
        int added = setting ? _changes.Count - seen : 0, deleted = setting ? 0 : seen;
        Count = (hash.IsEmpty ? 0 : new HashReader(hash).Count) + added - deleted;
        _result.WriteVarint((ulong)Count);
        if (!hash.IsEmpty)
        {
            var reader = new HashReader(hash);
            while (reader.MoveNext())
            {
                int change = Find(source, reader.Field);
                if (change < 0)
                {
                    Write(reader.Field, reader.Value);
                }
                else if (setting)
                {
                    Change found = _changes[change];
                    Write(reader.Field, source.Slice(found.ValueAt, found.ValueLength));
                }
            }

            Invariant.Check(!reader.Damaged, "a stored hash is well formed");
        }

        foreach (Change change in _changes)
        {
            if (setting && !change.Seen)
            {
                Write(source.Slice(change.At, change.Length), source.Slice(change.ValueAt, change.ValueLength));
            }
        }

        return setting ? added : deleted;
    }

    // How many of the command's fields there are; they are marked.
    private int MarkSeen(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> source)
    {
        int seen = 0;
        if (hash.IsEmpty)
        {
            return 0;
        }

        var reader = new HashReader(hash);
        while (reader.MoveNext())
        {
            int change = Find(source, reader.Field);
            if (change >= 0)
            {
                _changes[change] = _changes[change] with { Seen = true };
                seen++;
            }
        }

        return seen;
    }

    // Of a field that comes twice the later value counts, at the place of the first.
    private void Load(ReadOnlySpan<byte> source, int count, bool withValues, ulong seed)
    {
        _seed = seed;
        _changes.Clear();
        int size = 16;
        while (size < count * 2)
        {
            size *= 2;
        }

        if (_slots.Length < size || _slots.Length > size * 64)
        {
            _slots = new int[size];
        }
        else
        {
            Array.Clear(_slots);
        }

        var reader = new SpanReader(source);
        for (int i = 0; i < count; i++)
        {
            reader.TryReadBytes(out ReadOnlySpan<byte> field);
            int at = source.Length - reader.Rest.Length - field.Length, valueAt = 0, valueLength = 0;
            if (withValues)
            {
                reader.TryReadBytes(out ReadOnlySpan<byte> value);
                (valueAt, valueLength) = (source.Length - reader.Rest.Length - value.Length, value.Length);
            }

            int slot = SlotOf(source, field);
            if (_slots[slot] == 0)
            {
                _changes.Add(new Change(at, field.Length, valueAt, valueLength, false));
                _slots[slot] = _changes.Count;
            }
            else
            {
                int earlier = _slots[slot] - 1;
                _changes[earlier] = _changes[earlier] with { ValueAt = valueAt, ValueLength = valueLength };
            }
        }
    }

    private int Find(ReadOnlySpan<byte> source, ReadOnlySpan<byte> field) => _slots[SlotOf(source, field)] - 1;

    // The slot of a field, or the free one where it belongs.
    private int SlotOf(ReadOnlySpan<byte> source, ReadOnlySpan<byte> field)
    {
        int mask = _slots.Length - 1,
            slot = (int)(XxHash64.HashToUInt64(field, unchecked((long)_seed)) & (uint)mask);
        while (
            _slots[slot] is var change
            && change != 0
            && !source.Slice(_changes[change - 1].At, _changes[change - 1].Length).SequenceEqual(field))
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }

    private void Write(ReadOnlySpan<byte> field, ReadOnlySpan<byte> value)
    {
        _result.WriteBytes(field);
        _result.WriteBytes(value);
    }

    private readonly record struct Change(int At, int Length, int ValueAt, int ValueLength, bool Seen);
}
