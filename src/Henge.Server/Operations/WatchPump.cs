using Henge.Core;
using Henge.Node.Api;

namespace Henge.Server.Operations;

/// <summary>
/// A watch of a door, and the loop that gives its events to the door: a bounded batch at a time, and no more are taken from the node until
/// the door has sent those. A slow reader costs one batch; what it has yet to get stays in the node's history. Dispose of it to end it, on
/// any thread.
/// </summary>
internal sealed class WatchPump : IDisposable
{
    private readonly AsyncSignal _available = new();
    private readonly WatchPace _pace;
    private readonly TimeProvider _time;
    private volatile bool _isDisposed;
    private int _quiet;

    /// <summary>Begins to open a watch. Throws what <see cref="IHengeNode.OpenWatch"/> throws.</summary>
    /// <param name="node">The node.</param>
    /// <param name="query">What is watched.</param>
    /// <param name="pace">How much is given at a time.</param>
    /// <param name="time">What <see cref="WatchPace.Quiet"/> is measured by; null: the system's.</param>
    public WatchPump(IHengeNode node, WatchQuery query, WatchPace pace, TimeProvider? time = null)
    {
        (_pace, _time) = (pace, time ?? TimeProvider.System);
        Watch = node.OpenWatch(query, _available.Set);
    }

    /// <summary>The watch, which says where it stands. Only the pump reads from it.</summary>
    public IWatch Watch { get; }

    /// <summary>
    /// Completes when the watch stands: from then on nothing is missed, and its place can be told. Throws what
    /// <see cref="IWatch.TryOpen"/> throws, and <see cref="OperationCanceledException"/>; dispose of it then.
    /// </summary>
    public async ValueTask OpenAsync(CancellationToken cancellation)
    {
        if (Watch.TryOpen())
        {
            return;
        }

        await using CancellationTokenRegistration cancelled = cancellation.UnsafeRegister(
            static signal => ((AsyncSignal)signal!).Set(),
            _available);
        while (!Watch.TryOpen())
        {
            cancellation.ThrowIfCancellationRequested();
            await _available.WaitAsync();
        }
    }

    /// <summary>
    /// Gives events until it is disposed of. Throws <see cref="HengeException"/> (HistoryGone) when events are lost, what the output
    /// throws, and <see cref="OperationCanceledException"/>.
    /// </summary>
    public async Task RunAsync(IWatchOutput output, CancellationToken cancellation)
    {
        await using CancellationTokenRegistration cancelled = cancellation.UnsafeRegister(
            static signal => ((AsyncSignal)signal!).Set(),
            _available);
        await using ITimer? timer = _pace.Quiet == default ? null
            : _time.CreateTimer(static pump => ((WatchPump)pump!).OnQuiet(), this, _pace.Quiet, _pace.Quiet);
        while (!_isDisposed)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!await GiveAsync(output, Interlocked.Exchange(ref _quiet, 0) == 1))
            {
                await _available.WaitAsync();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _isDisposed = true;
        Watch.Dispose();
        _available.Set();
    }

    /// <summary>One round; false when there was nothing to give.</summary>
    private async ValueTask<bool> GiveAsync(IWatchOutput output, bool isQuiet)
    {
        await output.EnterAsync();
        try
        {
            bool given = false;
            while (TryRead(output))
            {
                given = true;
                if (!output.OnRead(Watch))
                {
                    break;
                }
            }

            if (given || (isQuiet && !_isDisposed))
            {
                await output.SendAsync(Watch, isQuiet: !given);
            }

            return given;
        }
        finally
        {
            output.Exit();
        }
    }

    private bool TryRead(IWatchOutput output)
    {
        try
        {
            return !_isDisposed && Watch.TryRead(output, _pace.Items, _pace.Bytes);
        }
        catch (ObjectDisposedException) when (_isDisposed)
        {
            return false;
        }
    }

    private void OnQuiet()
    {
        Volatile.Write(ref _quiet, 1);
        _available.Set();
    }
}
