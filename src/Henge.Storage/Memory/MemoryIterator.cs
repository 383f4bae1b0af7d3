using System.Collections.Immutable;

namespace Henge.Storage.Memory;

/// <summary>Walks one immutable state of a <see cref="MemoryEngine"/> by index.</summary>
internal sealed class MemoryIterator : EngineIterator
{
    private readonly ImmutableSortedSet<MemoryEntry> _entries;
    private readonly IteratorOptions _options;
    private readonly int _first;
    private readonly int _end;
    private int _index = -1;
    private MemoryEntry? _current;

    public MemoryIterator(ImmutableSortedSet<MemoryEntry> entries, in IteratorOptions options)
    {
        _entries = entries;
        _options = options;
        _first = MemoryView.LowerBound(entries, MemoryEntry.Before(options.Keyspace, options.Lower.Span));
        _end = Math.Max(_first, MemoryView.KeyspaceOrKeyEnd(entries, options.Keyspace, options.Upper.Span));
    }

    public override bool Valid => _current is not null;

    public override ReadOnlySpan<byte> Key => Current.Key;

    public override ReadOnlySpan<byte> Value => Current.Value;

    public override Core.Version Version => Current.Version;

    public override EntryKind Kind => Current.Kind;

    public override long ExpiresAtMs => Current.ExpiresAtMs;

    private MemoryEntry Current => _current ?? throw new InvalidOperationException("The iterator does not stand on an entry.");

    public override void SeekToFirst() => Forward(_first);

    public override void SeekToLast() => Backward(_end - 1);

    public override void Seek(ReadOnlySpan<byte> key) =>
        Forward(Math.Max(_first, MemoryView.LowerBound(_entries, MemoryEntry.Before(_options.Keyspace, key))));

    public override void SeekForPrev(ReadOnlySpan<byte> key) =>
        Backward(Math.Min(_end, MemoryView.LowerBound(_entries, MemoryEntry.After(_options.Keyspace, key))) - 1);

    public override void Next()
    {
        _ = Current;
        Forward(_index + 1);
    }

    public override void Prev()
    {
        _ = Current;
        Backward(_index - 1);
    }

    protected override void Dispose(bool disposing) => _current = null;

    private void Forward(int from)
    {
        for (_index = from; _index < _end; _index++)
        {
            if (Shows(_index))
            {
                _current = _entries[_index];
                return;
            }
        }

        _current = null;
    }

    private void Backward(int from)
    {
        for (_index = from; _index >= _first; _index--)
        {
            if (Shows(_index))
            {
                _current = _entries[_index];
                return;
            }
        }

        _current = null;
    }

    // Without all versions, an entry shows when it is the newest of its key at the point, and visible there.
    private bool Shows(int index)
    {
        MemoryEntry entry = _entries[index];
        if (entry.Version > _options.Point.At)
        {
            return false;
        }

        if (_options.AllVersions)
        {
            return entry.Version >= _options.From;
        }

        if (!MemoryView.Visible(entry, _options.Point))
        {
            return false;
        }

        MemoryEntry? newer = index > _first ? _entries[index - 1] : null;
        return newer is null || !newer.SameKey(entry) || newer.Version > _options.Point.At;
    }
}
