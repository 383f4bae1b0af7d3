using Henge.Client.Errors;
using Henge.Client.Transport;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Routing;

/// <summary>
/// Keeps the router's map fresh. A node sends the topology and what changes of it over a stream, as long as that holds; then another node
/// does. A node that does not know such streams is asked for its topology, and answers when there is a newer one. Runs until disposed of.
/// </summary>
internal sealed class TopologyFollower : IDisposable
{
    // An older node answers when there is something new, or after a few seconds; this is only for a node that does neither.
    private static readonly TimeSpan PollTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LeastPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MostPause = TimeSpan.FromSeconds(2);

    // Who is not let in is not let in a moment later either, and wrong passwords are counted.
    private static readonly TimeSpan RefusedPause = TimeSpan.FromSeconds(30);

    // What other nodes know must come over the stream within this time, or its node is behind them.
    private static readonly TimeSpan BehindTimeout = TimeSpan.FromSeconds(2);

    private readonly NodeTransport _transport;
    private readonly Router _router;
    private readonly HengeClientOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private CancellationTokenSource? _stream;
    private int _started;
    private int _checking;

    public TopologyFollower(NodeTransport transport, Router router, HengeClientOptions options)
    {
        _transport = transport;
        _router = router;
        _options = options;
        router.Ahead = OnAhead;
    }

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
        string? avoid = null;
        TimeSpan pause = LeastPause;
        while (!_stop.IsCancellationRequested)
        {
            bool refused = false;
            string address = _router.Choose(default, avoid);
            try
            {
                if (!_router.KnowsCluster)
                {
                    await AskAsync(address, 0).ConfigureAwait(false);
                }

                if (_router.KnowsCluster)
                {
                    // Not all clients at the node that their settings name first.
                    address = _router.ChooseAny(avoid);
                }

                if (await StreamAsync(address).ConfigureAwait(false))
                {
                    pause = LeastPause;
                }
                else
                {
                    await PollAsync(address).ConfigureAwait(false);
                }
            }
            catch (AttemptFailedException e)
            {
                refused = e.Code is ErrorCode.Unauthenticated or ErrorCode.PermissionDenied;

                // A node of another cluster is not down: requests that lead there are to be told so.
                if (e.ConnectionFailed)
                {
                    _router.OnUnreachable(address);
                }
            }
            catch (OperationCanceledException)
            {
                // The client is disposed of, or another node knows more.
                pause = LeastPause;
            }

            avoid = address;
            await PauseAsync(refused ? RefusedPause : pause).ConfigureAwait(false);
            pause = Longer(pause);
        }
    }

    /// <summary>
    /// Takes in what a node sends until it ends the stream, which makes true, or another one turns out to know more, which cancels. False
    /// when the node does not know such streams. Throws <see cref="AttemptFailedException"/> when the stream breaks before it has said
    /// anything.
    /// </summary>
    private async Task<bool> StreamAsync(string address)
    {
        using CancellationTokenSource ends = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        Volatile.Write(ref _stream, ends);
        bool hasSaid = false;
        try
        {
            using StreamCall<Wire.TopologyResponse> stream = await _transport
                .WatchTopologyAsync(address, ends.Token)
                .ConfigureAwait(false);
            _router.OnReached(address);
            while (await stream.ReadAsync(ends.Token).ConfigureAwait(false) is { } topology)
            {
                TakeIn(topology, address);
                hasSaid = true;
            }

            return true;
        }
        catch (AttemptFailedException e) when (e.Code == ErrorCode.UnsupportedFormat && !hasSaid)
        {
            return false;
        }
        catch (AttemptFailedException e) when (hasSaid && e.Code != ErrorCode.Misconfigured)
        {
            if (e.ConnectionFailed)
            {
                _router.OnUnreachable(address);
            }

            return true;
        }
        finally
        {
            Volatile.Write(ref _stream, null);
        }
    }

    /// <summary>Asks an older node again and again, until it fails.</summary>
    private async Task PollAsync(string address)
    {
        ulong epoch = 0;
        TimeSpan pause = LeastPause;
        while (_router.IsUp(address))
        {
            // Epochs are a node's own: one is only worth something to the node that gave it.
            ulong newer = await AskAsync(address, epoch).ConfigureAwait(false);
            pause = newer != epoch ? LeastPause : Longer(pause);
            epoch = newer;
            await PauseAsync(pause).ConfigureAwait(false);
            _stop.Token.ThrowIfCancellationRequested();
        }
    }

    private async Task<ulong> AskAsync(string address, ulong epoch)
    {
        Wire.TopologyRequest request = new() { NewerThanEpoch = epoch };
        Wire.TopologyResponse answer = await _transport
            .UnaryAsync(NodeCalls.Topology, address, request, PollTimeout, _stop.Token)
            .ConfigureAwait(false);
        _router.OnReached(address);
        TakeIn(answer, address);
        return answer.Epoch;
    }

    private void TakeIn(Wire.TopologyResponse topology, string address)
    {
        if (!_router.OnTopology(topology))
        {
            throw new AttemptFailedException(
                ErrorCode.Misconfigured,
                $"{address} is a node of another cluster.",
                AttemptOutcome.NothingDone);
        }
    }

    // Another node has told of a leader that the stream has not: either it is about to, or its node is cut off from the others.
    private void OnAhead()
    {
        if (Volatile.Read(ref _stream) is not null && Interlocked.Exchange(ref _checking, 1) == 0)
        {
            _ = CheckAsync();
        }
    }

    private async Task CheckAsync()
    {
        CancellationTokenSource? stream = Volatile.Read(ref _stream);
        await PauseAsync(BehindTimeout).ConfigureAwait(false);
        Volatile.Write(ref _checking, 0);
        if (_router.Map.IsAhead && stream is not null && ReferenceEquals(stream, Volatile.Read(ref _stream)))
        {
            try
            {
                await stream.CancelAsync().ConfigureAwait(false);
            }
            catch (ObjectDisposedException)
            {
                // It ended by itself.
                return;
            }
        }
    }

    // Half of it is random: clients that lost a node together do not come to the next one together.
    private async Task PauseAsync(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause * (0.5 + (Random.Shared.NextDouble() / 2)), _options.TimeProvider, _stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Whoever waits looks at the token.
            return;
        }
    }

    private static TimeSpan Longer(TimeSpan pause) => pause * 2 < MostPause ? pause * 2 : MostPause;

    /// <summary>Stops.</summary>
    public void Dispose() => _stop.Cancel();
}
