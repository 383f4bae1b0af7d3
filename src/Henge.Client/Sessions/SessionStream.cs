using Henge.Client.Grpc;
using Henge.Core;

namespace Henge.Client;

/// <summary>
/// One duplex stream to a node. Callers add operations to a buffer; a writer sends whatever has gathered while its last write was under way, so that batches
/// form by themselves and a lone operation waits for nobody. Answers come in any order. When it breaks, it is replaced. Thread-safe.
/// </summary>
internal sealed class SessionStream : IThreadPoolWorkItem
{
    private readonly SessionDispatcher _dispatcher;
    private readonly HengeClientOptions _options;
    private readonly GrpcTransport _transport;
    private readonly GrpcDuplexStream _duplex;
    private readonly Lock _lock = new();
    private readonly CallTable _calls = new();
    private SessionBuffer _open = new();
    private SessionBuffer _spare = new();
    private long _batch = 1;
    private long _sentBatch;
    private bool _writing;
    private AttemptFailedException? _broken;

    public SessionStream(SessionDispatcher dispatcher, GrpcTransport transport, HengeClientOptions options, string address)
    {
        _transport = transport;
        _dispatcher = dispatcher;
        _options = options;
        Address = address;
        _duplex = transport.OpenDuplex(Methods.SessionPath, address);
        _ = ReadAsync();
    }

    /// <summary>The node.</summary>
    public string Address { get; }

    /// <summary>True when it can carry nothing more.</summary>
    public bool IsBroken => Volatile.Read(ref _broken) is not null;

    /// <summary>True while calls wait for answers.</summary>
    public bool IsBusy
    {
        get
        {
            lock (_lock)
            {
                return _calls.Count > 0;
            }
        }
    }

    /// <summary>
    /// Takes a call on. Null: it is under way, and belongs to the stream. Else it was not taken, and still belongs to the caller.
    /// </summary>
    public AttemptFailedException? TrySubmit(SessionCall call)
    {
        int size = SessionEncoder.SizeOf(call, _options);
        call.TimeoutMs = (uint)Math.Clamp(_transport.TimeoutOfNode(Address, call.AttemptPatience).TotalMilliseconds, 1, int.MaxValue);
        lock (_lock)
        {
            if (_broken is { } broken)
            {
                return new AttemptFailedException(broken.Code, broken.Message, AttemptOutcome.NothingDone, null, broken.ConnectionFailed, broken);
            }

            if (_open.Length + size > _options.MaxPendingBytes || !_calls.TryAdd(call))
            {
                return new AttemptFailedException(
                    ErrorCode.ResourceExhausted,
                    $"{_open.Length} bytes wait to be sent to {Address}, and {nameof(HengeClientOptions.MaxPendingBytes)} is {_options.MaxPendingBytes}. Send less at a time.",
                    AttemptOutcome.NothingDone);
            }

            call.Stream = this;
            call.Batch = _batch;
            int length = SessionEncoder.ElementSizeOf(call, size);
            SessionEncoder.Write(_open.Take(length), call, size, _options);
            call.Place = _open.Length - length;
            if (_writing)
            {
                return null;
            }

            _writing = true;
        }

        // Behind what is queued already: callers that are about to run add to this batch.
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        return null;
    }

    void IThreadPoolWorkItem.Execute() => _ = WriteAsync();

    private async Task WriteAsync()
    {
        try
        {
            // Before anything is taken out of the buffer: what waits for a connection has not been sent.
            await _duplex.OpenAsync().ConfigureAwait(false);
        }
        catch (AttemptFailedException e)
        {
            Break(e);
            return;
        }

        while (true)
        {
            SessionBuffer batch;
            lock (_lock)
            {
                if (_broken is not null || _open.Length == 0)
                {
                    _writing = false;
                    return;
                }

                batch = _open;
                _open = _spare;
                _spare = batch;
                _sentBatch = _batch++;
            }

            try
            {
                await _duplex.WriteAsync(batch.Seal()).ConfigureAwait(false);
            }
            catch (AttemptFailedException e)
            {
                Break(e);
                return;
            }

            batch.Clear();
        }
    }

