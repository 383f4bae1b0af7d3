using System.Collections.Concurrent;
using Henge.Node.Api;
using Henge.Server.Calls;

namespace Henge.Server.Kv;

/// <summary>
/// Operations for unary calls. Not kept with Kestrel's streams: of those it keeps at most a hundred for each connection, and makes new ones
/// for calls above that. Thread-safe.
/// </summary>
internal sealed class KvUnaryPool(IHengeNode node, CallGate gate)
{
    private const int MostKept = 4096;

    private readonly ConcurrentQueue<KvUnaryOperation> _pooled = new();
    private int _count;

    /// <summary>Where operations go that have ended while their callers wait.</summary>
    public KvUnaryDone Done { get; } = new();

    public KvUnaryOperation Rent()
    {
        if (_pooled.TryDequeue(out KvUnaryOperation? operation))
        {
            Interlocked.Decrement(ref _count);
            return operation;
        }

        return new KvUnaryOperation(node, this, gate);
    }

    public void Return(KvUnaryOperation operation)
    {
        if (Interlocked.Increment(ref _count) <= MostKept)
        {
            _pooled.Enqueue(operation);
        }
        else
        {
            Interlocked.Decrement(ref _count);
        }
    }
}
