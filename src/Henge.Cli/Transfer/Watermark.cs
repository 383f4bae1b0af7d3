namespace Henge.Cli.Transfer;

/// <summary>Up to where everything is done, when things end in another order than they began. Thread-safe.</summary>
internal sealed class Watermark(long offset, long lines, long records)
{
    private readonly Lock _lock = new();
    private readonly Queue<Item> _items = [];
    private long _offset = offset;
    private long _lines = lines;
    private long _records = records;

    /// <summary>Something begins that ends at an offset of the file.</summary>
    public Item Begin(long endOffset, long line, bool isRecord = true)
    {
        Item item = new(endOffset, line) { IsRecord = isRecord };
        lock (_lock)
        {
            _items.Enqueue(item);
        }

        return item;
    }

    /// <summary>It is done.</summary>
    public void Complete(Item item)
    {
        lock (_lock)
        {
            item.Done = true;
            while (_items.TryPeek(out Item? first) && first.Done)
            {
                _items.Dequeue();
                _offset = first.EndOffset;
                _lines = first.Line;
                _records += first.IsRecord ? 1 : 0;
            }
        }
    }

    /// <summary>Everything before this offset is done: so many lines and records.</summary>
    public (long Offset, long Lines, long Records) Read()
    {
        lock (_lock)
        {
            return (_offset, _lines, _records);
        }
    }

    public sealed class Item(long endOffset, long line)
    {
        public long EndOffset => endOffset;

        public long Line => line;

        public bool Done { get; set; }

        /// <summary>False for a line that was passed over.</summary>
        public bool IsRecord { get; set; } = true;
    }
}
