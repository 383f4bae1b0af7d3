using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Grpc.Core;
using Henge.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Henge.Server.Calls;

/// <summary>
/// The body of a call, between the connection and the library that takes messages off it. Judges each message by the five bytes before it,
/// when those are there and before more is kept: its length, and room in the <see cref="MessageBudget"/>. The library judges the length
/// too, but has no bound over all calls, and no words for what was wrong. Waits no longer than the call may last. Errors are thrown as
/// <see cref="RpcException"/>. One reader at a time.
/// </summary>
internal sealed class MessageGuard(PipeReader inner, CallTerms terms, HttpContext context) : PipeReader, IRequestBodyPipeFeature
{
    private const int PrefixBytes = 5;

    // Longest body of a request that is begun before the library has taken it. Until then it counts against the window of its connection,
    // which a thousand calls share: with larger ones, calls of a connection would wait for each other's answers.
    private const int EarlyBytes = 1024;

    private SequencePosition _start;
    private int _reserved;

    /// <inheritdoc/>
    public PipeReader Reader => this;

    /// <summary>
    /// Judges a body that has arrived as a whole, so that it needs no guard. False: it has not. Throws as reading does.
    /// </summary>
    /// <param name="body">The body; nothing of it is taken.</param>
    /// <param name="limits">The bounds.</param>
    /// <param name="early">Reads the request if the body is one short message that is not packed; null: nobody does.</param>
    /// <param name="call">What was read so; null: nothing.</param>
    public static bool TryJudgeWhole(PipeReader body, GrpcLimits limits, IEarlyMethod? early, out IEarlyCall? call)
    {
        call = null;
        if (!body.TryRead(out ReadResult read))
        {
            return false;
        }

        // Nothing is taken or counts as examined: the library's first read gets all of it at once.
        ReadOnlySequence<byte> buffer = read.Buffer;
        bool whole = read.IsCompleted && !read.IsCanceled && buffer.Length <= MessageBudget.FreeBytes;
        try
        {
            if (whole)
            {
                int length = LengthOf(buffer, limits.MessageBytes, out bool packed);
                if (early is not null && IsOneMessage(buffer, length, packed))
                {
                    call = early.Read(buffer.Slice(PrefixBytes));
                }
            }
        }
        finally
        {
            body.AdvanceTo(buffer.Start);
        }

        return whole;
    }

    /// <summary>The error for a message over a limit.</summary>
    public static RpcException TooLong(long lengthBytes, int limitBytes) => CallErrors.Create(
        StatusCode.ResourceExhausted,
        $"A message of {lengthBytes} bytes is over the limit of {limitBytes} bytes. Send less at once, or raise the limit on both ends.",
        ErrorCode.TooLarge);

    /// <summary>Gives back what is reserved for a message that was not read.</summary>
    public void GiveBack()
    {
        terms.Gate.Budget.GiveBack(_reserved);
        _reserved = 0;
    }

    /// <summary>
    /// Waits until a body has arrived as a whole, or is longer than those that are begun early, and reads its request if it is one message
    /// that is not packed; else null. Nothing of the body is taken. Throws as reading does.
    /// </summary>
    public async ValueTask<IEarlyCall?> ReadWholeAsync(IEarlyMethod early)
    {
        while (true)
        {
            ReadResult result = await ReadAsync();
            ReadOnlySequence<byte> buffer = result.Buffer;
            if (result.IsCompleted || result.IsCanceled || buffer.Length > EarlyBytes)
            {
                IEarlyCall? call = null;
                try
                {
                    int length = LengthOf(buffer, terms.Gate.Limits.MessageBytes, out bool packed);
                    if (result.IsCompleted && IsOneMessage(buffer, length, packed))
                    {
                        call = early.Read(buffer.Slice(PrefixBytes));
                    }
                }
                finally
                {
                    inner.AdvanceTo(buffer.Start);
                }

                return call;
            }

            inner.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    /// <inheritdoc/>
    public override bool TryRead(out ReadResult result)
    {
        if (!inner.TryRead(out result))
        {
            return false;
        }

        Judge(result);
        return true;
    }

    /// <inheritdoc/>
    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (inner.TryRead(out ReadResult result))
        {
            Judge(result);
            return ValueTask.FromResult(result);
        }

        return WaitAsync();
    }

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        if (_reserved > 0 && !consumed.Equals(_start))
        {
            // The library takes a message as a whole. The node has bounds of its own for what it is given.
            GiveBack();
        }

        inner.AdvanceTo(consumed, examined);
    }

    /// <inheritdoc/>
    public override void CancelPendingRead() => inner.CancelPendingRead();

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    private async ValueTask<ReadResult> WaitAsync()
    {
        ReadResult result;
        WaitTimers.Timer? timer = terms.HasDeadline ? terms.Gate.Waits.Begin(terms.DeadlineMs - terms.Gate.MonotonicMs) : null;
        try
        {
            // A caller that goes away ends the read by itself.
            result = await inner.ReadAsync(timer?.Token ?? terms.Gate.Stopping);
        }
        catch (OperationCanceledException e)
        {
            throw terms.Gate.Errors.Of(e, context);
        }
        finally
        {
            timer?.Dispose();
        }

        Judge(result);
        return result;
    }

    private void Judge(in ReadResult result)
    {
        // What begins here is the prefix of a message: the library takes whole messages only.
        ReadOnlySequence<byte> buffer = result.Buffer;
        _start = buffer.Start;
        try
        {
            int length = LengthOf(buffer, terms.Gate.Limits.MessageBytes, out _);
            if (_reserved == 0 && length > MessageBudget.FreeBytes && buffer.Length - PrefixBytes < length)
            {
                terms.Gate.Budget.Take(length);
                _reserved = length;
            }
        }
        catch (RpcException)
        {
            inner.AdvanceTo(buffer.Start);
            throw;
        }
    }

    private static bool IsOneMessage(in ReadOnlySequence<byte> buffer, int lengthBytes, bool packed) =>
        !packed && buffer.Length is >= PrefixBytes and <= EarlyBytes && buffer.Length - PrefixBytes == lengthBytes;

    private static int LengthOf(in ReadOnlySequence<byte> buffer, int limitBytes, out bool packed)
    {
        packed = false;
        if (buffer.Length < PrefixBytes)
        {
            return 0;
        }

        Span<byte> prefix = stackalloc byte[PrefixBytes];
        buffer.Slice(0, PrefixBytes).CopyTo(prefix);
        if (prefix[0] > 1)
        {
            throw CallErrors.Create(StatusCode.Internal, $"The compressed flag of a gRPC message must be 0 or 1, and is {prefix[0]}.");
        }

        packed = prefix[0] == 1;
        uint length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        return length <= (uint)limitBytes ? (int)length : throw TooLong(length, limitBytes);
    }
}
