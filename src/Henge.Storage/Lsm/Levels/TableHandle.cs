using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Lsm.Levels;

/// <summary>An open table of some level sets. Reference counted: each level set that holds it has one. Thread-safe.</summary>
internal sealed class TableHandle(TableMeta meta, TableReader reader, ObsoleteFiles obsolete)
{
    private int _references;
    private volatile bool _removed;

    public TableMeta Meta { get; } = meta;

    public TableReader Reader { get; } = reader;

    /// <summary>Says that the manifest does not list the table any more: its file goes with the last reference.</summary>
    public void MarkRemoved() => _removed = true;

    public void Retain() => Interlocked.Increment(ref _references);

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            Reader.Release();
            if (_removed)
            {
                obsolete.Add(EngineFiles.Table(Meta.Number));
            }
        }
    }
}
