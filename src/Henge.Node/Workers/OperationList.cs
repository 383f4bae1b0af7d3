using Henge.Node.Api;

namespace Henge.Node.Workers;

/// <summary>Operations in order, linked through themselves. A struct that belongs to one worker: do not copy it.</summary>
internal struct OperationList
{
    private Operation? _first;
    private Operation? _last;

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>True when there are none.</summary>
    public readonly bool IsEmpty => _first is null;

    /// <summary>The first; null when there is none.</summary>
    public readonly Operation? First => _first;

    /// <summary>Adds one at the end.</summary>
    public void Add(Operation operation)
    {
        operation.Next = null;
        if (_last is null)
        {
            _first = operation;
        }
        else
        {
            _last.Next = operation;
        }

        _last = operation;
        Count++;
    }

    /// <summary>
    /// Adds one where its <see cref="Operation.Order"/> belongs. The list must be in that order; at its end this costs nothing.
    /// </summary>
    public void AddInOrder(Operation operation)
    {
        if (_last is null || _last.Order < operation.Order)
        {
            Add(operation);
            return;
        }

        Operation? before = null;
        Operation? after = _first;
        while (after is not null && after.Order < operation.Order)
        {
            (before, after) = (after, after.Next);
        }

        operation.Next = after;
        if (before is null)
        {
            _first = operation;
        }
        else
        {
            before.Next = operation;
        }

        Count++;
    }

    /// <summary>
    /// Takes in all of another list; both must be in the order of <see cref="Operation.Order"/>, and so is this one afterwards.
    /// </summary>
    public void MergeInOrder(ref OperationList other)
    {
        if (other._first is null)
        {
            return;
        }

        if (_first is null || other._last!.Order < _first.Order)
        {
            other.AddAll(ref this);
            this = other;
            other = default;
            return;
        }

        OperationList merged = default;
        while (_first is not null || other._first is not null)
        {
            bool own = other._first is null || (_first is not null && _first.Order < other._first.Order);
            merged.Add(own ? TakeFirst()! : other.TakeFirst()!);
        }

        this = merged;
    }

    /// <summary>Takes the first away; null when there is none.</summary>
    public Operation? TakeFirst()
    {
        Operation? first = _first;
        if (first is not null)
        {
            _first = first.Next;
            if (_first is null)
            {
                _last = null;
            }

            first.Next = null;
            Count--;
        }

        return first;
    }

    /// <summary>Takes away those whose deadlines have passed. Deadlines rarely pass: the list is rebuilt only when one has.</summary>
    public OperationList TakeExpired(long nowMs)
    {
        OperationList expired = default;
        bool any = false;
        for (Operation? o = _first; o is not null && !any; o = o.Next)
        {
            any = o.DeadlineMs <= nowMs;
        }

        if (!any)
        {
            return expired;
        }

        OperationList kept = default;
        while (TakeFirst() is { } operation)
        {
            if (operation.DeadlineMs <= nowMs)
            {
                expired.Add(operation);
            }
            else
            {
                kept.Add(operation);
            }
        }

        this = kept;
        return expired;
    }

    /// <summary>Moves all of another list behind this one.</summary>
    public void AddAll(ref OperationList other)
    {
        if (other._first is null)
        {
            return;
        }

        if (_last is null)
        {
            _first = other._first;
        }
        else
        {
            _last.Next = other._first;
        }

        _last = other._last;
        Count += other.Count;
        other = default;
    }
}
