using Grpc.AspNetCore.Server;
using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Calls;

namespace Henge.Server.Kv;

/// <summary>
/// A get, put or delete that came as a call of its own. Whoever completes it only hands it on (<see cref="KvUnaryDone"/>); the answer is
/// read and written on a thread of the pool, and what waits costs one task.
/// </summary>
internal sealed class KvUnaryOperation(IHengeNode node, KvUnaryPool pool, CallGate gate)
    : KvOperation(node),
        IThreadPoolWorkItem,
        IDisposable
{
    private const int Submitting = 0;
    private const int Waiting = 1;
    private const int Done = 2;

    private ServerCallContext _call = null!;
    private CallTerms _terms = null!;
    private Task<KvUnaryOperation>? _self;
    private TaskCompletionSource<KvUnaryOperation>? _done;
    private HengeException? _refusal;
    private bool _refusesInMessage;
    private int _state;

    /// <summary>The next one in a list of what has ended.</summary>
    public KvUnaryOperation? NextDone { get; set; }

    /// <summary>Size of the answer's message, once the operation has ended.</summary>
    public int ResponseBytes { get; private set; }

    /// <summary>Makes it end with an error without having been submitted.</summary>
    public void Refuse(HengeException refusal) => _refusal = refusal;

    /// <summary>Hands the loaded request to the node; the task ends with the answer.</summary>
    public Task<KvUnaryOperation> SubmitAsync(ServerCallContext call, bool refusesInMessage)
    {
        _call = call;
        _terms = CallTerms.Of(call);
        _terms.Held = this;
        _refusesInMessage = refusesInMessage;
        if (_refusal is { } refusal)
        {
            return Task.FromException<KvUnaryOperation>(CallErrors.Create(refusal.Code, refusal.Message));
        }

        _state = Submitting;
        DeadlineMs = _terms.DeadlineMs;
        try
        {
            Node.Submit(this);
        }
        catch (Exception e)
        {
            return Task.FromException<KvUnaryOperation>(gate.Errors.Of(e, call.GetHttpContext()));
        }

        if (Volatile.Read(ref _state) == Done)
        {
            return FinishAsync();
        }

        // Not asynchronous: the thread that has read the answer goes on in the library and sends it.
        TaskCompletionSource<KvUnaryOperation> done = new();
        _done = done;
        return Interlocked.CompareExchange(ref _state, Waiting, Submitting) == Submitting ? done.Task : FinishAsync();
    }

    /// <summary>Lets go of everything, and of itself.</summary>
    public void Dispose()
    {
        if (_terms is not null)
        {
            _terms.Held = null;
        }

        Release();
        _call = null!;
        _terms = null!;
        _done = null;
        _refusal = null;
        pool.Return(this);
    }

    /// <summary>Reads and writes the answer of an operation that has ended while its caller waited.</summary>
    public void Finish()
    {
        TaskCompletionSource<KvUnaryOperation> done = _done!;
        Task<KvUnaryOperation> finished = FinishAsync();
        if (finished.IsCompletedSuccessfully)
        {
            done.SetResult(this);
        }
        else
        {
            done.SetFromTask(finished);
        }
    }

    void IThreadPoolWorkItem.Execute() => KvUnaryDone.Finish(this);

    protected override void OnCompleted()
    {
        if (Interlocked.Exchange(ref _state, Done) == Waiting)
        {
            pool.Done.Add(this);
        }
    }

    private Task<KvUnaryOperation> FinishAsync()
    {
        try
        {
            int size = PrepareResponse();
            if (size < 0 && _refusesInMessage)
            {
                // The API's ancestor answers in the message; its clients look nowhere else.
                size = PrepareRefusal();
            }

            if (size < 0)
            {
                return Task.FromException<KvUnaryOperation>(CallErrors.Create(Error, ErrorMessage ?? "The operation failed.", LeaderHint));
            }

            _terms.Reserve(size);
            ResponseBytes = size;
            return _terms.Packs(size) ? PackAsync() : _self ??= Task.FromResult(this);
        }
        catch (Exception e)
        {
            return Task.FromException<KvUnaryOperation>(gate.Errors.Of(e, _call.GetHttpContext()));
        }
    }

    private async Task<KvUnaryOperation> PackAsync()
    {
        await _terms.SendHeadersAsync(_call);
        return this;
    }
}
