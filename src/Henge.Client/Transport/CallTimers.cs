using System.Collections.Concurrent;

namespace Henge.Client.Transport;

/// <summary>
/// Sources of cancellation that are used again: one for each call under way, which ends it when its time is up or when its caller gives up.
/// Making two for each call, with a timer and a link, was among the largest costs of a unary call. Thread-safe.
/// </summary>
/// <param name="time">What timers run by.</param>
internal sealed class CallTimers(TimeProvider time)
{
    private const int Limit = 1024;
    private readonly ConcurrentQueue<CancellationTokenSource> _idle = new();

    /// <summary>Begins to time a call.</summary>
    /// <param name="timeout">Until its time is up.</param>
    /// <param name="caller">The caller's own token.</param>
    public CallTimer Begin(TimeSpan timeout, CancellationToken caller)
    {
        if (!_idle.TryDequeue(out CancellationTokenSource? source))
        {
            source = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        }

        source.CancelAfter(timeout);
        CancellationTokenRegistration link = caller.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), source);
        return new CallTimer(this, source, link);
    }

    private void Return(CancellationTokenSource source)
    {
        // False once it has been cancelled, or when its timer may still fire: such a source is not used again.
        if (_idle.Count < Limit && source.TryReset())
        {
            _idle.Enqueue(source);
        }
        else
        {
            source.Dispose();
        }
    }

    /// <summary>The time of one call. Dispose of it once, when nothing of the call looks at its token any more.</summary>
    internal readonly struct CallTimer(CallTimers owner, CancellationTokenSource source, CancellationTokenRegistration link) : IDisposable
    {
        /// <summary>Cancelled when the time is up or the caller has given up.</summary>
        public CancellationToken Token => source.Token;

        /// <inheritdoc/>
        public void Dispose()
        {
            // Waits for a cancellation that runs right now: afterwards nothing of this call reaches the source.
            link.Dispose();
            owner.Return(source);
        }
    }
}
