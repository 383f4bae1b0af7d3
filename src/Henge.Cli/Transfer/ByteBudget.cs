namespace Henge.Cli.Transfer;

/// <summary>Bounds how many bytes are under way. One waiter at a time; releasing is thread-safe.</summary>
internal sealed class ByteBudget(long limitBytes)
{
    private readonly Lock _lock = new();
    private long _used;
    private TaskCompletionSource? _waiter;

    /// <summary>Waits until there is room; something larger than the whole budget goes alone.</summary>
    public async ValueTask TakeAsync(long bytes, CancellationToken cancellationToken)
    {
        while (true)
        {
            TaskCompletionSource waiter;
            lock (_lock)
            {
                if (_used == 0 || _used + bytes <= limitBytes)
                {
                    _used += bytes;
                    return;
                }

                waiter = _waiter ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            await waiter.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public void Release(long bytes)
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            _used -= bytes;
            waiter = _waiter;
            _waiter = null;
        }

        waiter?.SetResult();
    }
}
