using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// The memberships that stand in a log, oldest first, the one that everything began with included. The last one is in force whether or not
/// it is committed (Raft paper, section 6), so cutting the log cuts this list too.
/// </summary>
internal sealed class MembershipLog(Membership first, LogIndex index)
{
    private readonly List<(LogIndex Index, Membership Membership)> _list = [(index, first)];

    public Membership Current => _list[^1].Membership;

    /// <summary>Where the current one stands.</summary>
    public LogIndex CurrentIndex => _list[^1].Index;

    /// <summary>The one before the current one; null when that is no longer in the log, and so long committed.</summary>
    public Membership? Previous => _list.Count > 1 ? _list[^2].Membership : null;

    public void Append(LogIndex index, Membership membership)
    {
        Invariant.Check(index > CurrentIndex, "memberships come in log order");
        _list.Add((index, membership));
    }

    /// <summary>True when the membership in force changed.</summary>
    public bool TruncateFrom(LogIndex index)
    {
        int count = _list.Count;
        while (_list.Count > 1 && _list[^1].Index >= index)
        {
            _list.RemoveAt(_list.Count - 1);
        }

        return _list.Count != count;
    }

    /// <summary>The one in force as of an index.</summary>
    public Membership At(LogIndex index)
    {
        for (int i = _list.Count - 1; i > 0; i--)
        {
            if (_list[i].Index <= index)
            {
                return _list[i].Membership;
            }
        }

        return _list[0].Membership;
    }

    public void CompactThrough(LogIndex index)
    {
        while (_list.Count > 1 && _list[1].Index <= index)
        {
            _list.RemoveAt(0);
        }
    }

    public void Reset(LogIndex index, Membership membership)
    {
        _list.Clear();
        _list.Add((index, membership));
    }
}
