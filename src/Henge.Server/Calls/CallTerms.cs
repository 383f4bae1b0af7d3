using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Calls;

/// <summary>
/// What a gRPC call came with beside its messages, and what is held for it until its answer has been sent. A feature of the request while
/// the call lasts. Belongs to the call's handler; not thread-safe, but for <see cref="Cancellation"/>.
/// </summary>
internal sealed class CallTerms(CallGate gate, HttpContext context)
{
    // So the library is told to pack the answers of one call.
    private static readonly Metadata Packed = new() { { "grpc-internal-encoding-request", "gzip" } };
    private static readonly WriteOptions Plain = new(WriteFlags.NoCompress);
    private static readonly WriteOptions Buffered = new(WriteFlags.BufferHint);
    private static readonly WriteOptions BufferedPlain = new(WriteFlags.BufferHint | WriteFlags.NoCompress);

    private CancellationTokenSource? _cancellation;

    /// <summary>The gate that the call came through.</summary>
    public CallGate Gate => gate;

    /// <summary>When the caller stops waiting, on the node's monotonic clock in milliseconds; 0: it named no time.</summary>
    public long DeadlineMs { get; init; }

    /// <summary>True when the caller named a time after which it stops waiting.</summary>
    public bool HasDeadline => DeadlineMs > 0;

    /// <summary>The caller packs its messages with gzip and can read packed ones: long answers to it are packed too.</summary>
    public bool PacksAnswers { get; init; }

    /// <summary>What must be let go of when the call has ended, if its answer was not written; null: nothing.</summary>
    public IDisposable? Held { get; set; }

    /// <summary>The answer was written: the call ends well.</summary>
    public bool IsAnswered { get; set; }

    /// <summary>Bytes of the <see cref="MessageBudget"/> that the answer holds until the caller has taken it.</summary>
    public long ReservedBytes { get; private set; }

    /// <summary>
    /// Fires when the caller is gone, its deadline has passed, or the server stops. Costs allocations: hot paths hand
    /// <see cref="DeadlineMs"/> on instead.
    /// </summary>
    public CancellationToken Cancellation
    {
        get
        {
            if (_cancellation is null)
            {
                _cancellation = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, gate.Stopping);
                if (HasDeadline)
                {
                    _cancellation.CancelAfter(TimeSpan.FromMilliseconds(Math.Clamp(DeadlineMs - gate.MonotonicMs, 0, int.MaxValue)));
                }
            }

            return _cancellation.Token;
        }
    }

    /// <summary>The terms of a call; null before and behind the gate.</summary>
    public static CallTerms? Of(HttpContext context) => context.Features.Get<CallTerms>();

    /// <summary>The terms of a call.</summary>
    public static CallTerms Of(ServerCallContext call) => Of(call.GetHttpContext())!;

    /// <summary>
    /// Counts a large answer until the caller has taken it, so that slow callers cannot fill the server's memory. Throws
    /// <see cref="RpcException"/> (RESOURCE_EXHAUSTED).
    /// </summary>
    public void Reserve(long bytes)
    {
        if (bytes > MessageBudget.FreeBytes)
        {
            gate.Budget.Take(bytes);
            ReservedBytes += bytes;
        }
    }

    /// <summary>True when a message of such a size goes out packed.</summary>
    public bool Packs(int bytes) => PacksAnswers && bytes > GzipMessages.FromBytes;

    /// <summary>Sends the headers of a stream now, so that the caller knows that it is open.</summary>
    public Task SendHeadersAsync(ServerCallContext call) => call.WriteResponseHeadersAsync(PacksAnswers ? Packed : Metadata.Empty);

    /// <summary>How a message of a stream goes out.</summary>
    /// <param name="bytes">Its size.</param>
    /// <param name="flush">False: another one follows at once.</param>
    public WriteOptions? OptionsOf(int bytes, bool flush) =>
        Packs(bytes) || !PacksAnswers ? flush ? null : Buffered : flush ? Plain : BufferedPlain;

    /// <summary>
    /// Waits until a message of a stream has been taken. Throws <see cref="RpcException"/> (RESOURCE_EXHAUSTED) and cuts the stream when
    /// the caller takes nothing for too long.
    /// </summary>
    public async Task TakenAsync(Task write)
    {
        try
        {
            await write.WaitAsync(gate.Limits.StalledStreamTimeout, Cancellation);
        }
        catch (TimeoutException)
        {
            context.Abort();
            throw CallErrors.Create(Henge.Core.ErrorCode.ResourceExhausted, "The caller took nothing for too long.");
        }
    }

    /// <summary>After a call whose answer is reserved: waits until it has been taken, and lets go of everything.</summary>
    public async Task EndAsync()
    {
        try
        {
            await TakenAsync(context.Response.BodyWriter.FlushAsync(CancellationToken.None).AsTask());
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException or IOException)
        {
            // The caller is gone or too slow, and its stream is cut.
            return;
        }
        finally
        {
            End();
        }
    }

    /// <summary>After the call: lets go of everything.</summary>
    public void End()
    {
        Held?.Dispose();
        Held = null;
        gate.Budget.GiveBack(ReservedBytes);
        ReservedBytes = 0;
        _cancellation?.Dispose();
    }
}
