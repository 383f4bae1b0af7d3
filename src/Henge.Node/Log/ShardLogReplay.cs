using Henge.Core;
using Henge.Raft;

namespace Henge.Node.Log;

/// <summary>
/// Rebuilds one shard's index from the records of the node log. Old segments are gone, so the records are the end of a history whose
/// beginning is not known: entries that were compacted or moved since may still stand there without their neighbours, and what says so may
/// come later. So entries are gathered as they come, with gaps, and only at the end must everything behind the last base hold together
/// (decision 0091).
/// </summary>
internal sealed class ShardLogReplay(ShardLog log)
{
    // What is there, by index, without overlaps; nearly always one run.
    private readonly List<Run> _runs = [];

    // A log is moved as a whole. A crash in the middle leaves a beginning, which must not count: with its first entry in a new segment, and
    // the others in the old one, the old one would be freed.
    private readonly List<(LogIndex Index, EntryLocation Location)> _rewritten = [];
    private NodeLogRecord _base;

    /// <summary>The index that was rebuilt, after <see cref="Check"/>.</summary>
    public ShardLog Log => log;

    /// <summary>Term, vote and commit index as last written.</summary>
    public HardState HardState { get; private set; }

    /// <summary>How far a log reached that was dropped.</summary>
    public ForgottenLog Forgotten => _base.Forgotten;

    /// <summary>
    /// After <see cref="Check"/>, true when there is a log of the shard: entries, or a base that is no tombstone. A replica of which there
    /// is only term and vote has neither.
    /// </summary>
    public bool HasLog => log.LastIndex > LogIndex.Zero;

    /// <summary>True when a replica was dropped here, and none has begun anew.</summary>
    public bool IsTombstone => !HasLog && _base.Kind == NodeLogRecordKind.LateBase;

    private LogIndex Last => _runs.Count == 0 ? LogIndex.Zero : _runs[^1].Last;

    /// <summary>Takes the next record.</summary>
    public void Take(in NodeLogRecord record, in EntryLocation location)
    {
        if (record.Kind != NodeLogRecordKind.Moved)
        {
            _rewritten.Clear();
        }

        switch (record.Kind)
        {
            case NodeLogRecordKind.Entry:
                Truncate(record.Entry.Index);
                Append(record.Entry.Index, location);
                break;
            case NodeLogRecordKind.Moved:
                _rewritten.Add((record.Entry.Index, location));
                if (record.Entry.Index >= Last)
                {
                    _rewritten.ForEach(m => Move(m.Index, m.Location));
                    _rewritten.Clear();
                }

                break;
            case NodeLogRecordKind.HardState:
                HardState = record.HardState;
                break;
            case NodeLogRecordKind.Truncate:
                Truncate(record.Index);
                break;
            case NodeLogRecordKind.Base or NodeLogRecordKind.LateBase:
                TakeBase(record);
                break;
        }
    }

    /// <summary>A term is known that was never written: the replica is in it, and has not voted.</summary>
    public void RaiseTerm(Term term)
    {
        if (term > HardState.Term)
        {
            HardState = HardState with { Term = term, VotedFor = default };
        }
    }

    /// <summary>After the last record: builds the index, or says what does not fit.</summary>
    public string? Check()
    {
        bool hasBase = _base.IsBase;
        log.Reset(hasBase ? _base.Index : LogIndex.Zero, hasBase ? _base.Term : Term.Zero, hasBase ? _base.Membership : null);
        foreach (Run run in _runs)
        {
            if (run.Last > log.CompactedIndex && run.First > log.LastIndex.Next)
            {
                return log.LastIndex > log.CompactedIndex
                    ? $"its entries end at {log.LastIndex} and go on at {run.First}"
                    : $"its entries begin at {run.First}, and "
                        + (hasBase ? $"only those up to {log.CompactedIndex} are known to be compacted" : "nothing says what came before");
            }

            for (int i = 0; i < run.Locations.Count; i++)
            {
                log.Add(new LogIndex(run.First.Value + (ulong)i), run.Locations[i]);
            }
        }

        return null;
    }

    private void TakeBase(in NodeLogRecord record)
    {
        HardState = record.HardState;
        if (record.Reset)
        {
            _runs.Clear();
        }
        else if (record.Index < _base.Index)
        {
            // Written while a snapshot was on its way to the log: logs of earlier builds have that.
            return;
        }


        _base = record;
        while (_runs.Count > 0 && _runs[0].Last <= record.Index)
        {
            _runs.RemoveAt(0);
        }
    }

    private void Append(LogIndex index, in EntryLocation location)
    {
        if (_runs.Count == 0 || Last.Next != index)
        {
            _runs.Add(new Run(index));
        }

        _runs[^1].Locations.Add(location);
    }

    private void Move(LogIndex index, in EntryLocation location)
    {
        int at = _runs.FindIndex(r => r.Last >= index);
        if (at < 0)
        {
            Append(index, location);
            return;
        }

        Run run = _runs[at];
        if (index >= run.First)
        {
            // The same entry, in its new place; one of another term was cut off since.
            int i = (int)(index.Value - run.First.Value);
            if (run.Locations[i].Term == location.Term)
            {
                run.Locations[i] = location;
            }
        }
        else if (at > 0 && _runs[at - 1].Last.Next == index)
        {
            _runs[at - 1].Locations.Add(location);
        }
        else
        {
            var found = new Run(index);
            found.Locations.Add(location);
            _runs.Insert(at, found);
        }
    }

    private void Truncate(LogIndex from)
    {
        while (_runs.Count > 0 && _runs[^1].First >= from)
        {
            _runs.RemoveAt(_runs.Count - 1);
        }

        if (_runs.Count > 0 && _runs[^1].Last >= from)
        {
            int keep = (int)(from.Value - _runs[^1].First.Value);
            _runs[^1].Locations.RemoveRange(keep, _runs[^1].Locations.Count - keep);
        }
    }

    private sealed class Run(LogIndex first)
    {
        public LogIndex First => first;

        public List<EntryLocation> Locations { get; } = [];

        /// <summary>Meaningful when there is at least one.</summary>
        public LogIndex Last => new(first.Value + (ulong)Locations.Count - 1);
    }
}
