using System.Buffers;
using System.Text;
using System.Threading.Tasks.Sources;
using Henge.Client.Ordering;
using Henge.Client.Retry;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Sessions;

/// <summary>
/// What a <see cref="SessionCall"/> asks for. The numbers are those of its field in SessionOperation, and in SessionResult.
/// </summary>
internal enum SessionCallKind
{
    Get = Wire.SessionOperation.GetFieldNumber,
    Put = Wire.SessionOperation.PutFieldNumber,
    Delete = Wire.SessionOperation.DeleteFieldNumber,
    Txn = Wire.SessionOperation.TxnFieldNumber,
}

/// <summary>
/// One operation on its way through a session: request, result and completion in one object that is used again and again, so that an
/// operation allocates nothing but what its caller gets. Owned by its caller until submitted, then by the stream whose table it is in;
/// whoever takes it out of the table (under the stream's lock) completes it, exactly once.
/// </summary>
internal sealed class SessionCall(SessionDispatcher dispatcher)
    : TurnTaker,
        IValueTaskSource<GetResult>,
        IValueTaskSource<PutResult>,
        IValueTaskSource<DeleteResult>,
        IValueTaskSource<TransactionResult>,
        IThreadPoolWorkItem
{
    // Continuations are dispatched by ourselves, one work item a call, so that a caller that blocks delays no others.
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = false };
    private CancellationTokenRegistration _cancellation;
    private Exception? _exception;
    private byte[]? _rented;

    // ---- request ----
    public SessionCallKind Kind { get; set; }

    public ReadOnlyMemory<byte> Key { get; set; }

    public ReadOnlyMemory<byte> Value { get; set; }

    public GetOptions? GetOptions { get; set; }

    public PutOptions? PutOptions { get; set; }

    public DeleteOptions? DeleteOptions { get; set; }

    public Wire.TxnRequest? Txn { get; set; }

    public WriteNumber Number { get; set; }

    public TimeSpan TimeAllowed { get; set; }

    /// <summary>How long the node may take, in milliseconds.</summary>
    public uint TimeoutMs { get; set; }

    public CancellationToken CancellationToken { get; set; }

    // ---- under way ----

    /// <summary>When it began, by the client's clock.</summary>
    public long StartedAt { get; set; }

    /// <summary>When it was first sent: later than it began when it had to wait for its turn.</summary>
    public long SentAt { get; set; }

    /// <summary>How long the attempt may take from then on.</summary>
    public TimeSpan AttemptTimeLeft { get; set; }

    /// <summary>The stream that it is in, and its number there.</summary>
    public SessionStream? Stream { get; set; }

    public ulong Id { get; set; }

    /// <summary>After it has been taken out of its stream for being late: whether it had been sent.</summary>
    public bool IsSent { get; set; }

    /// <summary>Where in the batch it stands.</summary>
    public int Place { get; set; }

    /// <summary>Which of the stream's batches carries it.</summary>
    public long Batch { get; set; }

    // ---- outcome ----
    public GetResult GetResult { get; set; }

    public PutResult PutResult { get; set; }

    public DeleteResult DeleteResult { get; set; }

    public TransactionResult? TxnResult { get; set; }

    public short Version => _core.Version;

    /// <summary>True when an attempt with unknown outcome leaves the caller in doubt.</summary>
    public bool ChangesState => Kind != SessionCallKind.Get;

    /// <summary>Takes text into memory that is given back at the end.</summary>
    public void RentTexts(string key, string? value)
    {
        int most = Encoding.UTF8.GetMaxByteCount(key.Length) + (value is null ? 0 : Encoding.UTF8.GetMaxByteCount(value.Length));
        _rented = ArrayPool<byte>.Shared.Rent(most);
        int length = Encoding.UTF8.GetBytes(key, _rented);
        Key = _rented.AsMemory(0, length);
        if (value is not null)
        {
            Value = _rented.AsMemory(length, Encoding.UTF8.GetBytes(value, _rented.AsSpan(length)));
        }
    }

    /// <summary>
    /// Lets the caller's token end the call. Before it is submitted: behind that, the registration would race with the completion.
    /// </summary>
    public void ObserveCancellation()
    {
        if (CancellationToken.CanBeCanceled)
        {
            _cancellation = CancellationToken.UnsafeRegister(static (state, _) => ((SessionCall)state!).Cancel(), this);
        }
    }

    /// <summary>Ends the call if it waits in a stream; elsewhere its token is looked at by whoever has it.</summary>
    public void Cancel()
    {
        if (KeyTurns.TryGiveUp(this))
        {
            Fail(new OperationCanceledException(CancellationToken));
        }
        else
        {
            Stream?.Cancel(this);
        }
    }

    /// <inheritdoc/>
    public override void OnTurn() => dispatcher.Begin(this);

    /// <inheritdoc/>
    public override bool IsLate(long now) => dispatcher.IsLate(this, now);

    /// <summary>Completes it with the result that has been set, on the thread pool.</summary>
    public void Complete() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);

    /// <summary>Completes it with an error, on the thread pool.</summary>
    public void Fail(Exception exception)
    {
        _exception = exception;
        Complete();
    }

    void IThreadPoolWorkItem.Execute()
    {
        // Waits for a cancellation that runs just now: behind this line nobody but the caller knows the call.
        _cancellation.Dispose();
        dispatcher.OnEnded(this, _exception);
        if (_exception is { } exception)
        {
            _core.SetException(exception);
        }
        else
        {
            _core.SetResult(true);
        }
    }

    private void Finish(short token)
    {
        try
        {
            _core.GetResult(token);
        }
        finally
        {
            if (_rented is { } rented)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }

            Reset();
            dispatcher.Return(this);
        }
    }

    private void Reset()
    {
        dispatcher.Return(Number);

        _rented = null;
        _exception = null;
        _cancellation = default;
        Key = default;
        Value = default;
        GetOptions = null;
        PutOptions = null;
        DeleteOptions = null;
        Txn = null;
        Number = default;
        CancellationToken = default;
        Stream = null;
        GetResult = default;
        PutResult = default;
        DeleteResult = default;
        TxnResult = null;
        _core.Reset();
    }

    GetResult IValueTaskSource<GetResult>.GetResult(short token)
    {
        GetResult result = GetResult;
        Finish(token);
        return result;
    }

    PutResult IValueTaskSource<PutResult>.GetResult(short token)
    {
        PutResult result = PutResult;
        Finish(token);
        return result;
    }

    DeleteResult IValueTaskSource<DeleteResult>.GetResult(short token)
    {
        DeleteResult result = DeleteResult;
        Finish(token);
        return result;
    }

    TransactionResult IValueTaskSource<TransactionResult>.GetResult(short token)
    {
        TransactionResult? result = TxnResult;
        Finish(token);
        return result!;
    }

    ValueTaskSourceStatus IValueTaskSource<GetResult>.GetStatus(short token) => _core.GetStatus(token);

    ValueTaskSourceStatus IValueTaskSource<PutResult>.GetStatus(short token) => _core.GetStatus(token);

    ValueTaskSourceStatus IValueTaskSource<DeleteResult>.GetStatus(short token) => _core.GetStatus(token);

    ValueTaskSourceStatus IValueTaskSource<TransactionResult>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<GetResult>.OnCompleted(
        Action<object?> continuation,
        object? state,
        short token,
        ValueTaskSourceOnCompletedFlags flags
    ) => _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource<PutResult>.OnCompleted(
        Action<object?> continuation,
        object? state,
        short token,
        ValueTaskSourceOnCompletedFlags flags
    ) => _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource<DeleteResult>.OnCompleted(
        Action<object?> continuation,
        object? state,
        short token,
        ValueTaskSourceOnCompletedFlags flags
    ) => _core.OnCompleted(continuation, state, token, flags);

    void IValueTaskSource<TransactionResult>.OnCompleted(
        Action<object?> continuation,
        object? state,
        short token,
        ValueTaskSourceOnCompletedFlags flags
    ) => _core.OnCompleted(continuation, state, token, flags);
}
