using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// A group's whole log as the group sees it, persisted or not: the terms of all entries, the newest entries in memory, older ones through
/// the caller's <see cref="IRaftLog"/>.
/// </summary>
internal sealed class EntryLog
{
    private const long RestoreReadBytes = 1024 * 1024;

    private readonly IRaftLog _persisted;
    private readonly TermRuns _terms;
    private readonly EntryWindow _window;
    private readonly long _restoreLimitBytes;
    private readonly List<Entry> _scratch = [];

    public EntryLog(IRaftLog persisted, long restoreLimitBytes)
    {
        _persisted = persisted;
        _restoreLimitBytes = restoreLimitBytes;
        _terms = new TermRuns(persisted.CompactedIndex, persisted.CompactedTerm);
        _window = new EntryWindow(persisted.CompactedIndex.Next);
    }

    /// <summary>Entries up to and including this one are gone.</summary>
    public LogIndex CompactedIndex => _terms.First;

    public LogIndex LastIndex => _terms.Last;

    public Term LastTerm => _terms.LastTerm;

    /// <summary>Bytes of entries held in memory.</summary>
    public long MemoryBytes => _window.Bytes;

    /// <summary>Reads the persisted log once, from its beginning, and shows each entry to <paramref name="visit"/>.</summary>
    public void Restore(Action<Entry> visit)
    {
        LogIndex last = _persisted.LastIndex;
        Invariant.Check(last >= CompactedIndex, "the log ends before it begins");
        while (LastIndex < last)
        {
            _scratch.Clear();
            LogReadStatus status = _persisted.Read(LastIndex.Next, last, RestoreReadBytes, _scratch);
            Invariant.Check(status == LogReadStatus.Ok && _scratch.Count > 0, "the log must be readable when the group starts");
            foreach (Entry entry in _scratch)
            {
                Append(entry);
                visit(entry);
                TrimRecent(entry.Index, _restoreLimitBytes);
            }
        }

        _scratch.Clear();
    }

    public Term? TermAt(LogIndex index) => _terms.At(index);

    public IReadOnlyList<(LogIndex First, Term Term)> Runs(int most) => _terms.Newest(most);

    public LogIndex LastAtOrBelow(LogIndex index, Term term) => _terms.LastAtOrBelow(index, term);

    /// <summary>Raft paper, section 5.4.1: the log with the later last term is more up to date; of the same term, the longer one.</summary>
    public bool IsUpToDate(LogIndex otherIndex, Term otherTerm) =>
        otherTerm > LastTerm || (otherTerm == LastTerm && otherIndex >= LastIndex);

    public void Append(in Entry entry)
    {
        Invariant.Check(entry.Index == LastIndex.Next, "a gap in the log");
        _terms.Append(entry.Term);
        _window.Append(entry);
    }

    public void TruncateFrom(LogIndex index)
    {
        _terms.TruncateFrom(index);
        _window.TruncateFrom(index);
    }

    public void CompactThrough(LogIndex index)
    {
        _terms.CompactThrough(index);
        _window.EvictThrough(index);
    }

    /// <summary>Starts anew behind a snapshot.</summary>
    public void Reset(LogIndex index, Term term)
    {
        _terms.Reset(index, term);
        _window.Reset(index.Next);
    }

    /// <summary>
    /// Lets go of the oldest entries in memory while they are over a limit, but of none above <paramref name="through"/>.
    /// </summary>
    public void TrimRecent(LogIndex through, long limitBytes)
    {
        while (_window.Bytes > limitBytes && _window.Count > 0 && _window.First <= through)
        {
            _window.EvictThrough(_window.First);
        }
    }

    /// <summary>An entry that is certainly in memory: one that is not yet applied.</summary>
    public ref readonly Entry Recent(LogIndex index)
    {
        Invariant.Check(index >= _window.First && index < _window.End, "the entry is not in memory");
        return ref _window[index];
    }

    public bool IsRecent(LogIndex index) => index >= _window.First && index < _window.End;

    /// <summary>Adds entries to a list: at least one, as many as fit.</summary>
    public LogReadStatus Read(LogIndex from, LogIndex last, long limitBytes, List<Entry> into)
    {
        Invariant.Check(from > CompactedIndex && last <= LastIndex && from <= last, "reads what is not in the log");
        if (from < _window.First)
        {
            LogIndex lastPersisted = last < _window.First ? last : new LogIndex(_window.First.Value - 1);
            int before = into.Count;
            LogReadStatus status = _persisted.Read(from, lastPersisted, limitBytes, into);
            Invariant.Check(
                status == LogReadStatus.Pending || (into.Count > before && into[before].Index == from),
                "the log did not give what was asked for");
            return status;
        }

        int count = _window.CountWithin(from, last, limitBytes, int.MaxValue);
        for (ulong i = 0; i < (ulong)count; i++)
        {
            into.Add(_window[new LogIndex(from.Value + i)]);
        }

        return LogReadStatus.Ok;
    }

    /// <summary>The same as an array of its own, for a message.</summary>
    public LogReadStatus Slice(LogIndex from, LogIndex last, long limitBytes, int limitCount, out Entry[] entries)
    {
        if (from < _window.First)
        {
            _scratch.Clear();
            LogReadStatus status = Read(from, last, limitBytes, _scratch);
            if (_scratch.Count > limitCount)
            {
                _scratch.RemoveRange(limitCount, _scratch.Count - limitCount);
            }

            entries = status == LogReadStatus.Ok ? [.. _scratch] : [];
            _scratch.Clear();
            return status;
        }

        entries = new Entry[_window.CountWithin(from, last, limitBytes, limitCount)];
        for (int i = 0; i < entries.Length; i++)
        {
            entries[i] = _window[new LogIndex(from.Value + (ulong)i)];
        }

        return LogReadStatus.Ok;
    }
}
