using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// The term of every entry of a log, kept as runs: terms only change at elections, so a few runs say all, and no look into the log is
/// needed to compare logs. Covers the compacted index (whose term a snapshot knows) and everything after it.
/// </summary>
internal sealed class TermRuns
{
    // Ascending by First; each run reaches to the next one's First - 1, the last one to Last.
    private readonly List<(LogIndex First, Term Term)> _runs = [];

    public TermRuns(LogIndex compactedIndex, Term compactedTerm) => Reset(compactedIndex, compactedTerm);

    /// <summary>The first index whose term is known.</summary>
    public LogIndex First { get; private set; }

    /// <summary>The last index.</summary>
    public LogIndex Last { get; private set; }

    public Term LastTerm => _runs[^1].Term;

    /// <summary>The last runs, oldest first.</summary>
    public IReadOnlyList<(LogIndex First, Term Term)> Newest(int most) => [.. _runs.Skip(Math.Max(0, _runs.Count - most))];

    public void Reset(LogIndex index, Term term)
    {
        _runs.Clear();
        _runs.Add((index, term));
        First = index;
        Last = index;
    }

    public void Append(Term term)
    {
        Invariant.Check(term >= LastTerm, "terms in a log never fall");
        Last = Last.Next;
        if (term != LastTerm)
        {
            _runs.Add((Last, term));
        }
    }

    public Term? At(LogIndex index) => index < First || index > Last ? null : _runs[RunOf(index)].Term;

    public void TruncateFrom(LogIndex index)
    {
        Invariant.Check(index > First, "truncates what is compacted");
        Last = new LogIndex(index.Value - 1);
        while (_runs[^1].First > Last)
        {
            _runs.RemoveAt(_runs.Count - 1);
        }
    }

    public void CompactThrough(LogIndex index)
    {
        Invariant.Check(index >= First && index <= Last, "compacts what is not there");
        int run = RunOf(index);
        Term term = _runs[run].Term;
        _runs.RemoveRange(0, run);
        _runs[0] = (index, term);
        First = index;
    }

    /// <summary>
    /// The largest index that is at most <paramref name="index"/> and whose term is at most <paramref name="term"/>; the first known one if
    /// there is none.
    /// </summary>
    public LogIndex LastAtOrBelow(LogIndex index, Term term)
    {
        if (index > Last)
        {
            index = Last;
        }

        if (index < First)
        {
            return First;
        }

        int run = RunOf(index);
        if (_runs[run].Term <= term)
        {
            return index;
        }

        while (run > 0 && _runs[run].Term > term)
        {
            run--;
        }

        return _runs[run].Term <= term ? new LogIndex(_runs[run + 1].First.Value - 1) : First;
    }

    private int RunOf(LogIndex index)
    {
        // Nearly every question is about the end of the log.
        int run = _runs.Count - 1;
        if (_runs[run].First <= index)
        {
            return run;
        }

        int low = 0;
        int high = run;
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            if (_runs[middle].First <= index)
            {
                low = middle;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }
}
