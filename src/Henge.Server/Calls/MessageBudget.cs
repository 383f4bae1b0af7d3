using Grpc.Core;
using Henge.Core;

namespace Henge.Server.Calls;

/// <summary>
/// Bounds the memory of all large messages that are on their way, in or out, over all connections together: limits of one message and of
/// one connection alone would multiply. Small messages pass freely; flow control bounds those. Thread-safe.
/// </summary>
internal sealed class MessageBudget(long limitBytes)
{
    /// <summary>Messages up to this size are not counted.</summary>
    public const int FreeBytes = 64 * 1024;

    private long _taken;

    /// <summary>Bytes that are taken now.</summary>
    public long TakenBytes => Volatile.Read(ref _taken);

    /// <summary>
    /// Takes room for a message. Throws <see cref="RpcException"/> (RESOURCE_EXHAUSTED) when there is none. One message is always let in.
    /// </summary>
    public void Take(long bytes)
    {
        long taken = Interlocked.Add(ref _taken, bytes);
        if (taken > limitBytes && taken > bytes)
        {
            Interlocked.Add(ref _taken, -bytes);
            throw CallErrors.Create(
                StatusCode.ResourceExhausted,
                $"Large messages of {taken - bytes} bytes are on their way already; the server's limit for all callers together is "
                    + $"{limitBytes}. "
                    + "Try again later, or send and read less at once.",
                ErrorCode.ResourceExhausted);
        }
    }

    /// <summary>Gives room back.</summary>
    public void GiveBack(long bytes)
    {
        if (bytes > 0)
        {
            Interlocked.Add(ref _taken, -bytes);
        }
    }
}
