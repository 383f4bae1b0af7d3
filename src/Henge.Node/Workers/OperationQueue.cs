using Henge.Node.Api;

namespace Henge.Node.Workers;

/// <summary>
/// Operations from any thread for one worker: a stack linked through the operations themselves (Treiber, 1986), taken whole and turned
/// round. Allocates nothing; pushing never waits.
/// </summary>
internal sealed class OperationQueue
{
    private Operation? _head;

    /// <summary>True when nothing waits; may be out of date at once.</summary>
    public bool IsEmpty => Volatile.Read(ref _head) is null;

    /// <summary>Adds one.</summary>
    public void Push(Operation operation) => PushChain(operation, operation);

    /// <summary>Adds a chain that is linked from its newest (first) to its oldest (last).</summary>
    public void PushChain(Operation newest, Operation oldest)
    {
        Operation? head = Volatile.Read(ref _head);
        while (true)
        {
            oldest.Next = head;
            Operation? seen = Interlocked.CompareExchange(ref _head, newest, head);
            if (ReferenceEquals(seen, head))
            {
                return;
            }

            head = seen;
        }
    }

    /// <summary>Takes all that waits, oldest first, linked by <see cref="Operation.Next"/>; null when nothing does.</summary>
    public Operation? TakeAll()
    {
        if (Volatile.Read(ref _head) is null)
        {
            return null;
        }

        Operation? node = Interlocked.Exchange(ref _head, null);
        Operation? oldestFirst = null;
        while (node is not null)
        {
            Operation? next = node.Next;
            node.Next = oldestFirst;
            oldestFirst = node;
            node = next;
        }

        return oldestFirst;
    }
}
