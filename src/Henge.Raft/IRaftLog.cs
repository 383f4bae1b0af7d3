using Henge.Core;

namespace Henge.Raft;

/// <summary>How a read of older entries ended.</summary>
public enum LogReadStatus : byte
{
    /// <summary>At least one entry was read.</summary>
    Ok = 0,

    /// <summary>
    /// They are on their way from the disk. The group asks again at its next tick, or after <see cref="RaftGroup.LogAvailable"/>.
    /// </summary>
    Pending = 1,
}

/// <summary>
/// A group's persisted log, as far as the group has to read it. The group keeps the recent entries in memory by itself
/// (<see cref="RaftOptions.RecentEntriesLimitBytes"/>) and asks for older ones only: for a follower that lags behind, or to apply
/// what is committed after a restart. It never writes: what is to be written is in <see cref="Ready"/>.
/// </summary>
/// <remarks>
/// The three properties are read once, when the group is made, and the whole log is read once then, to find its terms and memberships;
/// that first pass must not answer <see cref="LogReadStatus.Pending"/>.
/// </remarks>
public interface IRaftLog
{
    /// <summary>Entries up to and including this one are gone, because a snapshot covers them; 0 when none are.</summary>
    LogIndex CompactedIndex { get; }

    /// <summary>The term of the entry at <see cref="CompactedIndex"/>.</summary>
    Term CompactedTerm { get; }

    /// <summary>The last entry; <see cref="CompactedIndex"/> when there are none.</summary>
    LogIndex LastIndex { get; }

    /// <summary>
    /// Adds entries <paramref name="from"/> to at most <paramref name="last"/> (inclusive) to <paramref name="into"/>, in order and without
    /// a gap: at least one, and then as many as fit <paramref name="limitBytes"/> counted by <see cref="Entry.SizeBytes"/>.
    /// The group only asks for entries that it was told are persisted and that it has not compacted.
    /// </summary>
    LogReadStatus Read(LogIndex from, LogIndex last, long limitBytes, List<Entry> into);
}
