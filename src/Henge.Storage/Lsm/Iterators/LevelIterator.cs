using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Lsm.Iterators;

/// <summary>The tables of one sorted level one after another. Opens one table at a time. The caller keeps the level set alive.</summary>
internal sealed class LevelIterator(TableHandle[] tables, RangeDrop[]?[]? drops, TableReadOptions options) : InternalIterator
{
    private int _index = -1;
    private InternalIterator? _table;

    public override bool Valid => _table is { Valid: true };

    public override ReadOnlySpan<byte> Key => _table!.Key;

    public override ReadOnlySpan<byte> Value => _table!.Value;

    public override IPinOwner Pin(out nint token) => _table!.Pin(out token);

    public override void SeekToFirst()
    {
        if (Open(0))
        {
            _table!.SeekToFirst();
        }

        SkipForward();
    }

    public override void SeekToLast()
    {
        if (Open(tables.Length - 1))
        {
            _table!.SeekToLast();
        }

        SkipBackward();
    }

    public override void Seek(ReadOnlySpan<byte> internalKey)
    {
        if (Open(LevelSet.FindTable(tables, InternalKey.GetPrefix(internalKey))))
        {
            _table!.Seek(internalKey);
        }

        SkipForward();
    }

    public override void SeekForPrev(ReadOnlySpan<byte> internalKey)
    {
        int index = LevelSet.FindTable(tables, InternalKey.GetPrefix(internalKey));
        if (index == tables.Length || tables[index].Meta.SmallestPrefix.SequenceCompareTo(InternalKey.GetPrefix(internalKey)) > 0)
        {
            index--;
        }

        if (Open(index))
        {
            _table!.SeekForPrev(internalKey);
        }

        SkipBackward();
    }

    public override void Next()
    {
        _table!.Next();
        if (!_table.Valid)
        {
            SkipForward();
        }
    }

    public override void Prev()
    {
        _table!.Prev();
        if (!_table.Valid)
        {
            SkipBackward();
        }
    }

    protected override void Dispose(bool disposing) => Close();

    private void SkipForward()
    {
        while (_table is { Valid: false } && Open(_index + 1))
        {
            _table.SeekToFirst();
        }
    }

    private void SkipBackward()
    {
        while (_table is { Valid: false } && Open(_index - 1))
        {
            _table.SeekToLast();
        }
    }

    private bool Open(int index)
    {
        if (index < 0 || index >= tables.Length)
        {
            Close();
            return false;
        }

        if (_table is null || index != _index)
        {
            Close();
            _table = DropFilterIterator.Over(tables[index], drops?[index], options);
            _index = index;
        }

        return true;
    }

    private void Close()
    {
        _table?.Dispose();
        _table = null;
        _index = -1;
    }
}
