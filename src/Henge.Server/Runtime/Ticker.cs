namespace Henge.Server.Runtime;

/// <summary>
/// Calls something at a steady rate from a thread of its own, which a busy thread pool cannot hold up. Calls that would be late are not
/// made up for.
/// </summary>
internal sealed class Ticker : IDisposable
{
    // Without spinning: it is set only at the end, and an idle node would spin a hundred times a second.
    private readonly ManualResetEventSlim _stop = new(false, spinCount: 0);
    private readonly Thread _thread;

    public Ticker(Func<int> intervalMs, Action onTick)
    {
        _thread = new Thread(() =>
        {
            while (!_stop.Wait(intervalMs()))
            {
                onTick();
            }
        })
        {
            Name = "henge-ticker",
            IsBackground = true,
            Priority = ThreadPriority.AboveNormal,
        };
        _thread.Start();
    }

    public void Dispose()
    {
        _stop.Set();
        if (Thread.CurrentThread != _thread)
        {
            _thread.Join();
        }

        _stop.Dispose();
    }
}
