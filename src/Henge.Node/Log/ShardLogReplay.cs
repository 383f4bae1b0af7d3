using Henge.Core;
using Henge.Raft;

namespace Henge.Node.Log;

/// <summary>
/// Rebuilds one shard's index from the records of the node log. Old segments are gone, and what replaced them (a <see cref="NodeLogRecordKind.Base"/>)
/// may stand behind the entries that it speaks of: so a log may begin anywhere for the time being, and only at the end must all fit.
/// </summary>
internal sealed class ShardLogReplay(ShardLog log)
{
    private bool _baseIsKnown = true;
    private NodeLogRecord _lastBase;

    /// <summary>The index that is being rebuilt.</summary>
    public ShardLog Log => log;

    /// <summary>Term, vote and commit index as last written.</summary>
    public HardState HardState { get; private set; }

    /// <summary>Takes the next record.</summary>
    public void Take(in NodeLogRecord record, in EntryLocation location)
    {
        switch (record.Kind)
        {
            case NodeLogRecordKind.Entry:
                LogIndex index = record.Entry.Index;
                if (index > log.LastIndex.Next || (!_baseIsKnown && index <= log.CompactedIndex))
                {
                    BeginAt(index);
                }

                log.Add(index, location);
                break;
            case NodeLogRecordKind.Moved:
                // Entries of before may still stand, in a segment that another shard holds, when those before them are gone: what was moved is the whole log.
                if (record.Entry.Index > log.LastIndex.Next || (!_baseIsKnown && record.Entry.Index <= log.CompactedIndex))
                {
                    BeginAt(record.Entry.Index);
                }

                log.Move(record.Entry.Index, location);
                break;
            case NodeLogRecordKind.HardState:
                HardState = record.HardState;
                break;
            case NodeLogRecordKind.Truncate:
                log.Truncate(record.Index);
                break;
            case NodeLogRecordKind.Base:
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

    /// <summary>Says what does not fit after the last record; null when all does.</summary>
    public string? Check() => _baseIsKnown
        ? null
        : $"its entries begin at {log.CompactedIndex.Next}, and nothing says what came before";

    private void TakeBase(in NodeLogRecord record)
    {
        HardState = record.HardState;
        _lastBase = record;
        if (record.Reset || log.LastIndex == log.CompactedIndex)
        {
            if (record.Reset || !_baseIsKnown || record.Index >= log.CompactedIndex)
            {
                log.Reset(record.Index, record.Term, record.Membership!);
                _baseIsKnown = true;
            }

            return;
        }

        if (record.Index >= log.CompactedIndex && record.Index <= log.LastIndex)
        {
            log.Compact(record.Index, record.Term, record.Membership!);
            _baseIsKnown = true;
        }
        else if (record.Index > log.LastIndex)
        {
            _baseIsKnown = false;
        }
    }

    private void BeginAt(LogIndex first)
    {
        // A base may stand before the moved entries that it belongs to, and behind a newer one that hid where they begin.
        if (_lastBase.Kind == NodeLogRecordKind.Base && _lastBase.Index.Next == first)
        {
            log.Reset(_lastBase.Index, _lastBase.Term, _lastBase.Membership!);
            _baseIsKnown = true;
            return;
        }

        log.Reset(new LogIndex(first.Value - 1), Term.Zero, null);
        _baseIsKnown = first.Value == 1;
    }
}
