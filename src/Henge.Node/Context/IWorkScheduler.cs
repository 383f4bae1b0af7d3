namespace Henge.Node.Context;

/// <summary>A piece of work that can be run again and again: a worker's queue, the node log's writer.</summary>
public interface IWorkItem
{
    /// <summary>
    /// Does what waits and returns. Its owner schedules it at most once at a time: it is never scheduled again before <see cref="Run"/> was
    /// entered, and never entered twice at once.
    /// </summary>
    void Run();
}

/// <summary>
/// How work is run: on a pool, on pinned threads, or, in the simulator, step by step in one thread. A lane is a number from 0; work of one
/// lane never runs beside itself. Thread-safe.
/// </summary>
public interface IWorkScheduler
{
    /// <summary>Has an item run soon. Never runs it before returning, never blocks.</summary>
    void Schedule(int lane, IWorkItem item);
}
