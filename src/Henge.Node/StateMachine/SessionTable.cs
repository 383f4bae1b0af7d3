using System.Buffers;
using Henge.Core;
using Henge.Node.Context;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>What a session knows of a request.</summary>
internal enum SessionAnswer : byte
{
    /// <summary>It is new: do it, then <see cref="SessionTable.Record"/> it.</summary>
    New,
    /// <summary>It was done: here is its result again.</summary>
    Done,
    /// <summary>It is not known.</summary>
    Forgotten,
    /// <summary>There is no room for another session.</summary>
    Full,
}

/// <summary>
/// The sessions of a shard: a retried request (same client, same sequence number) takes effect at most once (Raft thesis, section 6.3).
/// Part of the replicated state: bounds and ends follow from the log alone. Held in memory, and record by record among the shard's own
/// keys. Not thread-safe; for the worker.
/// </summary>
internal sealed class SessionTable
{
    private const int SessionOverheadBytes = 160;
    private const int RecordOverheadBytes = 56;

    // In the stored number of what was given up: it is only what came before the session began. Sequence numbers leave the bit free.
    private const ulong OnlyBeforeBit = 1UL << 63;

    // So that many sessions that end at once do not hold up one entry.
    private const int MaxEndedPerEntry = 64;

    private readonly SessionLimits _limits;
    private readonly PendingWrites _writes;
    private readonly Dictionary<ulong, Session> _sessions = [];
    private readonly List<Session> _unwritten = [];
    private readonly SessionPieces _pieces = new();
    private readonly ArrayBufferWriter<byte> _value = new();
    private readonly ArrayBufferWriter<byte> _result = new();
    // When the session of all that have ended was last used that was used latest: from then on, a session that is not known may be one that
    // has ended. Kept as the session of client 0, which there is not.
    private Core.Version _endedUpTo;
    private Core.Version _markVersion;
    private Session? _oldest;
    private Session? _newest;
    private long _bytes;

    public SessionTable(SessionLimits limits, PendingWrites writes)
    {
        Invariant.Check(
            limits.Window is > 0 and <= 32_768 && limits.MinimumWindow > 0 && limits.MinimumWindow <= limits.Window && limits.IdleMs >= 2);
        _limits = limits;
        _writes = writes;
    }

    public int Count => _sessions.Count;

    /// <summary>A deliberate bug, for the simulator only: a retry in a session that has ended is done again.</summary>
    internal bool RepeatsAfterEnd { get; init; }

    /// <summary>
    /// A deliberate bug, for the simulator only: a first attempt that comes after its retry was done and forgotten is done again.
    /// </summary>
    internal bool RepeatsForgottenFirst { get; init; }

    /// <summary>
    /// Ends sessions that were idle too long at a version. Called at the beginning of each entry, so that it depends on the log alone.
    /// </summary>
    public void EndIdle(Core.Version version)
    {
        for (
            int i = 0;
            i < MaxEndedPerEntry && _oldest is { } oldest && version.Milliseconds - oldest.LastVersion.Milliseconds >= _limits.IdleMs;
            i++)
        {
            // Before the entry's first version, at which the same client may come back; its own records are older still.
            Remove(oldest, new Core.Version(version.Value - 1), version);
        }
    }

    /// <summary>What is known of a request.</summary>
    public SessionAnswer Ask(SessionStamp stamp, Core.Version version, out CommandResult result, out ReadOnlySpan<byte> payload)
    {
        result = default;
        payload = default;
        if (!_sessions.TryGetValue(stamp.ClientId, out Session? session))
        {
            // A session that ended is never taken for one that begins where that matters: the request may have been done in it.
            return (stamp.Flags & SessionFlags.Retry) != 0 && !_endedUpTo.IsZero && !RepeatsAfterEnd ? SessionAnswer.Forgotten
                : MakeRoom(version) ? SessionAnswer.New : SessionAnswer.Full;
        }

        int index = session.Find(stamp.Sequence);
        if (index < 0)
        {
            // A client that uses flags and does not call it a retry sends it for the first time. Below what came before the session began
            // it is done: it only was overtaken. Below what was done in the session it may be late, and its retry be among that.
            bool isFirst = stamp.Flags == SessionFlags.Continues && (!session.HasForgottenOwn || RepeatsForgottenFirst);
            return stamp.Sequence <= session.Forgotten && !isFirst ? SessionAnswer.Forgotten : SessionAnswer.New;
        }

        ref SessionRecord record = ref session[index];
        result = record.PayloadLost
            ? new CommandResult(CommandStatus.Failed, record.Result.Version, Problem: CommandProblem.ResultForgotten)
            : record.Result;
        payload = session.PayloadOf(record);
        return SessionAnswer.Done;
    }

