using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Henge.Server.Ports;

/// <summary>
/// Bounds what has arrived on all connections together and has not been taken by a protocol yet. What each connection may hold in any case
/// (<see cref="FreeBytes"/>) is bounded by the number of connections and not counted. Thread-safe.
/// </summary>
internal sealed class InputBudget(long limitBytes)
{
    /// <summary>Bytes of a connection that are not counted: small requests pay nothing for the bound on large ones.</summary>
    public const int FreeBytes = 64 * 1024;

    private long _used;

    /// <summary>Bytes that are counted now.</summary>
    public long Used => Interlocked.Read(ref _used);

    /// <summary>The bound.</summary>
    public long LimitBytes => limitBytes;

    /// <summary>Changes what a connection holds; false, and nothing changes, when that would be too much for all together.</summary>
    public bool TryChange(ref long held, long wanted)
    {
        long change = wanted - held;
        if (change == 0)
        {
            return true;
        }

        if (Interlocked.Add(ref _used, change) > limitBytes && change > 0)
        {
            Interlocked.Add(ref _used, -change);
            return false;
        }

        held = wanted;
        return true;
    }
}

/// <summary>
/// The input of one connection under a <see cref="InputBudget"/>. When it would hold too much, it ends as if the other side had closed it,
/// and says so in <see cref="IsRefused"/>. Also keeps time of a request that has begun to arrive. One reader at a time.
/// </summary>
/// <param name="inner">The connection's input.</param>
/// <param name="budget">The bound.</param>
/// <param name="time">Whose time it is.</param>
internal sealed class BudgetedInput(PipeReader inner, InputBudget budget, TimeProvider time) : PipeReader, IDisposable
{
    private ReadOnlySequence<byte> _last;
    private bool _begun;
    private long _since;
    private long _held;

    /// <summary>True once it was ended for want of memory.</summary>
    public bool IsRefused { get; private set; }

    /// <summary>How long the reader has waited for the rest of a request of which it has a part. From any thread.</summary>
    public TimeSpan WaitedForRest => Volatile.Read(ref _since) is > 0 and var since ? time.GetElapsedTime(since) : TimeSpan.Zero;

    public override bool TryRead(out ReadResult result)
    {
        if (IsRefused || !inner.TryRead(out result))
        {
            result = Ended;
            return IsRefused;
        }

        result = Judge(result);
        return true;
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (IsRefused)
        {
            return ValueTask.FromResult(Ended);
        }

        // From the first read that waits for the rest on, and not while the reader is busy with what it has.
        if (_begun && _since == 0)
        {
            Volatile.Write(ref _since, Math.Max(1, time.GetTimestamp()));
        }

        ValueTask<ReadResult> read = inner.ReadAsync(cancellationToken);
        return read.IsCompletedSuccessfully ? ValueTask.FromResult(Judge(read.Result)) : AwaitAsync(read);
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (IsRefused)
        {
            return;
        }

        long left = _last.IsEmpty ? 0 : _last.Slice(consumed).Length;
        if (_held > 0)
        {
            _ = budget.TryChange(ref _held, Math.Max(0, left - InputBudget.FreeBytes));
        }

        // What is left of it when something was taken is the beginning of another request.
        _begun = left > 0;
        if (_since != 0 && left != _last.Length)
        {
            Volatile.Write(ref _since, 0);
        }

        _last = default;
        inner.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    /// <summary>Gives back what it holds.</summary>
    public void Dispose() => _ = budget.TryChange(ref _held, 0);

    private static ReadResult Ended => new(default, isCanceled: false, isCompleted: true);

    // Its box is used again, so that a read that waits allocates nothing.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> AwaitAsync(ValueTask<ReadResult> read) => Judge(await read.ConfigureAwait(false));

    private ReadResult Judge(in ReadResult result)
    {
        long wanted = Math.Max(0, result.Buffer.Length - InputBudget.FreeBytes);
        if (wanted != _held && !budget.TryChange(ref _held, wanted))
        {
            IsRefused = true;
            inner.AdvanceTo(result.Buffer.End);
            return Ended;
        }

        _last = result.Buffer;
        return result;
    }
}

/// <summary>A connection's transport with another input.</summary>
internal sealed class InputPipe(PipeReader input, PipeWriter output) : IDuplexPipe
{
    public PipeReader Input => input;

    public PipeWriter Output => output;
}
