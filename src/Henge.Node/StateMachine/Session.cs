namespace Henge.Node.StateMachine;

/// <summary>
/// One result that a session remembers. Without references, so that the collector has nothing to look for in the many that a node keeps; a
/// payload stands beside it (<see cref="Session.PayloadOf"/>).
/// </summary>
internal struct SessionRecord
{
    private const byte FoundFlag = 1;
    private const byte PayloadLostFlag = 2;
    private const byte HasPayloadFlag = 4;

    private readonly ulong _version;
    private readonly long _number;
    private readonly CommandStatus _status;
    private readonly CommandProblem _problem;
    private readonly byte _flags;

    public SessionRecord(ulong sequence, in CommandResult result, bool hasPayload, bool payloadLost, ushort slot)
    {
        Sequence = sequence;
        Slot = slot;
        _version = result.Version.Value;
        _number = result.Number;
        _status = result.Status;
        _problem = result.Problem;
        _flags = (byte)((result.Found ? FoundFlag : 0) | (payloadLost ? PayloadLostFlag : 0) | (hasPayload ? HasPayloadFlag : 0));
    }

    public ulong Sequence { get; }

    /// <summary>
    /// Which of the session's chunks in the engine holds it; <see cref="Session.Unwritten"/> until the batch is committed.
    /// </summary>
    public ushort Slot { get; set; }

    public readonly CommandResult Result => new(_status, new Core.Version(_version), (_flags & FoundFlag) != 0, _number, _problem);

    public readonly bool HasPayload => (_flags & HasPayloadFlag) != 0;

    /// <summary>It had a payload that was too large to be kept.</summary>
    public readonly bool PayloadLost => (_flags & PayloadLostFlag) != 0;
}

/// <summary>
/// What is known of one client on one shard: the results of its latest requests, by sequence number. Sequence numbers may come out of
/// order and with gaps (a client numbers the requests to all shards with one counter). Not thread-safe.
/// </summary>
/// <remarks>
/// Results stand in pieces that are never copied, behind each other: a ring that doubles would have all sessions of a busy node grow at the
/// same time, and the collector move all of it, twice (docs/decisions/0121).
/// </remarks>
/// <param name="clientId">The client.</param>
/// <param name="room">Where the pieces come from.</param>
internal sealed class Session(ulong clientId, SessionPieces room)
{
    // Most clients write little: until there are more results than half a piece has, they stand in an array of the session's own.
    private const int FirstRecords = 4;
    private const int MostOwnRecords = SessionPieces.Records / 2;

    public const ushort Unwritten = ushort.MaxValue;

    private readonly List<SessionPiece> _pieces = [];
    private SessionRecord[]? _own = new SessionRecord[FirstRecords];
    private int _first;

    // By sequence number; few results have one.
    private Dictionary<ulong, byte[]>? _payloads;

    // How many records each chunk still has; a chunk without any is free to be written again.
    private readonly List<ushort> _liveInSlot = [];

    public ulong ClientId { get; } = clientId;

    /// <summary>When it was last used.</summary>
    public Core.Version LastVersion { get; set; }

    /// <summary>The highest sequence number that was given up: at and below it, what is not kept is not known.</summary>
    public ulong Forgotten { get; private set; }

    /// <summary>
    /// True when a request of this session is among what was given up. False while that is only what came before the session began: then
    /// a first attempt at or below it was not done in this session.
    /// </summary>
    public bool HasForgottenOwn { get; private set; }

    public int Count { get; private set; }

    public int PayloadBytes { get; set; }

    /// <summary>True when something about it is not in the engine yet.</summary>
    public bool IsDirty { get; set; }

    /// <summary>Records that are not in the engine yet.</summary>
    public int UnwrittenCount { get; set; }

    public Session? Older { get; set; }

    public Session? Newer { get; set; }

    public ref SessionRecord this[int index]
    {
        get
        {
            int at = _first + index;
            if (_own is { } own)
            {
                return ref own[at];
            }

            SessionPiece piece = _pieces[at >> SessionPieces.Shift];
            return ref piece.Slab[piece.Offset + (at & (SessionPieces.Records - 1))];
        }
    }

    /// <summary>The payload that a result was given; null for none.</summary>
    public byte[]? PayloadOf(in SessionRecord record) => record.HasPayload ? _payloads![record.Sequence] : null;

