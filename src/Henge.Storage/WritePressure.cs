namespace Henge.Storage;

/// <summary>How far writes are ahead of flushes and compactions.</summary>
public enum WritePressure
{
    /// <summary>All is well.</summary>
    None,
    /// <summary>Compaction falls behind: writers should go slower.</summary>
    SlowDown,
    /// <summary>The next <see cref="IStorageEngine.Apply"/> would block.</summary>
    Stop,
}
