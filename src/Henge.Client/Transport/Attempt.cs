namespace Henge.Client.Transport;

/// <summary>
/// One unary attempt: its request, and a note of when that is about to leave. Grpc.Net.Client serializes a message when there is a
/// connection and the headers have gone out on it; until then no node can have done anything. An <see cref="Grpc.Core.RpcException"/> alone
/// does not say it: a call that was given up while its connection was being made looks like one that was given up while the node worked on
/// it.
/// </summary>
internal sealed class Attempt<TRequest>(TRequest request)
    where TRequest : class
{
    private int _isLeaving;

    /// <summary>True once the message may have left.</summary>
    public bool IsLeaving => Volatile.Read(ref _isLeaving) != 0;

    /// <summary>The request, for its serializer.</summary>
    public TRequest Leave()
    {
        Volatile.Write(ref _isLeaving, 1);
        return request;
    }
}
