using System.Runtime.InteropServices;
using Henge.Core;

namespace Henge.Raft;

/// <summary>A log in memory, for tests and for groups that need no durability. Not thread-safe.</summary>
public sealed class MemoryRaftLog : IRaftLog
{
    private readonly List<Entry> _entries = [];

    /// <inheritdoc/>
    public LogIndex CompactedIndex { get; private set; }

    /// <inheritdoc/>
    public Term CompactedTerm { get; private set; }

    /// <inheritdoc/>
    public LogIndex LastIndex => new(CompactedIndex.Value + (ulong)_entries.Count);

    /// <summary>All entries that it holds.</summary>
    public ReadOnlySpan<Entry> Entries => CollectionsMarshal.AsSpan(_entries);

    /// <summary>Drops entries at and above <paramref name="truncateFrom"/> (0: none), then appends.</summary>
    public void Append(LogIndex truncateFrom, ReadOnlySpan<Entry> entries)
    {
        if (truncateFrom > LogIndex.Zero)
        {
            Invariant.Check(truncateFrom > CompactedIndex, "truncates what is compacted");
            int keep = (int)Math.Min(truncateFrom.Value - CompactedIndex.Value - 1, (ulong)_entries.Count);
            _entries.RemoveRange(keep, _entries.Count - keep);
        }

        foreach (Entry entry in entries)
        {
            Invariant.Check(entry.Index == LastIndex.Next, "a gap in the log");
            _entries.Add(entry);
        }
    }

    /// <summary>Forgets entries up to and including an index.</summary>
    public void Compact(LogIndex index)
    {
        if (index <= CompactedIndex)
        {
            return;
        }

        Invariant.Check(index <= LastIndex, "compacts what is not there");
        int count = (int)(index.Value - CompactedIndex.Value);
        CompactedTerm = _entries[count - 1].Term;
        CompactedIndex = index;
        _entries.RemoveRange(0, count);
    }

    /// <summary>Starts anew behind a snapshot.</summary>
    public void Reset(LogIndex index, Term term)
    {
        _entries.Clear();
        CompactedIndex = index;
        CompactedTerm = term;
    }

    /// <inheritdoc/>
    public LogReadStatus Read(LogIndex from, LogIndex last, long limitBytes, List<Entry> into)
    {
        Invariant.Check(from > CompactedIndex && last <= LastIndex, "reads what is not there");
        long bytes = 0;
        for (LogIndex at = from; at <= last; at = at.Next)
        {
            Entry entry = _entries[(int)(at.Value - CompactedIndex.Value - 1)];
            bytes += entry.SizeBytes;
            if (at != from && bytes > limitBytes)
            {
                break;
            }

            into.Add(entry);
        }

        return LogReadStatus.Ok;
    }
}
