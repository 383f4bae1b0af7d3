using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using Henge.Core;
using Henge.Protocol.Grpc;

namespace Henge.Server.Grpc;

/// <summary>Reads the messages of a call.</summary>
internal static class MessageReader
{
    /// <summary>Reads the one message of a call that must have exactly one.</summary>
    public static async ValueTask<T> ReadSingleAsync<T>(ServerCall call) where T : class, IMessage<T>, new()
    {
        PipeReader reader = call.Reader;
        T? message = null;
        int reserved = 0;
        try
        {
            while (true)
            {
                if (!reader.TryRead(out ReadResult read))
                {
                    read = await reader.ReadAsync(call.Cancellation);
                }

                ReadOnlySequence<byte> buffer = read.Buffer;
                try
                {
                    if (message is null && TryParse(call, ref buffer, out T? parsed))
                    {
                        message = parsed;
                    }

                    ThrowIfWrongCount(message is not null, buffer, read.IsCompleted);
                    Reserve(call, buffer, ref reserved);
                }
                finally
                {
                    reader.AdvanceTo(buffer.Start, buffer.End);
                }

                if (read.IsCompleted)
                {
                    return message!;
                }

                ThrowIfCanceled(read);
            }
        }
        finally
        {
            call.Server.Budget.GiveBack(reserved);
        }
    }

    /// <summary>Takes room for a large message that has begun to arrive, before more of it is kept. Give it back when it has been read.</summary>
    public static void Reserve(ServerCall call, in ReadOnlySequence<byte> buffer, ref int reserved)
    {
        if (reserved == 0 && buffer.Length >= GrpcFrame.PrefixBytes)
        {
            Span<byte> prefix = stackalloc byte[GrpcFrame.PrefixBytes];
            buffer.Slice(0, GrpcFrame.PrefixBytes).CopyTo(prefix);
            int length = GrpcFrame.ReadPrefix(prefix, call.Server.Limits.MessageBytes, out _);
            if (length > MessageBudget.FreeBytes)
            {
                call.Server.Budget.Take(length);
                reserved = length;
            }
        }
    }

    public static void ThrowIfCutOff(in ReadOnlySequence<byte> rest)
    {
        if (!rest.IsEmpty)
        {
            throw new GrpcException(GrpcStatusCode.Internal, "The message is cut off: the stream ended before the length in its prefix.");
        }
    }

    public static void ThrowIfCanceled(in ReadResult read)
    {
        if (read.IsCanceled)
        {
            throw new OperationCanceledException();
        }
    }

    /// <summary>Judges a unary call's body: it must hold one message and nothing else.</summary>
    public static void ThrowIfWrongCount(bool hasMessage, in ReadOnlySequence<byte> rest, bool completed)
    {
        if (hasMessage && !rest.IsEmpty)
        {
            throw new GrpcException(GrpcStatusCode.Internal, "The call takes one message, and more than one was sent.");
        }

        if (completed && !hasMessage)
        {
            throw rest.IsEmpty
                ? new GrpcException(GrpcStatusCode.Internal, "The call takes one message, and none was sent.")
                : new GrpcException(GrpcStatusCode.Internal, "The message is cut off: the stream ended before the length in its prefix.");
        }
    }

    /// <summary>Takes one message off the buffer.</summary>
    public static bool TryParse<T>(ServerCall call, ref ReadOnlySequence<byte> buffer, out T? message) where T : class, IMessage<T>, new()
    {
        int limitBytes = call.Server.Limits.MessageBytes;
        if (!GrpcFrame.TryRead(ref buffer, limitBytes, out ReadOnlySequence<byte> payload, out bool compressed))
        {
            message = null;
            return false;
        }

        ThrowIfNotNegotiated(call, compressed);
        message = new T();
        GrpcFrame.Parse(payload, compressed, limitBytes, message);
        return true;
    }

    public static void ThrowIfNotNegotiated(ServerCall call, bool compressed)
    {
        if (compressed && !call.RequestGzip)
        {
            throw new GrpcException(GrpcStatusCode.Internal, "A message is flagged as compressed, and the call has no grpc-encoding header that says how.");
        }
    }
}

/// <summary>Reads a stream of messages, one reader at a time.</summary>
internal readonly struct MessageReader<T>(ServerCall call) where T : class, IMessage<T>, new()
{
    /// <summary>The next message; null at the end of the stream.</summary>
    public async ValueTask<T?> ReadAsync()
    {
        PipeReader reader = call.Reader;
        int reserved = 0;
        try
        {
            while (true)
            {
                if (!reader.TryRead(out ReadResult read))
                {
                    read = await reader.ReadAsync(call.Cancellation);
                }

                ReadOnlySequence<byte> buffer = read.Buffer;
                T? message = null;
                bool found = false;
                try
                {
                    found = MessageReader.TryParse(call, ref buffer, out message);
                    if (!found)
                    {
                        MessageReader.Reserve(call, buffer, ref reserved);
                    }
                }
                finally
                {
                    reader.AdvanceTo(buffer.Start, found ? buffer.Start : buffer.End);
                }

                if (found)
                {
                    return message;
                }

                if (read.IsCompleted)
                {
                    MessageReader.ThrowIfCutOff(buffer);
                    return null;
                }

                MessageReader.ThrowIfCanceled(read);
            }
        }
        finally
        {
            call.Server.Budget.GiveBack(reserved);
        }
    }
}

/// <summary>Writes a stream of messages, one writer at a time.</summary>
internal readonly struct MessageWriter<T>(ServerCall call) where T : class, IMessage<T>
{
    /// <summary>Writes a message and waits while the caller is slow.</summary>
    public ValueTask WriteAsync(T message)
    {
        call.Write(message);
        return call.FlushAsync();
    }
}
