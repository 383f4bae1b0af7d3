using Henge.Core;

namespace Henge.Storage.Lsm;

/// <summary>Leaves out what range drops hide in one source, by seeking over it. Owns the source's iterator.</summary>
internal sealed class DropFilterIterator : InternalIterator
{
    private readonly InternalIterator _source;
    private readonly RangeDrop[] _drops;

    public DropFilterIterator(InternalIterator source, RangeDrop[] drops, ulong epoch)
    {
        _source = source;
        _drops = Array.FindAll(drops, drop => drop.Epoch > epoch);
    }

    public override bool Valid => _source.Valid;

    public override ReadOnlySpan<byte> Key => _source.Key;

    public override ReadOnlySpan<byte> Value => _source.Value;

    public override IPinOwner Pin(out nint token) => _source.Pin(out token);

    public override void SeekToFirst()
    {
        _source.SeekToFirst();
        SkipForward();
    }

    public override void SeekToLast()
    {
        _source.SeekToLast();
        SkipBackward();
    }

    public override void Seek(ReadOnlySpan<byte> internalKey)
    {
        _source.Seek(internalKey);
        SkipForward();
    }

    public override void SeekForPrev(ReadOnlySpan<byte> internalKey)
    {
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
        while (_source.Valid && FindDrop() is { } drop)
        {
            if (drop.UpperPrefix.Length == 0)
            {
                _source.SeekToLast();
                _source.Next();
                return;
            }

            _source.Seek(SeekKey(drop.UpperPrefix));
        }
    }

    private void SkipBackward()
    {
        while (_source.Valid && FindDrop() is { } drop)
        {
            _source.SeekForPrev(SeekKey(drop.LowerPrefix));
        }
    }

    private RangeDrop? FindDrop()
    {
        ReadOnlySpan<byte> prefix = InternalKey.GetPrefix(_source.Key);
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
