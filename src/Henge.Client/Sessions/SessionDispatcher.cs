using System.Collections.Concurrent;
using System.IO.Hashing;
using Henge.Client.Errors;
using Henge.Client.Mapping;
using Henge.Client.Ordering;
using Henge.Client.Retry;
using Henge.Client.Routing;
using Henge.Client.Transport;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Sessions;

/// <summary>
/// Sends operations over sessions, straight to the leaders of their keys, and what fails on to <see cref="RequestRunner"/>, which retries
/// it by unary calls under the same sequence number. So the fast path knows nothing of retries, and there is one place that decides about
/// them. Thread-safe.
/// </summary>
internal sealed class SessionDispatcher : IDisposable
{
    private static readonly TimeSpan SweepPeriod = TimeSpan.FromMilliseconds(25);

    /// <summary>Larger requests go as unary calls: copying them would hold up the small ones.</summary>
    public const int LimitBytes = 256 * 1024;

    /// <summary>After this many sweeps without calls there are none until the next call.</summary>
    private const int LimitIdleSweeps = 80;

    private const int LimitPooledCalls = 16_384;

    private readonly NodeTransport _transport;
    private readonly Router _router;
    private readonly RequestRunner _runner;
    private readonly RetryBudget _budget;
    private readonly WriteLanes _lanes;
    private readonly KeyTurns? _turns;
    private readonly WriteVoider? _voider;
    private readonly HengeClientOptions _options;
    private readonly ConcurrentDictionary<string, NodeSessions> _nodes = [];
    private readonly ConcurrentQueue<SessionCall> _pool = [];
    private readonly ITimer _timer;
    private int _pooled;
    private int _idleSweeps = LimitIdleSweeps;
    private volatile bool _unsupported;
    private volatile bool _disposed;

