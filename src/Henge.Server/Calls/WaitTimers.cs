using System.Collections.Concurrent;

namespace Henge.Server.Calls;

/// <summary>
/// Ends waits for requests at the deadlines of their calls, or when the server stops. Sources of cancellation are used again: most clients
/// send a request in pieces and with a deadline, and a linked source with a timer for each cost more than the wait. Thread-safe.
/// </summary>
internal sealed class WaitTimers(CancellationToken stopping)
{
    private const int MostKept = 1024;

    private readonly ConcurrentQueue<Timer> _kept = new();
    private int _count;

    /// <summary>Begins a wait. Dispose of the timer when nothing looks at its token any more.</summary>
    public Timer Begin(long milliseconds)
    {
        if (_kept.TryDequeue(out Timer? timer))
        {
            Interlocked.Decrement(ref _count);
        }
        else
        {
            timer = new Timer(this);
        }

        timer.Start(Math.Clamp(milliseconds, 0, int.MaxValue));
        return timer;
    }

    /// <summary>The timer of one wait.</summary>
    internal sealed class Timer : IDisposable
    {
        private readonly WaitTimers _owner;
        private readonly CancellationTokenSource _source = new();
        private readonly CancellationTokenRegistration _stopping;

        public Timer(WaitTimers owner)
        {
            _owner = owner;
            _stopping = owner.Stopping.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
        }

        /// <summary>Cancelled when the wait has lasted long enough.</summary>
        public CancellationToken Token => _source.Token;

        public void Start(long milliseconds) => _source.CancelAfter((int)milliseconds);

        /// <inheritdoc/>
        public void Dispose()
        {
            // False once it has been cancelled, or when its timer may still fire: such a source is not used again.
            if (_source.TryReset() && Volatile.Read(ref _owner._count) < MostKept)
            {
                Interlocked.Increment(ref _owner._count);
                _owner._kept.Enqueue(this);
                return;
            }

            _stopping.Dispose();
            _source.Dispose();
        }
    }

    private CancellationToken Stopping => stopping;
}
