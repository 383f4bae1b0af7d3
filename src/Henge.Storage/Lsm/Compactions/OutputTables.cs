using Henge.Storage.Files;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Lsm.State;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// The tables that one flush or compaction writes. They count when <see cref="TryInstall"/> has made the manifest list them; disposed of
/// before that, or when the edit did not fit, their files are deleted: no manifest has ever listed them. Not thread-safe.
/// </summary>
internal sealed class OutputTables : IDisposable
{
    private readonly EngineState _state;
    private readonly TableStore _store;
    private readonly TableSink _sink;
    private readonly int _level;
    private readonly List<TableHandle> _opened = [];
    private bool _settled;

    public OutputTables(EngineState state, ulong epoch, long targetBytes, RateLimiter? limiter, int level)
    {
        _state = state;
        _store = state.Parts.Store;
        _sink = new TableSink(_store, epoch, targetBytes, limiter);
        _level = level;
    }

    public long BytesWritten => _sink.BytesWritten;

    /// <summary>Writes all entries, makes them durable, and opens the tables.</summary>
    public IEnumerable<BackgroundPoint> Write(HistoryFilter filter)
    {
        int stepEntries = _state.Parts.Options.StepEntries;
        long count = 0;
        for (filter.SeekToFirst(); filter.Valid; filter.Next())
        {
            if (filter.IsNewKey && _sink.IsFull)
            {
                _sink.Cut();
            }

            _sink.Add(filter.Key, filter.Value);
            if (++count % stepEntries == 0)
            {
                yield return BackgroundPoint.Writing;
                _state.ThrowIfUnusable();
            }
        }

        bool forget = _state.Parts.Options.Bugs.ForgetsLaterDrops;
        foreach (TableMeta table in _sink.Finish())
        {
            _opened.Add(_store.Open(forget ? table with { Epoch = _state.Epoch } : table));
        }

        yield return BackgroundPoint.Written;
    }

    /// <summary>
    /// Adds the tables to an edit and makes it count; false when it does not fit any more, because tables that it removes are gone.
    /// </summary>
    public bool TryInstall(VersionEdit edit, IReadOnlyList<WriteBuffer> flushed)
    {
        edit.AddedTables.AddRange(_opened.Select(table => (_level, table.Meta)));
        try
        {
            bool installed = _state.TryInstall(edit, _opened, flushed);
            _settled = installed;
            return installed;
        }
        catch (Exception error) when (error is not DiskFullException)
        {
            // Whether the manifest on the disk lists them is not known, so the files stay. The next start knows.
            CloseAll();
            _settled = true;
            throw;
        }
    }

    public void Dispose()
    {
        if (!_settled)
        {
            CloseAll();
            _sink.Discard();
        }

        _sink.Dispose();
    }

    private void CloseAll()
    {
        foreach (TableHandle table in _opened)
        {
            table.Retain();
            table.Release();
        }

        _opened.Clear();
    }
}
