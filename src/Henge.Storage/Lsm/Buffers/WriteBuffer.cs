using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Lsm.Buffers;

/// <summary>
/// A memtable and what must become durable with it. Batches enter and leave it, so that it is sealed between batches only: a flush
/// never splits one. Thread-safe.
/// </summary>
internal sealed class WriteBuffer(long capacityBytes, ulong epoch, ulong logStart)
{
    private const int ClosedBit = 1 << 30;
    private readonly Lock _lock = new();
    private readonly Dictionary<uint, ulong> _positions = [];
    private readonly Dictionary<uint, Core.Version> _versions = [];
    private int _writers;

    public MemTable Table { get; } = new(capacityBytes);

    /// <summary>Range drops with a higher epoch hide what lies in their range here.</summary>
    public ulong Epoch { get; } = epoch;

    /// <summary>The first position of the engine's own log whose records may be in here.</summary>
    public ulong LogStart { get; } = logStart;

    /// <summary>
    /// The history floor that was asked for when it was sealed: everything applied before that is in here, or in older ones.
    /// </summary>
    public ulong FloorAtSeal { get; set; }

    /// <summary>True when it is sealed and no batch is under way in it any more.</summary>
    public bool IsQuiet => Volatile.Read(ref _writers) == ClosedBit;

    /// <summary>Begins a batch; false when it is sealed.</summary>
    public bool TryEnter()
    {
        if ((Interlocked.Increment(ref _writers) & ClosedBit) == 0)
        {
            return true;
        }

        Interlocked.Decrement(ref _writers);
        return false;
    }

    public void Exit() => Interlocked.Decrement(ref _writers);

    public void Seal() => Interlocked.Or(ref _writers, ClosedBit);

    /// <summary>Waits for batches that had begun before it was sealed: microseconds.</summary>
    public void WaitUntilQuiet()
    {
        var spinner = new SpinWait();
        while (!IsQuiet)
        {
            spinner.SpinOnce();
        }
    }

    public void SetPosition(uint stream, ulong position)
    {
        lock (_lock)
        {
            _positions[stream] = position;
        }
    }

    public List<KeyValuePair<uint, ulong>> GetPositions()
    {
        lock (_lock)
        {
            return [.. _positions];
        }
    }

    /// <summary>Notes the newest version of a keyspace that a batch brings.</summary>
    public void RaiseVersion(uint keyspace, Core.Version version)
    {
        lock (_lock)
        {
            if (version > _versions.GetValueOrDefault(keyspace))
            {
                _versions[keyspace] = version;
            }
        }
    }

    /// <summary>The newest version of each keyspace in here.</summary>
    public List<KeyValuePair<uint, Core.Version>> GetVersions()
    {
        lock (_lock)
        {
            return [.. _versions];
        }
    }

    public bool IsEmpty
    {
        get
        {
            lock (_lock)
            {
                return Table.IsEmpty && _positions.Count == 0;
            }
        }
    }
}
