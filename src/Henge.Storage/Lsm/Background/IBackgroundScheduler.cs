namespace Henge.Storage.Lsm.Background;

/// <summary>
/// The seam through which an engine gets its background work done: threads in production, a queue that a test or a simulator runs
/// as it likes. Thread-safe.
/// </summary>
/// <remarks>
/// A job is a sequence of steps: <see cref="System.Collections.IEnumerator.MoveNext"/> does one, and says whether there are more. Between
/// two steps a job holds no lock, so a scheduler may let any amount of other work happen there, on the same thread or on others (decision
/// 0130). Errors never leave a job. A job that is disposed of instead of being run to its end gives up what it has done so far. The engine
/// disposes of its jobs when it is closed; steps that come later do nothing.
/// </remarks>
public interface IBackgroundScheduler : IDisposable
{
    /// <summary>
    /// Queues a job. Jobs of one kind run in order, never two at once: the next begins when the one before has no more steps.
    /// </summary>
    void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> job);

    /// <summary>
    /// Queues a call that should not come before some time has passed (an inline scheduler may make it whenever it is asked). It does not
    /// block.
    /// </summary>
    void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action call);

    /// <summary>
    /// Called by an engine that would block otherwise: an inline scheduler runs one job, or one step of a job, on this thread and says
    /// true, or false when it has none; one with threads of its own says false, and the engine waits for them.
    /// </summary>
    bool TryRunOne();

    /// <summary>True when jobs run on other threads, so that waiting for them makes sense.</summary>
    bool HasThreads { get; }

    /// <summary>Holds up the job that calls it (to keep to a rate). An inline scheduler returns at once.</summary>
    void Pause(TimeSpan time);
}
