using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Lsm.Iterators;

/// <summary>
/// Leaves out what range drops hide in one source, by seeking over it. A seek that would end in a dropped range goes to the range's end at
/// once: a block with nothing but dropped entries is not read for it, since it may be a damaged one, and the reason for the drop (decision
/// 0132). Owns the source's iterator.
/// </summary>
internal sealed class DropFilterIterator : InternalIterator
{
    private readonly InternalIterator _source;
    private readonly RangeDrop[] _drops;
    private readonly TableMeta? _table;
    private readonly byte[] _upper;
    private readonly uint[]? _keyspaces;

    // Everything on the way there is dropped; the source was left where it was.
    private bool _isAtEnd;

    /// <param name="source">Its iterator.</param>
    /// <param name="drops">Drops that may hide a part of it.</param>
    /// <param name="epoch">The source's epoch.</param>
    /// <param name="table">What is known of it when it is a table.</param>
    /// <param name="keyspaces">The only keyspaces that there are, in order; null when that is not known.</param>
    /// <param name="upper">Entries at or after this prefix are not needed; null or empty: all are.</param>
    public DropFilterIterator(
        InternalIterator source,
        RangeDrop[] drops,
        ulong epoch,
        TableMeta? table = null,
        byte[]? upper = null,
        uint[]? keyspaces = null)
    {
        _keyspaces = keyspaces;
        _upper = upper ?? [];
        _source = source;
        _drops = Array.FindAll(drops, drop => drop.Epoch > epoch);
        _table = table;
    }

    /// <summary>An iterator over a table without what drops hide in it.</summary>
    public static InternalIterator Over(TableHandle table, RangeDrop[]? drops, in TableReadOptions options)
    {
        if (drops is null)
        {
            return table.Reader.CreateIterator(options);
        }

        // A read stays within one keyspace, where it never comes to such a block but by a seek.
        HiddenBlocks? hidden = options.Keyspaces is null
            ? null
            : new HiddenBlocks(table.Meta, table.Reader.Index, drops, options.Keyspaces);
        return new DropFilterIterator(
            table.Reader.CreateIterator(options with { Hidden = hidden }),
            drops,
            table.Meta.Epoch,
            table.Meta,
            options.Upper,
            options.Keyspaces);
    }

    public override bool Valid => !_isAtEnd && _source.Valid;

    public override ReadOnlySpan<byte> Key => _source.Key;

    public override ReadOnlySpan<byte> Value => _source.Value;

    public override IPinOwner Pin(out nint token) => _source.Pin(out token);

    public override void SeekToFirst()
    {
        _isAtEnd = false;
        if (_table is not null && FindDrop(_table.SmallestPrefix) is { } drop)
        {
            SeekAfter(drop);
            return;
        }

        _source.SeekToFirst();
        SkipForward();
    }

    public override void SeekToLast()
    {
        _isAtEnd = false;
        if (_table is not null && FindDrop(_table.LargestPrefix) is { } drop)
        {
            SeekBefore(drop);
            return;
        }

        _source.SeekToLast();
        SkipBackward();
    }

    public override void Seek(ReadOnlySpan<byte> internalKey)
    {
        _isAtEnd = false;
        if (FindDrop(InternalKey.GetPrefix(internalKey)) is { } drop)
        {
            SeekAfter(drop);
            return;
        }

        _source.Seek(internalKey);
        SkipForward();
    }

    public override void SeekForPrev(ReadOnlySpan<byte> internalKey)
    {
        _isAtEnd = false;
        if (FindDrop(InternalKey.GetPrefix(internalKey)) is { } drop)
        {
            SeekBefore(drop);
            return;
        }

        _source.SeekForPrev(internalKey);
        SkipBackward();
    }

    public override void Next()
    {
        _source.Next();
        SkipForward();
    }

    public override void Prev()
    {
        _source.Prev();
        SkipBackward();
    }

    protected override void Dispose(bool disposing) => _source.Dispose();

    private void SkipForward()
    {
        if (_source.Valid && FindDrop(InternalKey.GetPrefix(_source.Key)) is { } drop)
        {
            SeekAfter(drop);
        }
    }

    private void SkipBackward()
    {
        if (_source.Valid && FindDrop(InternalKey.GetPrefix(_source.Key)) is { } drop)
        {
            SeekBefore(drop);
        }
    }

    private void SeekAfter(RangeDrop drop)
    {
        for (RangeDrop? next = drop; next is not null;)
        {
            byte[]? after = next.UpperPrefix.Length == 0 ? null : HiddenBlocks.AtOrAfter(next.UpperPrefix, _keyspaces);
            if (after is null || (_upper.Length > 0 && after.AsSpan().SequenceCompareTo(_upper) >= 0)
                || (_table is not null && _table.LargestPrefix.SequenceCompareTo(after) < 0))
            {
                _isAtEnd = true;
                return;
            }

            // Drops without a gap between them are one.
            next = FindDrop(after);
            if (next is null)
            {
                _source.Seek(SeekKey(after));
                next = _source.Valid ? FindDrop(InternalKey.GetPrefix(_source.Key)) : null;
            }
        }
    }

    private void SeekBefore(RangeDrop drop)
    {
        for (RangeDrop? next = drop; next is not null;)
        {
            if (_table is not null && _table.SmallestPrefix.SequenceCompareTo(next.LowerPrefix) >= 0)
            {
                _isAtEnd = true;
                return;
            }

            _source.SeekForPrev(SeekKey(next.LowerPrefix));
            next = _source.Valid ? FindDrop(InternalKey.GetPrefix(_source.Key)) : null;
        }
    }

    private RangeDrop? FindDrop(ReadOnlySpan<byte> prefix)
    {
        foreach (RangeDrop drop in _drops)
        {
            if (drop.Contains(prefix))
            {
                return drop;
            }
        }

        return null;
    }

    // Before every entry of the prefix: no version is as large.
    private static byte[] SeekKey(byte[] prefix)
    {
        byte[] key = new byte[prefix.Length + InternalKey.TrailerBytes];
        prefix.CopyTo(key, 0);
        InternalKey.WriteTrailer(key.AsSpan(prefix.Length), new Core.Version(ulong.MaxValue), 0);
        return key;
    }
}