    /// <summary>Remembers what a new request came to.</summary>
    public void Record(SessionStamp stamp, Core.Version version, in CommandResult result, ReadOnlySpan<byte> payload)
    {
        if (!_sessions.TryGetValue(stamp.ClientId, out Session? session))
        {
            session = new Session(stamp.ClientId, _pieces);
            _sessions.Add(stamp.ClientId, session);
            _bytes += SessionOverheadBytes;
            if ((stamp.Flags & SessionFlags.Continues) != 0 && !_endedUpTo.IsZero)
            {
                // It goes on after it had ended: what came before is not known any more. Where no session ever ended, this one was only
                // on other shards before.
                session.ForgetBefore(stamp.Sequence);
            }
        }
        else
        {
            Unlink(session);
        }

        session.LastVersion = version;
        LinkNewest(session);
        _bytes -= BytesOf(session);
        bool keep = payload.Length <= _limits.PayloadBytes;
        if (!session.IsDirty)
        {
            session.IsDirty = true;
            _unwritten.Add(session);
        }

        if (stamp.Sequence > session.Forgotten && MakeRoomIn(session, stamp.Sequence, keep ? payload.Length : 0))
        {
            session.UnwrittenCount++;
            session.Insert(
                ~session.Find(stamp.Sequence),
                stamp.Sequence,
                result,
                keep ? payload : default,
                payloadLost: !keep,
                Session.Unwritten);
        }

        _bytes += BytesOf(session);
    }

    /// <summary>
    /// Puts what was recorded since the last call into the batch: one chunk for each session, so that many requests of one client cost one
    /// small write. How results are spread over chunks is each replica's own affair; what counts is which there are.
    /// </summary>
    public void Flush()
    {
        if (!_markVersion.IsZero)
        {
            WriteMark();
        }

        foreach (Session session in _unwritten)
        {
            if (session.IsDirty)
            {
                session.IsDirty = false;
                WriteChunk(session);
            }
        }

        _unwritten.Clear();
    }

