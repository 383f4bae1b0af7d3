namespace Henge.Storage.Lsm.Background;

/// <summary>What kind of work it is; each kind runs one after another, the two beside each other.</summary>
public enum BackgroundKind
{
    /// <summary>Memtables to tables: writers wait for it.</summary>
    Flush,
    /// <summary>Compactions and deleting of files.</summary>
    Compaction,
}