    public SessionDispatcher(
        NodeTransport transport,
        Router router,
        RequestRunner runner,
        RetryBudget budget,
        WriteLanes lanes,
        KeyTurns? turns,
        WriteVoider? voider,
        HengeClientOptions options)
    {
        _transport = transport;
        _router = router;
        _runner = runner;
        _budget = budget;
        _lanes = lanes;
        _turns = turns;
        _voider = voider;
        _options = options;
        _timer = options.TimeProvider.CreateTimer(
            static s => ((SessionDispatcher)s!).Sweep(),
            this,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    /// <summary>Who is asked; it learns from answers too.</summary>
    public Router Router => _router;

    /// <summary>False when the nodes do not know sessions.</summary>
    public bool IsSupported => !_unsupported;

    public SessionCall Rent()
    {
        if (_pool.TryDequeue(out SessionCall? call))
        {
            Interlocked.Decrement(ref _pooled);
            return call;
        }

        return new SessionCall(this);
    }

    public void Return(SessionCall call)
    {
        if (Volatile.Read(ref _pooled) < LimitPooledCalls)
        {
            Interlocked.Increment(ref _pooled);
            _pool.Enqueue(call);
        }
    }

    public void Return(WriteNumber number) => _lanes.Return(number);

    /// <summary>Sends a call. It completes in any case; what is thrown here was thrown before it began.</summary>
    public void Start(SessionCall call, TimeSpan? deadline)
    {
        call.StartedAt = _options.TimeProvider.GetTimestamp();
        call.TimeAllowed = deadline ?? _options.DefaultDeadline;
        if (Volatile.Read(ref _idleSweeps) >= LimitIdleSweeps)
        {
            Volatile.Write(ref _idleSweeps, 0);
            _timer.Change(SweepPeriod, SweepPeriod);
        }

        call.ObserveCancellation();
        if (TryEnter(call))
        {
            Begin(call, call.StartedAt);
        }
        else if (call.CancellationToken.IsCancellationRequested)
        {
            // The token may have spoken before there was a place to take the call from.
            call.Cancel();
        }
    }

    /// <summary>Sends a call whose turn it is.</summary>
    public void Begin(SessionCall call) => Begin(call, _options.TimeProvider.GetTimestamp());

    private void Begin(SessionCall call, long now)
    {
        call.SentAt = now;
        TimeSpan timeLeft = call.TimeAllowed - _options.TimeProvider.GetElapsedTime(call.StartedAt, call.SentAt);
        call.AttemptTimeLeft = timeLeft < _options.AttemptTimeout ? timeLeft : _options.AttemptTimeout;
        if (timeLeft <= TimeSpan.Zero)
        {
            call.Fail(ErrorFactory.NotSentInTime());
            return;
        }

        try
        {
            string address = _router.Choose(call.Key.Span, null);
            NodeSessions sessions = _nodes.TryGetValue(address, out NodeSessions? known)
                ? known
                : _nodes.GetOrAdd(address, static (a, d) => new NodeSessions(d, a), this);
            if (sessions.Current().TrySubmit(call) is { } refused)
            {
                OnFailure(call, refused, address);
            }
            else if (call.CancellationToken.IsCancellationRequested)
            {
                // The token may have spoken before there was a stream to take the call out of.
                call.Cancel();
            }
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
    }

    /// <summary>A call has ended: what waits for it begins, or, where it may yet be done, when that is settled.</summary>
    public void OnEnded(SessionCall call, Exception? exception)
    {
        if (
            _turns is null
            || (
                exception is not null
                && call.ChangesState
                && WriteVoider.IsInDoubt(exception)
                && _voider is { } voider
                && voider.TryVoid(call, call.Key.Span, call.Number)))
        {
            return;
        }

        _turns.Leave(call);
    }

    /// <summary>True when a call that waits for its turn has done so for as long as it may.</summary>
    public bool IsLate(SessionCall call, long now) => call.TimeAllowed <= _options.TimeProvider.GetElapsedTime(call.StartedAt, now);

    private bool TryEnter(SessionCall call)
    {
        if (_turns is null || call is { Kind: SessionCallKind.Get, GetOptions.Consistency: ReadConsistency.Stale })
        {
            // A stale read promises nothing, and must not wait for a cluster that has no majority.
            return true;
        }

        return call.Kind == SessionCallKind.Txn
            ? _turns.TryEnter(call, WireMapping.HashesOf(call.Txn!))
            : _turns.TryEnter(call, XxHash64.HashToUInt64(call.Key.Span), writes: call.ChangesState);
    }

    private SessionStream Open(string address)
    {
        ErrorFactory.ThrowIfDisposed(_disposed);
        return new SessionStream(this, _transport, _options, address);
    }

    /// <summary>
    /// These are the cluster's nodes now: sessions with others end once nothing is under way there.
    /// </summary>
    public void Keep(IReadOnlyList<string> addresses)
    {
        foreach ((string address, NodeSessions sessions) in _nodes)
        {
            if (!addresses.Contains(address) && !sessions.IsBusy && _nodes.TryRemove(address, out _))
            {
                // What comes too late for it was not sent, and is asked of another node.
                sessions.Close();
            }
        }
    }

    public void OnReached(string address) => _router.OnReached(address);

    public void OnSuccess(SessionCall call, string address)
    {
        // An unconditional put cannot fail its condition (see RequestRunner).
        if (call is { Kind: SessionCallKind.Put, PutResult.Succeeded: false, PutOptions.IfVersion: null })
        {
            OnFailure(
                call,
                new AttemptFailedException(ErrorCode.NotLeader, $"{address} does not lead the key's shard.", AttemptOutcome.NothingDone),
                address);
            return;
        }

        _budget.OnSuccess();
        call.Number.OnAnswered();
        call.Complete();
    }

    public void OnBroken(SessionStream stream, AttemptFailedException failure)
    {
        if (failure.Code == ErrorCode.UnsupportedFormat)
        {
            _unsupported = true;
        }

        if (failure.ConnectionFailed && !_disposed)
        {
            _router.OnUnreachable(stream.Address);
        }
    }

    /// <summary>The attempt over the session failed: what follows is not hot.</summary>
    public void OnFailure(SessionCall call, AttemptFailedException failure, string address) => _ = RecoverAsync(call, failure, address);

    private async Task RecoverAsync(SessionCall call, AttemptFailedException failure, string address)
    {
        // Off the thread that reads answers.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            ErrorFactory.ThrowIfDisposed(_disposed);

            // A node without sessions is no failure of the request: it is asked again in the other way.
            PriorFailure? prior = failure.Code == ErrorCode.UnsupportedFormat && _unsupported ? null : new PriorFailure(failure, address);
            switch (call.Kind)
            {
                case SessionCallKind.Get:
                    Wire.GetRequest get = WireMapping.Get(call.Key, call.GetOptions!, _options);
                    call.GetResult = WireMapping.FromWire(await RunAsync(NodeCalls.Get, get, call, prior).ConfigureAwait(false));
                    break;
                case SessionCallKind.Put:
                    Wire.PutRequest put = WireMapping.Put(call.Key, call.Value, call.PutOptions!);
                    put.ClientId = call.Number.ClientId;
                    put.Sequence = call.Number.Sequence;
                    put.SessionFlags = call.Number.Flags;
                    call.PutResult = WireMapping.FromWire(await RunAsync(NodeCalls.Put, put, call, prior).ConfigureAwait(false));
                    break;
                case SessionCallKind.Delete:
                    Wire.DeleteRequest delete = WireMapping.Delete(call.Key, call.DeleteOptions!);
                    delete.ClientId = call.Number.ClientId;
                    delete.Sequence = call.Number.Sequence;
                    delete.SessionFlags = call.Number.Flags;
                    call.DeleteResult = WireMapping.FromWire(await RunAsync(NodeCalls.Delete, delete, call, prior).ConfigureAwait(false));
                    break;
                default:
                    call.TxnResult = WireMapping.FromWire(await RunAsync(NodeCalls.Txn, call.Txn!, call, prior).ConfigureAwait(false));
                    break;
            }

            call.Number.OnAnswered();
            call.Complete();
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
    }

    private Task<TResponse> RunAsync<TRequest, TResponse>(
        NodeCall<TRequest, TResponse> unary,
        TRequest request,
        SessionCall call,
        PriorFailure? prior)
        where TRequest : class, Google.Protobuf.IMessage
        where TResponse : class =>
        _runner.RunAsync(
            unary,
            request,
            call.Key,
            repeatable: true,
            call.TimeAllowed,
            call.CancellationToken,
            startedAt: call.StartedAt,
            prior: prior);

    private void Sweep()
    {
        long now = _options.TimeProvider.GetTimestamp();
        bool busy = false;
        foreach (NodeSessions node in _nodes.Values)
        {
            busy |= node.Sweep(now);
        }

        if (_turns is not null)
        {
            List<TurnTaker>? late = _turns.TakeLate(now, out bool anyWaits);
            busy |= anyWaits;
            foreach (TurnTaker taker in late ?? [])
            {
                ((SessionCall)taker).Fail(ErrorFactory.NotSentInTime());
            }
        }

        if (busy)
        {
            Volatile.Write(ref _idleSweeps, 0);
        }
        else if (Interlocked.Increment(ref _idleSweeps) == LimitIdleSweeps)
        {
            _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    public void Dispose()
    {
        _disposed = true;
        _timer.Dispose();
        foreach (NodeSessions node in _nodes.Values)
        {
            node.Close();
        }
    }

    /// <summary>The streams to one node, used in turn.</summary>
    private sealed class NodeSessions(SessionDispatcher dispatcher, string address)
    {
        private readonly SessionStream?[] _streams = new SessionStream?[dispatcher._options.SessionsPerNode];
        private int _turn;

        public SessionStream Current()
        {
            int index = _streams.Length == 1 ? 0 : (int)((uint)Interlocked.Increment(ref _turn) % (uint)_streams.Length);
            SessionStream? stream = Volatile.Read(ref _streams[index]);
            return stream is { IsBroken: false } ? stream : Replace(index, stream);
        }

        private SessionStream Replace(int index, SessionStream? broken)
        {
            lock (_streams)
            {
                if (!ReferenceEquals(_streams[index], broken) && _streams[index] is { IsBroken: false } other)
                {
                    return other;
                }

                SessionStream fresh = dispatcher.Open(address);
                Volatile.Write(ref _streams[index], fresh);
                return fresh;
            }
        }

        public bool IsBusy => _streams.Any(static stream => stream is { IsBusy: true });

        public bool Sweep(long now)
        {
            bool busy = false;
            for (int i = 0; i < _streams.Length; i++)
            {
                if (Volatile.Read(ref _streams[i]) is { } stream)
                {
                    stream.Sweep(now);
                    busy |= stream.IsBusy;
                }
            }

            return busy;
        }

        public void Close()
        {
            lock (_streams)
            {
                foreach (SessionStream? stream in _streams)
                {
                    stream?.Close();
                }
            }
        }
    }
}
