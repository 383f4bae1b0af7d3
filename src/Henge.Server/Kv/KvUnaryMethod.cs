using System.Buffers;
using System.IO.Pipelines;
using Henge.Protocol.Grpc;
using Henge.Server.Grpc;

namespace Henge.Server.Kv;

/// <summary>
/// Get, Put and Delete as calls of their own: the paths that most requests of stock clients take. Nothing is allocated but one task when the node does not
/// answer at once.
/// </summary>
internal sealed class KvUnaryMethod(KvUnaryPool pool, KvRequestKind kind) : GrpcMethod
{
    public override Task InvokeAsync(ServerCall call)
    {
        KvUnaryOperation operation = pool.Rent();
        try
        {
            PipeReader reader = call.Reader;
            if (reader.TryRead(out ReadResult read))
            {
                ReadOnlySequence<byte> buffer = read.Buffer;
                if (!read.IsCompleted)
                {
                    // The message may be there, but not the end of the stream: answering before it would reset the stream. What is there counts as
                    // not examined, so that the next read gives it again at once: it may already be over a limit.
                    reader.AdvanceTo(buffer.Start);
                    return InvokeSlowAsync(call, operation);
                }

                try
                {
                    bool loaded = TryLoad(call, operation, ref buffer);
                    MessageReader.ThrowIfWrongCount(loaded, buffer, completed: true);
                }
                finally
                {
                    reader.AdvanceTo(buffer.End);
                }

                return operation.SubmitAsync(call);
            }
        }
        catch (Exception e)
        {
            operation.GiveBack();
            call.Fail(e);
            return Task.CompletedTask;
        }

        return InvokeSlowAsync(call, operation);
    }

    private async Task InvokeSlowAsync(ServerCall call, KvUnaryOperation operation)
    {
        int reserved = 0;
        try
        {
            PipeReader reader = call.Reader;
            bool loaded = false;
            while (true)
            {
                ReadResult read = await reader.ReadAsync(call.Cancellation);
                ReadOnlySequence<byte> buffer = read.Buffer;
                try
                {
                    loaded = loaded || TryLoad(call, operation, ref buffer);
                    MessageReader.ThrowIfWrongCount(loaded, buffer, read.IsCompleted);
                    MessageReader.Reserve(call, buffer, ref reserved);
                }
                finally
                {
                    reader.AdvanceTo(buffer.Start, buffer.End);
                }

                if (read.IsCompleted)
                {
                    break;
                }

                MessageReader.ThrowIfCanceled(read);
            }
        }
        catch (Exception e)
        {
            operation.GiveBack();
            call.Fail(e);
            return;
        }
        finally
        {
            // The node has bounds of its own for what it is given.
            call.Server.Budget.GiveBack(reserved);
        }

        await operation.SubmitAsync(call);
    }

    private bool TryLoad(ServerCall call, KvUnaryOperation operation, ref ReadOnlySequence<byte> buffer)
    {
        int limitBytes = call.Server.Limits.MessageBytes;
        if (!GrpcFrame.TryRead(ref buffer, limitBytes, out ReadOnlySequence<byte> message, out bool compressed))
        {
            return false;
        }

        if (compressed)
        {
            MessageReader.ThrowIfNotNegotiated(call, compressed);
            Load(operation, GrpcGzip.Decompress(message, limitBytes));
        }
        else if (message.IsSingleSegment)
        {
            Load(operation, message.FirstSpan);
        }
        else
        {
            int length = (int)message.Length;
            byte[] whole = ArrayPool<byte>.Shared.Rent(length);
            try
            {
                message.CopyTo(whole);
                Load(operation, whole.AsSpan(0, length));
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(whole);
            }
        }

        return true;
    }

    private void Load(KvUnaryOperation operation, ReadOnlySpan<byte> message)
    {
        switch (kind)
        {
            case KvRequestKind.Get:
                operation.LoadGet(message);
                break;
            case KvRequestKind.Put:
                operation.LoadPut(message);
                break;
            default:
                operation.LoadDelete(message);
                break;
        }
    }
}