    /// <summary>Gives up a request of this session, and all below it.</summary>
    public void Forget(ulong sequence) => RestoreForgotten(sequence, own: true);

    /// <summary>What came before this session began is not known.</summary>
    public void ForgetBefore(ulong sequence) => RestoreForgotten(sequence - 1, own: false);

    /// <summary>Takes in what a chunk says; the highest counts.</summary>
    public void RestoreForgotten(ulong sequence, bool own)
    {
        if (sequence > Forgotten)
        {
            (Forgotten, HasForgottenOwn) = (sequence, own);
        }
        else if (sequence == Forgotten && sequence != 0)
        {
            HasForgottenOwn |= own;
        }
    }

    /// <summary>Index of a sequence number, or the complement of where it belongs.</summary>
    public int Find(ulong sequence)
    {
        // The newest is by far the most usual place.
        if (Count == 0 || this[Count - 1].Sequence < sequence)
        {
            return ~Count;
        }

        int low = 0, high = Count - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            ulong there = this[middle].Sequence;
            if (there == sequence)
            {
                return middle;
            }

            (low, high) = there < sequence ? (middle + 1, high) : (low, middle - 1);
        }

        return ~low;
    }

    public void Insert(int index, ulong sequence, in CommandResult result, ReadOnlySpan<byte> payload, bool payloadLost, ushort slot)
    {
        MakeRoom();
        Count++;
        for (int i = Count - 1; i > index; i--)
        {
            this[i] = this[i - 1];
        }

        this[index] = new SessionRecord(sequence, result, !payload.IsEmpty, payloadLost, slot);
        if (!payload.IsEmpty)
        {
            (_payloads ??= []).Add(sequence, payload.ToArray());
            PayloadBytes += payload.Length;
        }
    }

    /// <summary>Gives up the lowest sequence number.</summary>
    public void EvictLowest()
    {
        ref SessionRecord record = ref this[0];
        Forget(record.Sequence);
        if (record.HasPayload && _payloads!.Remove(record.Sequence, out byte[]? payload))
        {
            PayloadBytes -= payload.Length;
        }

        if (record.Slot == Unwritten)
        {
            UnwrittenCount--;
        }
        else
        {
            _liveInSlot[record.Slot]--;
        }

        Count--;
        _first++;
        if (_own is null && _first == SessionPieces.Records)
        {
            room.Return(_pieces[0]);
            _pieces.RemoveAt(0);
            _first = 0;
        }
    }

    /// <summary>Gives its room back; the session must not be used afterwards.</summary>
    public void Release()
    {
        Count = 0;
        foreach (SessionPiece piece in _pieces)
        {
            room.Return(piece);
        }

        _pieces.Clear();
    }

    private void MakeRoom()
    {
        int end = _first + Count;
        if (_own is null)
        {
            if (end == _pieces.Count << SessionPieces.Shift)
            {
                _pieces.Add(room.Rent());
            }

            return;
        }

        if (end < _own.Length)
        {
            return;
        }

        // What was given up in front is room too; with little of it, moving everything each time would cost more than a larger array.
        Span<SessionRecord> kept = _own.AsSpan(_first, Count);
        if (Count > _own.Length / 2 && _own.Length < MostOwnRecords)
        {
            _own = new SessionRecord[_own.Length * 2];
            kept.CopyTo(_own);
        }
        else if (Count > _own.Length / 2)
        {
            SessionPiece piece = room.Rent();
            kept.CopyTo(piece.Slab.AsSpan(piece.Offset));
            _pieces.Add(piece);
            _own = null;
        }
        else
        {
            kept.CopyTo(_own);
        }

        _first = 0;
    }

    /// <summary>Slots that were ever used.</summary>
    public int SlotCount => _liveInSlot.Count;

    /// <summary>A slot whose chunk may be overwritten, or a new one, now with so many records.</summary>
    public ushort TakeSlot(int records)
    {
        int slot = _liveInSlot.IndexOf(0);
        if (slot < 0)
        {
            slot = _liveInSlot.Count;
            _liveInSlot.Add(0);
        }

        _liveInSlot[slot] = checked((ushort)records);
        return checked((ushort)slot);
    }

    /// <summary>After loading: a chunk that is there, with so many records that still count.</summary>
    public void RestoreSlot(ushort slot, int records)
    {
        while (_liveInSlot.Count <= slot)
        {
            _liveInSlot.Add(0);
        }

        _liveInSlot[slot] = checked((ushort)records);
    }
}
