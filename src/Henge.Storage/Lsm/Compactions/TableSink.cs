using System.Buffers.Binary;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// Writes a run of entries into tables of a target size, cut between keys only. Until <see cref="Finish"/> has returned nothing counts;
/// <see cref="Discard"/> takes the files away again.
/// </summary>
internal sealed class TableSink(TableStore store, ulong epoch, long targetBytes, RateLimiter? limiter) : IDisposable
{
    private readonly List<TableMeta> _tables = [];
    private readonly List<ulong> _numbers = [];
    private IFile? _file;
    private TableWriter? _writer;
    private long _limitedBytes;
    private long _maxExpiresAtMs;

    public long BytesWritten { get; private set; }

    /// <summary>True when the table that is open has grown enough to be closed at the next key.</summary>
    public bool IsFull => _writer is not null && _writer.EstimatedBytes >= targetBytes;

    public void Add(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        try
        {
            AddCore(key, value);
        }
        catch (IOException error) when (error is not DiskFullException)
        {
            throw new TableWriteException(error);
        }
    }

    private void AddCore(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        if (_writer is null)
        {
            ulong number = store.NextNumber();
            _numbers.Add(number);
            _file = store.Create(number);
            _writer = new TableWriter(_file, store.Options);
            _limitedBytes = 0;
            _maxExpiresAtMs = 0;
        }

        _writer.Add(key, value);
        if (EntryHeader.IsIn(InternalKey.GetKind(key)))
        {
            _maxExpiresAtMs = Math.Max(_maxExpiresAtMs, EntryHeader.ExpiresAtMs(BinaryPrimitives.ReadInt64LittleEndian(value)));
        }

        if (limiter is not null && _writer.EstimatedBytes - _limitedBytes >= 1 << 16)
        {
            limiter.Take(_writer.EstimatedBytes - _limitedBytes);
            _limitedBytes = _writer.EstimatedBytes;
        }
    }

    /// <summary>Closes the open table, durably.</summary>
    public void Cut()
    {
        try
        {
            CutCore();
        }
        catch (IOException error) when (error is not DiskFullException)
        {
            throw new TableWriteException(error);
        }
    }

    private void CutCore()
    {
        if (_writer is not null)
        {
            TableProperties properties = _writer.Finish();
            _tables.Add(properties.ToMeta(_numbers[^1], epoch, _maxExpiresAtMs));
            BytesWritten += properties.FileBytes;
            Close();
        }
    }

    /// <summary>Closes the last table and makes the names durable.</summary>
    public IReadOnlyList<TableMeta> Finish()
    {
        Cut();
        try
        {
            if (_tables.Count > 0)
            {
                store.SyncNames();
            }
        }
        catch (IOException error) when (error is not DiskFullException)
        {
            throw new TableWriteException(error);
        }

        return _tables;
    }

    /// <summary>Deletes what was written: no manifest ever listed it.</summary>
    public void Discard()
    {
        Close();
        foreach (ulong number in _numbers)
        {
            store.DeleteUnlisted(number);
        }

        _numbers.Clear();
        _tables.Clear();
    }

    public void Dispose() => Close();

    private void Close()
    {
        _writer?.Dispose();
        _file?.Dispose();
        _writer = null;
        _file = null;
    }
}
