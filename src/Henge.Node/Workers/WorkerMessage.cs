namespace Henge.Node.Workers;

/// <summary>Anything but an operation that a worker has to take note of. Linked by itself, so that queueing allocates nothing.</summary>
internal abstract class WorkerMessage
{
    /// <summary>For the queue that holds it.</summary>
    public WorkerMessage? Next { get; set; }

    /// <summary>Does what it is for, on the worker.</summary>
    public abstract void Process(Worker worker);
}

/// <summary>Runs something on a worker.</summary>
internal sealed class WorkerAction(Action<Worker> action) : WorkerMessage
{
    /// <inheritdoc/>
    public override void Process(Worker worker) => action(worker);
}

/// <summary>Messages from any thread for one worker, in the order in which each thread sent them. Pushing never waits.</summary>
internal sealed class WorkerMessageQueue
{
    private WorkerMessage? _head;

    /// <summary>True when nothing waits; may be out of date at once.</summary>
    public bool IsEmpty => Volatile.Read(ref _head) is null;

    /// <summary>Adds one.</summary>
    public void Push(WorkerMessage message)
    {
        WorkerMessage? head = Volatile.Read(ref _head);
        while (true)
        {
            message.Next = head;
            WorkerMessage? seen = Interlocked.CompareExchange(ref _head, message, head);
            if (ReferenceEquals(seen, head))
            {
                return;
            }

            head = seen;
        }
    }

    /// <summary>Takes all that waits, oldest first; null when nothing does.</summary>
    public WorkerMessage? TakeAll()
    {
        if (Volatile.Read(ref _head) is null)
        {
            return null;
        }

        WorkerMessage? node = Interlocked.Exchange(ref _head, null);
        WorkerMessage? oldestFirst = null;
        while (node is not null)
        {
            WorkerMessage? next = node.Next;
            node.Next = oldestFirst;
            oldestFirst = node;
            node = next;
        }

        return oldestFirst;
    }
}
