using Henge.Client.Errors;
using Henge.Client.Transport;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Routing;

/// <summary>
/// Keeps the router's map fresh: asks a node for its topology, and is answered when there is a newer one. Runs until disposed of.
/// </summary>
internal sealed class TopologyFollower(NodeTransport transport, Router router, HengeClientOptions options) : IDisposable
{
    // The node answers when there is something new, or after a few seconds; this is only for a node that does neither.
    private static readonly TimeSpan PollTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LeastPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MostPause = TimeSpan.FromSeconds(2);

    private readonly CancellationTokenSource _stop = new();
    private int _started;

    /// <summary>Begins to follow, the first time it is called.</summary>
    public void Start()
    {
        if (Volatile.Read(ref _started) == 0 && Interlocked.Exchange(ref _started, 1) == 0)
        {
            _ = Task.Run(FollowAsync);
        }
    }

    /// <summary>Begins to follow, the first time it is called with true.</summary>
    public void StartIf(bool wanted)
    {
        if (wanted)
        {
            Start();
        }
    }

    private async Task FollowAsync()
    {
        string? address = null;
        ulong epoch = 0;
        TimeSpan pause = LeastPause;
        while (!_stop.IsCancellationRequested)
        {
            // Epochs are a node's own: one is only worth something to the node that gave it.
            if (address is null || !router.IsUp(address))
            {
                address = router.Choose(default, address);
                epoch = 0;
            }

            try
            {
                Wire.TopologyRequest request = new() { NewerThanEpoch = epoch };
                Wire.TopologyResponse answer = await transport
                    .UnaryAsync(NodeCalls.Topology, address, request, PollTimeout, _stop.Token)
                    .ConfigureAwait(false);
                router.OnReached(address);
                pause = answer.Epoch != epoch ? LeastPause : Longer(pause);
                epoch = answer.Epoch;
                if (!router.OnTopology(answer))
                {
                    throw new AttemptFailedException(
                        Core.ErrorCode.Misconfigured,
                        $"{address} is a node of another cluster.",
                        AttemptOutcome.NothingDone);
                }
            }
            catch (AttemptFailedException e)
            {
                if (e.ConnectionFailed || e.Code == Core.ErrorCode.Misconfigured)
                {
                    router.OnUnreachable(address);
                }

                address = null;
                pause = Longer(pause);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            try
            {
                await Task.Delay(pause, options.TimeProvider, _stop.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private static TimeSpan Longer(TimeSpan pause) => pause * 2 < MostPause ? pause * 2 : MostPause;

    /// <summary>Stops.</summary>
    public void Dispose() => _stop.Cancel();
}