    /// <summary>Takes in what the engine holds. The table must be empty.</summary>
    public void Load(IStorageEngine engine, ShardId shard)
    {
        Invariant.Check(_sessions.Count == 0);
        using EngineIterator records = engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.SystemKeyspace(shard),
            Point = new ReadPoint(Core.Version.Max, 0),
            Lower = new byte[] { SystemKeys.SessionTag },
            Upper = new byte[] { SystemKeys.SessionTag + 1 },
        });
        Session? session = null;
        for (records.SeekToFirst(); records.Valid; records.Next())
        {
            if (!SystemKeys.TryReadSessionKey(records.Key, out ulong clientId, out ushort slot) || slot == Session.Unwritten)
            {
                throw Damaged(shard);
            }

            if (clientId == 0)
            {
                _endedUpTo = ReadMark(records.Value, shard);
                continue;
            }

            if (session?.ClientId != clientId)
            {
                session = new Session(clientId, _pieces);
                _sessions.Add(clientId, session);
            }

            session.LastVersion = records.Version > session.LastVersion ? records.Version : session.LastVersion;
            session.RestoreSlot(slot, 0);
            if (!TryReadChunk(records.Value, slot, session))
            {
                throw Damaged(shard);
            }
        }

        foreach (Session loaded in _sessions.Values.OrderBy(static s => s.LastVersion))
        {
            // Chunks may still hold what was given up since they were written.
            while (loaded.Count > 0 && loaded[0].Sequence <= loaded.Forgotten)
            {
                loaded.EvictLowest();
            }

            LinkNewest(loaded);
            _bytes += SessionOverheadBytes + BytesOf(loaded);
        }
    }

    /// <summary>Forgets everything in memory.</summary>
    public void Reset()
    {
        _sessions.Clear();
        _unwritten.Clear();
        _endedUpTo = default;
        _markVersion = default;
        _pieces.Reset();
        _oldest = null;
        _newest = null;
        _bytes = 0;
    }

    /// <summary>Takes all that the table holds into a hash, in an order that does not depend on the process.</summary>
    public void AddTo(ref StateHasher hasher)
    {
        hasher.Add(_endedUpTo.Value);
        foreach (Session session in _sessions.Values.OrderBy(static s => s.ClientId))
        {
            hasher.Add(session.ClientId);
            hasher.Add(session.LastVersion.Value);
            hasher.Add(ForgottenOf(session));
            for (int i = 0; i < session.Count; i++)
            {
                ref SessionRecord record = ref session[i];
                hasher.Add(record.Sequence);
                hasher.Add(record.Result.Version.Value);
                CommandResult result = record.Result;
                hasher.Add(
                    ((ulong)result.Number << 8) ^ ((ulong)result.Status << 5) ^ ((ulong)result.Problem << 1) ^ (result.Found ? 1UL : 0));
                hasher.Add(record.PayloadLost ? 1UL : 0);
                hasher.Add(session.PayloadOf(record));
            }
        }
    }

    private static ulong ForgottenOf(Session session) =>
        session.Forgotten | (session.Forgotten != 0 && !session.HasForgottenOwn ? OnlyBeforeBit : 0);

    private static long BytesOf(Session session) => ((long)session.Count * RecordOverheadBytes) + session.PayloadBytes;

    private bool MakeRoom(Core.Version version)
    {
        if (_sessions.Count < _limits.Sessions)
        {
            return true;
        }

        if (version.Milliseconds - _oldest!.LastVersion.Milliseconds < _limits.ProtectedMs)
        {
            return false;
        }

        Remove(_oldest, version, version);
        return true;
    }

    // Gives up the lowest sequence numbers until a new result fits. When the new one is itself the lowest, it is the one that is given up:
    // done, and not to be told from a retry later. So all that is kept is above all that was ever given up.
    private bool MakeRoomIn(Session session, ulong sequence, int payloadBytes)
    {
        int window = _bytes > _limits.TotalBytes ? _limits.MinimumWindow : _limits.Window;
        while (session.Count >= window
            || (session.Count >= _limits.MinimumWindow && session.PayloadBytes + payloadBytes > _limits.SessionPayloadBytes))
        {
            if (session[0].Sequence > sequence)
            {
                session.Forget(sequence);
                return false;
            }

            session.EvictLowest();
        }

        return true;
    }

    // The mark gets a version of its own: versions of one record have to rise from batch to batch, and those of deletions may be the last
    // one of the batch before.
    private void Remove(Session session, Core.Version version, Core.Version markVersion)
    {
        _endedUpTo = session.LastVersion > _endedUpTo ? session.LastVersion : _endedUpTo;
        _markVersion = markVersion;
        for (int slot = 0; slot < session.SlotCount; slot++)
        {
            DeleteSlot(session.ClientId, (ushort)slot, version);
        }

        Unlink(session);
        _sessions.Remove(session.ClientId);
        _bytes -= SessionOverheadBytes + BytesOf(session);

        // It may still be among those to be written.
        session.IsDirty = false;
        session.Release();
    }

    private void DeleteSlot(ulong clientId, ushort slot, Core.Version version)
    {
        Span<byte> key = stackalloc byte[SystemKeys.SessionKeyBytes];
        SystemKeys.WriteSessionKey(key, clientId, slot);
        _writes.DeleteSystem(key, version);
    }

    private void WriteMark()
    {
        Span<byte> key = stackalloc byte[SystemKeys.SessionKeyBytes];
        SystemKeys.WriteSessionKey(key, 0, 0);
        Span<byte> value = stackalloc byte[Varint.MaxBytes];
        _writes.PutSystem(key, value[..Varint.Write(value, _endedUpTo.Value)], _markVersion);
        _markVersion = default;
    }

    private static Core.Version ReadMark(ReadOnlySpan<byte> value, ShardId shard)
    {
        var reader = new SpanReader(value);
        return reader.TryReadVarint(out ulong version) && reader.IsEmpty && version <= Core.Version.MaxValue
            ? new Core.Version(version)
            : throw Damaged(shard);
    }

    // highest forgotten sequence varint | (sequence varint | version varint | payload lost u8 | length varint | result)*
    private void WriteChunk(Session session)
    {
        ushort slot = session.TakeSlot(session.UnwrittenCount);
        _value.ResetWrittenCount();
        _value.WriteVarint(ForgottenOf(session));

        // Most often the newest ones; those that came late are further down.
        for (int i = session.Count - 1, left = session.UnwrittenCount; left > 0; i--)
        {
            ref SessionRecord record = ref session[i];
            if (record.Slot != Session.Unwritten)
            {
                continue;
            }

            left--;
            record.Slot = slot;
            _result.ResetWrittenCount();
            CommandResult result = record.Result;
            result.Write(_result, session.PayloadOf(record));
            SpanWriter writer = new(_value.GetSpan((3 * Varint.MaxBytes) + 1 + _result.WrittenCount));
            writer.WriteVarint(record.Sequence);
            writer.WriteVarint(result.Version.Value);
            writer.WriteByte(record.PayloadLost ? (byte)1 : (byte)0);
            writer.WriteBytes(_result.WrittenSpan);
            _value.Advance(writer.Written);
        }

        session.UnwrittenCount = 0;
        Span<byte> key = stackalloc byte[SystemKeys.SessionKeyBytes];
        SystemKeys.WriteSessionKey(key, session.ClientId, slot);
        _writes.PutSystem(key, _value.WrittenSpan, session.LastVersion);
    }

    private static bool TryReadChunk(ReadOnlySpan<byte> value, ushort slot, Session session)
    {
        var reader = new SpanReader(value);
        if (!reader.TryReadVarint(out ulong forgotten))
        {
            return false;
        }

        session.RestoreForgotten(forgotten & ~OnlyBeforeBit, own: (forgotten & OnlyBeforeBit) == 0);
        int count = 0;
        for (; !reader.IsEmpty; count++)
        {
            if (!reader.TryReadVarint(out ulong sequence) || !reader.TryReadVarint(out ulong version) || version > Core.Version.MaxValue
                || !reader.TryReadByte(out byte lost) || lost > 1 || !reader.TryReadBytes(out ReadOnlySpan<byte> encoded)
                || !CommandResult.TryRead(new Core.Version(version), encoded, out CommandResult result, out ReadOnlySpan<byte> payload))
            {
                return false;
            }

            int index = session.Find(sequence);
            if (index >= 0 || count == ushort.MaxValue)
            {
                return false;
            }

            session.Insert(~index, sequence, result, payload, lost == 1, slot);
        }

        session.RestoreSlot(slot, count);
        return true;
    }

    private static HengeException Damaged(ShardId shard) =>
        new(
            ErrorCode.Corruption,
            $"A session record of shard {shard} is not well formed. Restore the data directory from a copy. {DirectoryAdvice.Node}");

    private void Unlink(Session session)
    {
        if (session.Older is { } older)
        {
            older.Newer = session.Newer;
        }
        else
        {
            _oldest = session.Newer;
        }

        if (session.Newer is { } newer)
        {
            newer.Older = session.Older;
        }
        else
        {
            _newest = session.Older;
        }

        session.Older = null;
        session.Newer = null;
    }

    private void LinkNewest(Session session)
    {
        session.Older = _newest;
        if (_newest is { } newest)
        {
            newest.Newer = session;
        }
        else
        {
            _oldest = session;
        }

        _newest = session;
    }
}
