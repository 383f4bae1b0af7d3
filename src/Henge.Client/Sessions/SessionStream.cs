using Grpc.Core;
using Henge.Client.Errors;
using Henge.Client.Transport;
using Henge.Core;
using Henge.Protocol.Messages;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Sessions;

/// <summary>
/// One duplex stream to a node. Callers add operations to a buffer; a writer sends whatever has gathered while its last write was under
/// way, so that batches form by themselves and a single operation does not wait. Answers come in any order. When it breaks, it is
/// replaced. Thread-safe.
/// </summary>
internal sealed class SessionStream : IThreadPoolWorkItem
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(1);
    private readonly SessionDispatcher _dispatcher;
    private readonly HengeClientOptions _options;
    private readonly NodeChannel _node;
    private readonly AsyncDuplexStreamingCall<SessionStream, SessionFrame> _call;
    private readonly Task _reading;
    private readonly Lock _lock = new();
    private readonly CallTable _calls = new();
    private SessionBuffer _open = new();
    private SessionBuffer _leaving = new();
    private long _batch = 1;
    private long _sentBatch;
    private bool _writing;
    private volatile bool _hasAnswered;
    private AttemptFailedException? _broken;

    public SessionStream(SessionDispatcher dispatcher, NodeTransport transport, HengeClientOptions options, string address)
    {
        _dispatcher = dispatcher;
        _options = options;
        Address = address;
        _node = transport.ChannelOf(address);
        _call = transport.OpenDuplex(SessionMethod.Instance, _node);
        _reading = ReadAsync();
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
        call.TimeoutMs = (uint)
            Math.Clamp(AttemptTiming.TimeoutOfNode(call.AttemptTimeLeft, _node.HasAnswered).TotalMilliseconds, 1, int.MaxValue);
        lock (_lock)
        {
            if (_broken is { } broken)
            {
                return new AttemptFailedException(
                    broken.Code,
                    broken.Message,
                    AttemptOutcome.NothingDone,
                    null,
                    broken.ConnectionFailed,
                    broken);
            }

            if (_open.Length + size > _options.MaxPendingBytes || !_calls.TryAdd(call))
            {
                return new AttemptFailedException(
                    ErrorCode.ResourceExhausted,
                    $"{_open.Length} bytes wait to be sent to {Address}, and {nameof(HengeClientOptions.MaxPendingBytes)} is "
                        + $"{_options.MaxPendingBytes}. Send less at a time.",
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
            while (HasMore())
            {
                await _call.RequestStream.WriteAsync(this).ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            // A node that refuses the call answers and closes the stream; the answer, which the reader has, says why, and that nothing was
            // done.
            await Task.WhenAny(_reading, Task.Delay(AnswerTimeout)).ConfigureAwait(false);
            Break(
                e is RpcException failed
                    ? CallFailure.From(failed, Address)
                    : new AttemptFailedException(
                        ErrorCode.Unavailable,
                        $"The connection to {Address} broke: {e.Message}",
                        AttemptOutcome.Unknown,
                        connectionFailed: true,
                        inner: e));
        }
    }

    private bool HasMore()
    {
        lock (_lock)
        {
            return _writing = _broken is null && (_leaving.HasMessages || _open.Length > 0);
        }
    }

    /// <summary>
    /// Writes the next message. The library calls this when there is a connection to write to, and not before: what waits for a connection
    /// stays in the open buffer, and has not been sent.
    /// </summary>
    public void WriteMessage(SerializationContext context)
    {
        if (!_leaving.HasMessages)
        {
            lock (_lock)
            {
                if (_broken is { } broken)
                {
                    // Its calls have been told that nothing of what waited was sent.
                    throw broken;
                }

                _leaving.Clear();
                (_open, _leaving) = (_leaving, _open);
                _sentBatch = _batch++;
            }

            _leaving.Seal();
        }

        ReadOnlySpan<byte> message = _leaving.Next();
        context.SetPayloadLength(message.Length);
        System.Buffers.IBufferWriter<byte> writer = context.GetBufferWriter();
        message.CopyTo(writer.GetSpan(message.Length));
        writer.Advance(message.Length);
        context.Complete();
    }

    private async Task ReadAsync()
    {
        AttemptFailedException failure;
        try
        {
            while (await _call.ResponseStream.MoveNext(CancellationToken.None).ConfigureAwait(false))
            {
                using SessionFrame frame = _call.ResponseStream.Current;
                _dispatcher.OnReached(Address);
                _node.HasAnswered = true;
                _hasAnswered = true;
                Receive(frame.Span);
            }

            failure = new AttemptFailedException(
                ErrorCode.Unavailable,
                $"{Address} ended the session; it is stopping.",
                AttemptOutcome.Unknown);
        }
        catch (RpcException e)
        {
            failure = Ended(CallFailure.From(e, Address));
        }
        catch (ObjectDisposedException e)
        {
            failure = CallFailure.From(e, Address, sent: true);
        }
        catch (FormatException e)
        {
            failure = NoAnswer(e);
        }

        Break(failure);
    }

    private void Receive(ReadOnlySpan<byte> message)
    {
        FieldReader reader = new(message);
        while (reader.Read())
        {
            if (reader.Tag != SessionResultFields.Tag)
            {
                continue;
            }

            SessionResultFields result = SessionResultFields.Read(reader.Bytes);
            SessionCall? call;
            lock (_lock)
            {
                if (!_calls.TryRemove(result.Id, out call))
                {
                    // The call has given up meanwhile.
                    continue;
                }
            }

            Deliver(call, result);
        }
    }

    private void Deliver(SessionCall call, in SessionResultFields result)
    {
        try
        {
            if (result.Kind == Wire.SessionResult.ErrorFieldNumber)
            {
                _dispatcher.OnFailure(call, SessionDecoder.ReadError(result.Content, Address), Address);
                return;
            }

            SessionDecoder.ReadResult(call, result, _dispatcher.Router);
        }
        catch (FormatException e)
        {
            _dispatcher.OnFailure(call, NoAnswer(e), Address);
            throw;
        }

        _dispatcher.OnSuccess(call, Address);
    }

    // A session that was let in, and whose user is not let in any more: a password has changed, a token is over. That says nothing of what
    // was under way. A call of its own says who calls anew, and is answered for itself.
    private AttemptFailedException Ended(AttemptFailedException failure) =>
        _hasAnswered && failure.Code is (ErrorCode.Unauthenticated or ErrorCode.PermissionDenied)
            ? new AttemptFailedException(
                ErrorCode.Unavailable,
                $"{Address} ended the session: {failure.Message}",
                AttemptOutcome.Unknown,
                inner: failure)
            : failure;

    private AttemptFailedException NoAnswer(FormatException e) => new(
        ErrorCode.Internal,
        $"{Address} sent what is no answer of a session: {e.Message}.",
        AttemptOutcome.Unknown,
        connectionFailed: true,
        inner: e);

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
            late = _calls.Where(c => c.AttemptTimeLeft <= _options.TimeProvider.GetElapsedTime(c.SentAt, now));
            foreach (SessionCall call in late)
            {
                _calls.TryRemove(call.Id, out _);
                call.IsSent = !Withdraw(call);
            }
        }

        foreach (SessionCall call in late)
        {
            _dispatcher.OnFailure(call, CallFailure.TimedOut(Address, call.AttemptTimeLeft, call.IsSent), Address);
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
    public void Close() =>
        Break(
            new AttemptFailedException(ErrorCode.Unavailable, "The client was disposed of.", AttemptOutcome.Unknown, connectionFailed: true)
        );

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

        _call.Dispose();
        _dispatcher.OnBroken(this, failure);
        foreach (SessionCall call in calls)
        {
            // What was never handed to the connection cannot have been done.
            bool nothingDone = failure.Outcome == AttemptOutcome.NothingDone || call.Batch > sent;
            _dispatcher.OnFailure(
                call,
                new AttemptFailedException(
                    failure.Code,
                    failure.Message,
                    nothingDone ? AttemptOutcome.NothingDone : AttemptOutcome.Unknown,
                    null,
                    failure.ConnectionFailed,
                    failure),
                Address);
        }
    }
}