    private async Task ReadAsync()
    {
        AttemptFailedException failure;
        try
        {
            while (await _duplex.ReadAsync().ConfigureAwait(false) is { } message)
            {
                _dispatcher.OnReached(Address);
                _transport.OnAnswered(Address);
                Receive(message.Span);
            }

            failure = new AttemptFailedException(ErrorCode.Unavailable, $"{Address} ended the session; it is stopping.", AttemptOutcome.Unknown);
        }
        catch (AttemptFailedException e)
        {
            failure = e;
        }
        catch (FormatException e)
        {
            failure = new AttemptFailedException(
                ErrorCode.Internal, $"{Address} sent what is no answer of a session: {e.Message}.", AttemptOutcome.Unknown, connectionFailed: true, inner: e);
        }

        Break(failure);
    }

    private void Receive(ReadOnlySpan<byte> message)
    {
        WireReader reader = new(message);
        while (reader.Next())
        {
            if (reader.Field != 1)
            {
                reader.Skip();
                continue;
            }

            (ulong id, int field) = SessionDecoder.ReadHead(reader.Bytes(), out ReadOnlySpan<byte> body);
            SessionCall? call;
            lock (_lock)
            {
                if (!_calls.TryRemove(id, out call))
                {
                    // The call has given up meanwhile.
                    continue;
                }
            }

            Deliver(call, field, body);
        }
    }

    private void Deliver(SessionCall call, int field, ReadOnlySpan<byte> body)
    {
        const int errorField = 7;
        try
        {
            if (field == errorField)
            {
                _dispatcher.OnFailure(call, SessionDecoder.ReadError(body, Address), Address);
                return;
            }

            SessionDecoder.ReadResult(call, field, body);
        }
        catch (FormatException e)
        {
            _dispatcher.OnFailure(
                call,
                new AttemptFailedException(ErrorCode.Internal, $"{Address} sent what is no answer of a session: {e.Message}.", AttemptOutcome.Unknown, connectionFailed: true, inner: e),
                Address);
            throw;
        }

        _dispatcher.OnSuccess(call, Address);
    }

    /// <summary>The caller's token was cancelled.</summary>
    public void Cancel(SessionCall call)
    {
        bool taken;
        lock (_lock)
        {
            taken = ReferenceEquals(call.Stream, this) && _calls.TryRemove(call.Id, out _);
            if (taken)
            {
                Withdraw(call);
            }
        }

        if (taken)
        {
            call.Fail(new OperationCanceledException(call.CancellationToken));
        }
    }

    /// <summary>Ends the attempts of calls that have waited for too long.</summary>
    public void Sweep(long now)
    {
        List<SessionCall> late;
        lock (_lock)
        {
            late = _calls.Where(c => c.AttemptPatience <= _options.TimeProvider.GetElapsedTime(c.SentAt, now));
            foreach (SessionCall call in late)
            {
                _calls.TryRemove(call.Id, out _);
                call.IsSent = !Withdraw(call);
            }
        }

        foreach (SessionCall call in late)
        {
            _dispatcher.OnFailure(call, GrpcFailure.TimedOut(Address, call.AttemptPatience, call.IsSent), Address);
        }
    }

    // True when the call had not been sent; then it never will be. Under the lock.
    private bool Withdraw(SessionCall call)
    {
        if (call.Batch != _batch || _broken is not null)
        {
            return false;
        }

        _open.Withdraw(call.Place);
        return true;
    }

    /// <summary>Ends the stream; what is under way fails.</summary>
    public void Close() => Break(new AttemptFailedException(ErrorCode.Unavailable, "The client was disposed of.", AttemptOutcome.Unknown, connectionFailed: true));

    private void Break(AttemptFailedException failure)
    {
        List<SessionCall> calls;
        long sent;
        lock (_lock)
        {
            if (_broken is not null)
            {
                return;
            }

            Volatile.Write(ref _broken, failure);
            sent = _sentBatch;
            calls = _calls.Where(static _ => true);
            foreach (SessionCall call in calls)
            {
                _calls.TryRemove(call.Id, out _);
            }
        }

        _duplex.Cancel();
        _dispatcher.OnBroken(this, failure);
        foreach (SessionCall call in calls)
        {
            // What was never handed to the connection cannot have been done.
            bool nothingDone = failure.Outcome == AttemptOutcome.NothingDone || call.Batch > sent;
            _dispatcher.OnFailure(
                call,
                new AttemptFailedException(
                    failure.Code, failure.Message, nothingDone ? AttemptOutcome.NothingDone : AttemptOutcome.Unknown, null, failure.ConnectionFailed, failure),
                Address);
        }
    }
}
