using System.Diagnostics.CodeAnalysis;

namespace Henge.Client.Sessions;

/// <summary>
/// The calls of a stream that wait for their answers, by number. A number is a place in the table and how often that place has been used,
/// so that a late answer to a call that has given up never meets another call. Not thread-safe.
/// </summary>
internal sealed class CallTable
{
    private const int IndexBits = 20;

    /// <summary>Most calls at a time.</summary>
    public const int Limit = 1 << IndexBits;

    private SessionCall?[] _calls = new SessionCall?[64];
    private ulong[] _uses = new ulong[64];
    private int[] _free = [.. Enumerable.Range(0, 64).Reverse()];
    private int _freeCount = 64;

    /// <summary>Calls that are in it.</summary>
    public int Count => _calls.Length - _freeCount;

    /// <summary>Puts a call in and gives it its number; false when the table is full.</summary>
    public bool TryAdd(SessionCall call)
    {
        if (_freeCount == 0 && !TryGrow())
        {
            return false;
        }

        int index = _free[--_freeCount];
        _calls[index] = call;
        call.Id = (++_uses[index] << IndexBits) | (uint)index;
        return true;
    }

    /// <summary>Takes the call with a number out; false when it is not there, or not there any more.</summary>
    public bool TryRemove(ulong id, [NotNullWhen(true)] out SessionCall? call)
    {
        int index = (int)(id & (Limit - 1));
        if (index < _calls.Length && _calls[index] is { } found && found.Id == id)
        {
            _calls[index] = null;
            _free[_freeCount++] = index;
            call = found;
            return true;
        }

        call = null;
        return false;
    }

    /// <summary>The calls that fit, in no order.</summary>
    public List<SessionCall> Where(Func<SessionCall, bool> fits)
    {
        List<SessionCall> found = [];
        if (Count > 0)
        {
            foreach (SessionCall? call in _calls)
            {
                if (call is not null && fits(call))
                {
                    found.Add(call);
                }
            }
        }

        return found;
    }

    private bool TryGrow()
    {
        int old = _calls.Length;
        if (old == Limit)
        {
            return false;
        }

        Array.Resize(ref _calls, old * 2);
        Array.Resize(ref _uses, old * 2);
        Array.Resize(ref _free, old * 2);
        for (int i = (old * 2) - 1; i >= old; i--)
        {
            _free[_freeCount++] = i;
        }

        return true;
    }
}
