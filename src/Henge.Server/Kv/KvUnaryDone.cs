namespace Henge.Server.Kv;

/// <summary>
/// Operations that have ended while their callers wait. A node ends many at once, on a thread that has other things to do: whoever ends one
/// only pushes it on a list, and threads of the pool take what is there, some for each, since to wake a thread for each costs more than to
/// write its answer. Thread-safe.
/// </summary>
internal sealed class KvUnaryDone : IThreadPoolWorkItem
{
    // Few enough that a second thread has something to do while the first one writes.
    private const int MaxAnswersAtOnce = 16;

    private KvUnaryOperation? _head;

    /// <summary>Takes an operation that has ended. Any thread; quick.</summary>
    public void Add(KvUnaryOperation operation)
    {
        KvUnaryOperation? head = Volatile.Read(ref _head);
        while (true)
        {
            operation.NextDone = head;
            KvUnaryOperation? seen = Interlocked.CompareExchange(ref _head, operation, head);
            if (ReferenceEquals(seen, head))
            {
                break;
            }

            head = seen;
        }

        if (head is null)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        // In the order in which they ended.
        KvUnaryOperation? list = Interlocked.Exchange(ref _head, null);
        KvUnaryOperation? first = null;
        while (list is not null)
        {
            KvUnaryOperation? next = list.NextDone;
            list.NextDone = first;
            first = list;
            list = next;
        }

        if (first is not null)
        {
            Finish(first);
        }
    }

    /// <summary>Finishes the first operations of a list, and has another thread finish the rest.</summary>
    public static void Finish(KvUnaryOperation first)
    {
        KvUnaryOperation last = first;
        for (int i = 1; i < MaxAnswersAtOnce && last.NextDone is { } next; i++)
        {
            last = next;
        }

        if (last.NextDone is { } rest)
        {
            last.NextDone = null;
            ThreadPool.UnsafeQueueUserWorkItem(rest, preferLocal: false);
        }

        for (KvUnaryOperation? operation = first; operation is not null;)
        {
            // Once finished it may be in use again.
            KvUnaryOperation? next = operation.NextDone;
            operation.NextDone = null;
            operation.Finish();
            operation = next;
        }
    }
}
