using Henge.Server.Metrics;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Calls;

/// <summary>
/// The way of one call into the library, for whoever has something to do before. Its task is the call's, for a call that does not enter at
/// once. One of <see cref="EnterAsync"/> and <see cref="Enter"/> is to be called, once.
/// </summary>
internal sealed class CallEntry(
    CallGate gate,
    HttpContext context,
    CallTerms terms,
    RequestDelegate handler,
    DurationRecorder duration,
    long started)
    : TaskCompletionSource
{
    /// <summary>The call.</summary>
    public HttpContext Context => context;

    /// <summary>Its terms.</summary>
    public CallTerms Terms => terms;

    /// <summary>Enters on the thread that the call came by. The task ends with the call.</summary>
    public Task EnterAsync() => gate.EnterAsync(context, terms, null, handler, duration, started);

    /// <summary>Enters on another thread, after <see cref="TaskCompletionSource.Task"/> was given to the server.</summary>
    public void Enter()
    {
        Task task = EnterAsync();
        if (task.IsCompletedSuccessfully)
        {
            // Not asynchronous: this thread goes on in the server and sends the answer.
            SetResult();
        }
        else
        {
            task.ContinueWith(
                static (ended, entry) => ((CallEntry)entry!).SetFromTask(ended),
                this,
                CancellationToken.None,
                TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }
    }
}
