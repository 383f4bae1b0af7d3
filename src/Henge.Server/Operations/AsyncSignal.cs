using System.Threading.Tasks.Sources;

namespace Henge.Server.Operations;

/// <summary>
/// Wakes one waiter, once for any number of sets since it last woke; allocates nothing. <see cref="Set"/> is thread-safe; one waiter at a
/// time.
/// </summary>
internal sealed class AsyncSignal : IValueTaskSource
{
    private const int Idle = 0;
    private const int IsSet = 1;
    private const int IsAwaited = 2;

    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private int _state;

    /// <summary>Waits for a set; returns at once when there was one since the last wait.</summary>
    public ValueTask WaitAsync()
    {
        _core.Reset();
        if (Interlocked.CompareExchange(ref _state, IsAwaited, Idle) == IsSet)
        {
            Volatile.Write(ref _state, Idle);
            return default;
        }

        return new ValueTask(this, _core.Version);
    }

    /// <summary>Wakes the waiter, or lets the next wait return at once.</summary>
    public void Set()
    {
        while (true)
        {
            switch (Volatile.Read(ref _state))
            {
                case IsSet:
                    return;
                case IsAwaited when Interlocked.CompareExchange(ref _state, Idle, IsAwaited) == IsAwaited:
                    _core.SetResult(true);
                    return;
                case Idle when Interlocked.CompareExchange(ref _state, IsSet, Idle) == Idle:
                    return;
            }
        }
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
