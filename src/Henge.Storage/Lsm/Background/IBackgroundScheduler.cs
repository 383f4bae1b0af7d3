namespace Henge.Storage.Lsm;

/// <summary>What kind of work it is; each kind runs one after another, the two beside each other.</summary>
public enum BackgroundKind
{
    /// <summary>Memtables to tables: writers wait for it.</summary>
    Flush,
    /// <summary>Compactions and deleting of files.</summary>
    Compaction,
}

/// <summary>
/// The seam through which an engine gets its background work done: threads in production, a queue that a test or a simulator runs
/// as it likes. Thread-safe.
/// </summary>
public interface IBackgroundScheduler : IDisposable
{
    /// <summary>Queues a job. Jobs of one kind run in order, never two at once.</summary>
    void Schedule(BackgroundKind kind, Action job);

    /// <summary>Queues a job that should not run before some time has passed (an inline scheduler may run it whenever it is asked).</summary>
    void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action job);

    /// <summary>
    /// Called by an engine that would block otherwise: an inline scheduler runs one queued job on this thread and says true, or false when it has none;
    /// one with threads of its own says false, and the engine waits for them.
    /// </summary>
    bool TryRunOne();

    /// <summary>True when jobs run on other threads, so that waiting for them makes sense.</summary>
    bool HasThreads { get; }

    /// <summary>Holds up the job that calls it (to keep to a rate). An inline scheduler returns at once.</summary>
    void Pause(TimeSpan time);
}
