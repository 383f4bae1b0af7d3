using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Grpc;

namespace Henge.Server.Kv;

/// <summary>
/// A get, put or delete that came as a call of its own. Whoever completes it only queues it; the answer is written on a thread of the pool,
/// and what waits costs one task.
/// </summary>
internal sealed class KvUnaryOperation(IHengeNode node, KvUnaryPool pool) : KvOperation(node), IThreadPoolWorkItem
{
    private const string SecondPath = "/" + KvService.SecondName + "/";
    private const int Submitting = 0;
    private const int Waiting = 1;
    private const int Done = 2;

    private ServerCall _call = null!;
    private TaskCompletionSource? _done;
    private int _state;

    /// <summary>Hands the loaded request to the node; the task ends when the answer is written.</summary>
    public Task SubmitAsync(ServerCall call)
    {
        _call = call;
        _state = Submitting;
        DeadlineMs = call.DeadlineMs;
        Node.Submit(this);
        if (Volatile.Read(ref _state) == Done)
        {
            return FinishAsync();
        }

        // Not asynchronous: the thread that writes the answer goes on in Kestrel and sends it.
        TaskCompletionSource done = new();
        _done = done;
        return Interlocked.CompareExchange(ref _state, Waiting, Submitting) == Submitting ? done.Task : FinishAsync();
    }

    /// <summary>Lets go of everything, and of itself.</summary>
    public void GiveBack()
    {
        Release();
        _call = null!;
        _done = null;
        pool.Return(this);
    }

    void IThreadPoolWorkItem.Execute()
    {
        TaskCompletionSource done = _done!;
        Task finished = FinishAsync();
        if (finished.IsCompletedSuccessfully)
        {
            done.SetResult();
        }
        else
        {
            _ = CompleteLaterAsync(finished, done);
        }
    }

    protected override void OnCompleted()
    {
        if (Interlocked.Exchange(ref _state, Done) == Waiting)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    private static async Task CompleteLaterAsync(Task finished, TaskCompletionSource done)
    {
        await finished;
        done.SetResult();
    }

    private Task FinishAsync()
    {
        ServerCall call = _call;
        try
        {
            int size = PrepareResponse();
            if (size < 0 && call.Path.StartsWith(SecondPath, StringComparison.Ordinal))
            {
                // The API's ancestor answers in the message; its clients look nowhere else.
                size = PrepareRefusal();
            }

            if (size < 0)
            {
                call.Fail(Error, ErrorMessage ?? "The operation failed.", LeaderHint);
            }
            else
            {
                // Large answers are counted until the caller has taken them, so that slow callers cannot fill the server's memory.
                bool large = size > MessageBudget.FreeBytes;
                if (large)
                {
                    call.Server.Budget.Take(size);
                }

                call.Write(this, size);
                if (large)
                {
                    return FlushLargeAsync(call, size);
                }

                call.Succeed();
            }
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
        finally
        {
            GiveBack();
        }

        return Task.CompletedTask;
    }

    private static async Task FlushLargeAsync(ServerCall call, int size)
    {
        try
        {
            await call.FlushAsync();
            call.Succeed();
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
        finally
        {
            call.Server.Budget.GiveBack(size);
        }
    }
}
