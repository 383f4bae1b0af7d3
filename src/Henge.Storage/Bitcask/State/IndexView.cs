using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Lsm.MemTables;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// What a read goes by: the index of each keyspace, and with it every segment that an address in them may name. Readers take a reference
/// without a lock. A new view takes the place of this one when an index is replaced, or when a merge has replaced segments; these are
/// closed and deleted when the last reader of this view, and of all views before it, is done.
/// </summary>
/// <remarks>
/// Views form a chain: each holds a reference to the one that followed it, so that they are freed in order. An address in an index is
/// replaced in place, so a reader of an old view may be led to a segment that came much later; the chain keeps that too.
/// </remarks>
internal sealed class IndexView : StripedReferences
{
    // Freeing one view may free a long chain of them: one after another, not one within another.
    [ThreadStatic]
    private static Queue<IndexView>? _freeing;

    private readonly Dictionary<uint, MemTable> _tables;
    private readonly Action<Segment> _forget;
    private IReadOnlyList<Segment> _replaced = [];
    private IndexView? _next;
    private int _nextStripe;

    /// <param name="number">One more than that of the view before.</param>
    /// <param name="tables">The indexes; not to be changed any more.</param>
    /// <param name="forget">Called for each segment that nothing can reach any more.</param>
    public IndexView(long number, Dictionary<uint, MemTable> tables, Action<Segment> forget)
    {
        Number = number;
        _tables = tables;
        _forget = forget;
        foreach (MemTable table in tables.Values)
        {
            table.Retain();
        }
    }

    public long Number { get; }

    public Dictionary<uint, MemTable> Tables => _tables;

    /// <summary>The index of a keyspace; null when nothing is in it.</summary>
    public MemTable? Find(uint keyspace) => _tables.GetValueOrDefault(keyspace);

    /// <summary>True while this view's readers may read a segment.</summary>
    public bool MayRead(Segment segment) => segment.LastView >= Number;

    /// <summary>
    /// Says which view follows, and which segments only this view and those before it may read. Called once, before the next is published.
    /// </summary>
    public void Precede(IndexView next, IReadOnlyList<Segment> replaced)
    {
        foreach (Segment segment in replaced)
        {
            segment.LastView = Number;
        }

        _replaced = replaced;
        next.TryRetain(out _nextStripe);
        _next = next;
    }

    protected override void Free()
    {
        if (_freeing is { } waiting)
        {
            waiting.Enqueue(this);
            return;
        }

        var queue = new Queue<IndexView>([this]);
        _freeing = queue;
        try
        {
            while (queue.TryDequeue(out IndexView? view))
            {
                view.FreeOwn();
            }
        }
        finally
        {
            _freeing = null;
        }
    }

    private void FreeOwn()
    {
        foreach (MemTable table in _tables.Values)
        {
            table.Release();
        }

        foreach (Segment segment in _replaced)
        {
            _forget(segment);
        }

        _next?.Release(_nextStripe);
    }
}
