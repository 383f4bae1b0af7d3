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
