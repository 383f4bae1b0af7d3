using Henge.Core;

namespace Henge.Storage.Lsm;

/// <summary>
/// Leaves out what range drops hide in one source, by seeking over it. A seek that would end in a dropped range goes to the range's end at once: a block with nothing but dropped entries is not
/// read for it, since it may be a damaged one, and the reason for the drop (decision 0132). Owns the source's iterator.
/// </summary>
internal sealed class DropFilterIterator : InternalIterator
{
    private readonly InternalIterator _source;
    private readonly RangeDrop[] _drops;
    private readonly TableMeta? _table;

    // Everything on the way there is dropped; the source was left where it was.
    private bool _isAtEnd;

    /// <param name="source">Its iterator.</param>
    /// <param name="drops">Drops that may hide a part of it.</param>
    /// <param name="epoch">The source's epoch.</param>
    /// <param name="table">What is known of it when it is a table.</param>
    public DropFilterIterator(InternalIterator source, RangeDrop[] drops, ulong epoch, TableMeta? table = null)
    {
        _source = source;
        _drops = Array.FindAll(drops, drop => drop.Epoch > epoch);
        _table = table;
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
            byte[] after = next.UpperPrefix;
            if (after.Length == 0 || (_table is not null && _table.LargestPrefix.SequenceCompareTo(after) < 0))
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
