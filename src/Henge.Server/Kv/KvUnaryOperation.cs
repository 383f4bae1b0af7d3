using Grpc.AspNetCore.Server;
using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Calls;
using Henge.Server.Operations;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Kv;

/// <summary>
/// A get, put or delete that came as a call of its own. Mostly its request has arrived as a whole: then the node has it before the library
/// is entered, and the library finds it done. Else it is submitted by its handler. The thread that completes it only hands it on
/// (<see cref="KvUnaryDone"/>); the answer is read and written on a thread of the pool.
/// </summary>
internal sealed class KvUnaryOperation(IHengeNode node, KvUnaryPool pool, CallGate gate)
    : KvOperation(node),
        IEarlyCall,
        IThreadPoolWorkItem,
        IDisposable
{
    private const int Submitting = 0;
    private const int Waiting = 1;
    private const int Done = 2;

    // The operation that this thread enters the library with. The library reads the message of a body that is there before it returns.
    [ThreadStatic]
    private static KvUnaryOperation? _begun;

    private ServerCallContext _call = null!;
    private CallTerms _terms = null!;
    private CallEntry? _entry;
    private Task<KvUnaryOperation>? _self;
    private TaskCompletionSource<KvUnaryOperation>? _done;
    private HengeException? _refusal;
    private Exception? _failure;
    private bool _refusesInMessage;
    private int _state;

    /// <summary>The next one in a list of what has ended.</summary>
    public KvUnaryOperation? NextDone { get; set; }

    /// <summary>Size of the answer's message, once the operation has ended.</summary>
    public int ResponseBytes { get; private set; }

    /// <summary>The operation that this thread has entered the library with, for the first one who asks; null: none.</summary>
    public static KvUnaryOperation? TakeBegun()
    {
        KvUnaryOperation? begun = _begun;
        _begun = null;
        return begun;
    }

    /// <summary>Makes it end with an error without having been submitted.</summary>
    public void Refuse(HengeException refusal) => _refusal = refusal;

    /// <inheritdoc/>
    public Task RunAsync(CallEntry entry)
    {
        _entry = entry;
        return Submit(entry.Terms, entry.Context) ? Enter(entry, static entry => entry.EnterAsync()) : entry.Task;
    }

    /// <summary>The call's handler: hands the loaded request to the node if that has not had it; the task ends with the answer.</summary>
    public Task<KvUnaryOperation> AnswerAsync(ServerCallContext call, bool refusesInMessage)
    {
        _call = call;
        _refusesInMessage = refusesInMessage;
        if (_entry is not null)
        {
            return FinishAsync();
        }

        // Not asynchronous: the thread that has read the answer goes on in the library and sends it.
        TaskCompletionSource<KvUnaryOperation> done = new();
        _done = done;
        return Submit(CallTerms.Of(call), call.GetHttpContext()) ? FinishAsync() : done.Task;
    }

    /// <summary>After the answer was written.</summary>
    public void Answered()
    {
        _terms.IsAnswered = true;
        Dispose();
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
        _entry = null;
        _done = null;
        _refusal = null;
        _failure = null;
        pool.Return(this);
    }

    /// <summary>Reads and writes the answer of an operation that has ended while its caller waited.</summary>
    public void Finish()
    {
        if (_entry is { } entry)
        {
            Enter(entry, static entry =>
            {
                entry.Enter();
                return entry.Task;
            });
            return;
        }

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

    // False: it waits for its end, and another thread may have it now.
    private bool Submit(CallTerms terms, HttpContext context)
    {
        _terms = terms;
        terms.Held = this;
        if (_refusal is not null)
        {
            return true;
        }

        _state = Submitting;
        DeadlineMs = terms.DeadlineMs;
        Node.Sign(this, context);
        try
        {
            Node.Submit(this);
        }
        catch (Exception e)
        {
            _failure = gate.Errors.Of(e, context);
            return true;
        }

        return Volatile.Read(ref _state) == Done || Interlocked.CompareExchange(ref _state, Waiting, Submitting) != Submitting;
    }

    private Task Enter(CallEntry entry, Func<CallEntry, Task> enter)
    {
        // From here on it may have been answered, and be in use again.
        _begun = this;
        Task task = enter(entry);
        if (TakeBegun() is not null && !task.IsCompleted)
        {
            // The library would read the request once more, and a write would be made twice.
            entry.Context.Abort();
        }

        return task;
    }

    private Task<KvUnaryOperation> FinishAsync()
    {
        if (_refusal is { } refusal)
        {
            return Task.FromException<KvUnaryOperation>(CallErrors.Create(refusal.Code, refusal.Message));
        }

        if (_failure is { } failure)
        {
            return Task.FromException<KvUnaryOperation>(failure);
        }

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
                return Task.FromException<KvUnaryOperation>(
                    CallErrors.Create(Error, ErrorMessage ?? "The operation failed.", LeaderHint, LeaderTerm));
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
