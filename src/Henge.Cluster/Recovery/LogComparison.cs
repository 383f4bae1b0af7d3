using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>What two logs of one shard have in common. Pure functions.</summary>
internal static class LogComparison
{
    /// <summary>
    /// The last index up to which both logs are the same: an entry of one index and term is the same in all logs, with all that is before
    /// it (Raft paper, section 5.3).
    /// </summary>
    public static LogIndex LastCommon(Survivor a, Survivor b)
    {
        LogIndex end = Min(a.Last, b.Last);

        // What both know to be committed is the same; before the first known term everything is.
        LogIndex sure = Min(a.Commit, b.Commit);
        if (a.Terms.Count == 0 || b.Terms.Count == 0)
        {
            return end;
        }

        // Terms change at a few places only: between two of these, one look at the last entry is enough.
        ulong[] ends =
        [
            .. a.Terms.Concat(b.Terms).Select(static run => run.First.Value - Math.Min(1, run.First.Value))
                .Append(end.Value)
                .Where(i => i <= end.Value && i > sure.Value)
                .OrderDescending(),
        ];
        foreach (ulong index in ends)
        {
            LogIndex at = new(index);
            if (TermAt(a, at) is { } first && TermAt(b, at) is { } second && first == second)
            {
                return at;
            }
        }

        return sure;
    }

    private static Term? TermAt(Survivor log, LogIndex index)
    {
        (LogIndex First, Term Term) run = log.Terms.LastOrDefault(r => r.First <= index);
        return run == default || index > log.Last ? null : run.Term;
    }

    private static LogIndex Min(LogIndex a, LogIndex b) => a < b ? a : b;
}
