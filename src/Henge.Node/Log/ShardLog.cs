using Henge.Core;
using Henge.Raft;
using Henge.Storage.Logs;

namespace Henge.Node.Log;

/// <summary>Where an entry stands on disk.</summary>
/// <param name="Term">Its term.</param>
/// <param name="Position">Where its record begins.</param>
/// <param name="PayloadBytes">Bytes of the record's payload.</param>
internal readonly record struct EntryLocation(Term Term, LogPosition Position, int PayloadBytes);

/// <summary>Reads entries back from the node log.</summary>
internal interface IEntryReader
{
    /// <summary>
    /// Reads and checks the record of an entry. Throws <see cref="HengeException"/> (Corruption) when it is damaged. Thread-safe.
    /// </summary>
    Entry ReadEntry(ShardId shard, LogIndex index, in EntryLocation location);
}

/// <summary>
/// One shard's part of the node log: an index from entries to places on disk, kept in memory and rebuilt at start. Belongs to the shard's
/// worker, except <see cref="OldestSegment"/>, which any thread may read.
/// </summary>
internal sealed class ShardLog : IRaftLog
{
    private readonly ShardId _shard;
    private readonly IEntryReader _reader;
    private EntryLocation[] _ring = new EntryLocation[16];
    private int _head;
    private int _count;
    private long _oldestSegment = long.MaxValue;

    /// <summary>Creates the index of an empty log.</summary>
    public ShardLog(ShardId shard, IEntryReader reader)
    {
        _shard = shard;
        _reader = reader;
    }

    /// <inheritdoc/>
    public LogIndex CompactedIndex { get; private set; }

    /// <inheritdoc/>
    public Term CompactedTerm { get; private set; }

    /// <summary>The membership as of <see cref="CompactedIndex"/>; null when nothing was ever compacted.</summary>
    public Membership? CompactedMembership { get; private set; }

    /// <inheritdoc/>
    public LogIndex LastIndex => new(CompactedIndex.Value + (ulong)_count);

    /// <summary>The first segment that has an entry of this shard; <see cref="long.MaxValue"/> when there is none. Thread-safe.</summary>
    public long OldestSegment => Volatile.Read(ref _oldestSegment);

    /// <summary>Takes over an entry's place. It ends what stood at its index and above.</summary>
    /// <returns>False when it would leave a gap.</returns>
    public bool Add(LogIndex index, in EntryLocation location)
    {
        if (index <= CompactedIndex)
        {
            return true;
        }

        if (index > LastIndex.Next)
        {
            return false;
        }

        Truncate(index);
        if (_count == _ring.Length)
        {
            Grow();
        }

        _ring[(_head + _count) & (_ring.Length - 1)] = location;
        _count++;
        PublishOldest();
        return true;
    }

    /// <summary>
    /// Takes over the new place of an entry that was written again; it may also be the first that is seen of it after a restart.
    /// </summary>
    /// <returns>False when it would leave a gap.</returns>
    public bool Move(LogIndex index, in EntryLocation location)
    {
        if (index <= CompactedIndex)
        {
            return true;
        }

        if (index > LastIndex)
        {
            return Add(index, location);
        }

        ref EntryLocation old = ref At(index);
        if (old.Term == location.Term)
        {
            old = location;
            PublishOldest();
        }

        return true;
    }

    /// <summary>Drops entries at an index and above.</summary>
    public void Truncate(LogIndex from)
    {
        if (from <= LastIndex)
        {
            _count = from <= CompactedIndex ? 0 : (int)(from.Value - CompactedIndex.Value - 1);
            PublishOldest();
        }
    }

    /// <summary>Drops entries up to and including an index. Beyond the last one: the log begins anew there.</summary>
    public void Compact(LogIndex index, Term term, Membership membership)
    {
        if (index < CompactedIndex)
        {
            return;
        }

        int drop = (int)Math.Min(index.Value - CompactedIndex.Value, (ulong)_count);
        _head = (_head + drop) & (_ring.Length - 1);
        _count -= drop;
        CompactedIndex = index;
        CompactedTerm = term;
        CompactedMembership = membership;
        PublishOldest();
    }

    /// <summary>A snapshot takes the place of the whole log.</summary>
    public void Reset(LogIndex index, Term term, Membership? membership)
    {
        _count = 0;
        CompactedIndex = index;
        CompactedTerm = term;
        CompactedMembership = membership;
        PublishOldest();
    }

    /// <summary>Where an entry is.</summary>
    public EntryLocation Locate(LogIndex index) => At(index);

    /// <summary>The index before the newest entries, of which there are at most so many, with at most so many bytes.</summary>
    public LogIndex Before(int entries, long bytes)
    {
        LogIndex before = LastIndex;
        while (entries-- > 0 && before > CompactedIndex && (bytes -= At(before).PayloadBytes) >= 0)
        {
            before = new LogIndex(before.Value - 1);
        }

        return before;
    }

    /// <inheritdoc/>
    public LogReadStatus Read(LogIndex from, LogIndex last, long limitBytes, List<Entry> into)
    {
        Invariant.Check(from > CompactedIndex && last <= LastIndex, "the group reads entries that its log does not have");
        long bytes = 0;
        for (LogIndex index = from; index <= last; index = index.Next)
        {
            ref EntryLocation location = ref At(index);
            bytes += Entry.OverheadBytes + location.PayloadBytes - NodeLogRecord.EntryHeaderBytes;
            if (index > from && bytes > limitBytes)
            {
                break;
            }

            into.Add(_reader.ReadEntry(_shard, index, location));
        }

        return LogReadStatus.Ok;
    }

    private ref EntryLocation At(LogIndex index)
    {
        Invariant.Check(index > CompactedIndex && index <= LastIndex);
        return ref _ring[(_head + (int)(index.Value - CompactedIndex.Value - 1)) & (_ring.Length - 1)];
    }

    private void Grow()
    {
        var bigger = new EntryLocation[_ring.Length * 2];
        for (int i = 0; i < _count; i++)
        {
            bigger[i] = _ring[(_head + i) & (_ring.Length - 1)];
        }

        _ring = bigger;
        _head = 0;
    }

    // Moves always take a shard's whole log, so places rise with indexes and the first entry has the oldest.
    private void PublishOldest() => Volatile.Write(ref _oldestSegment, _count == 0 ? long.MaxValue : _ring[_head].Position.SegmentId);
}
