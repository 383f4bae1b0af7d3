using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// The binary form of messages: compact, versionless (the frame around it carries the protocol's version), and safe to decode from anyone.
/// The layout is in docs/formats.md, "Raft". Pure functions.
/// </summary>
public static class RaftMessageCodec
{
    /// <summary>The most bytes of data that an entry may have on the wire.</summary>
    public const int MaxEntryBytes = 64 * 1024 * 1024;

    /// <summary>The most entries in one append.</summary>
    public const int MaxEntries = 65_536;

    private const int HeaderMaxBytes = 2 + 3 * Varint.MaxBytes;

    /// <summary>How many bytes <see cref="Encode(RaftMessage, Span{byte})"/> will write at most: exact for nothing, close for everything.</summary>
    public static int MaxEncodedSize(RaftMessage message)
    {
        int size = HeaderMaxBytes + 4 * Varint.MaxBytes;
        switch (message)
        {
            case AppendEntries append:
                foreach (Entry entry in append.Entries.Span)
                {
                    size = checked(size + 1 + 2 * Varint.MaxBytes + entry.Data.Length);
                }

                break;
            case InstallSnapshot snapshot:
                size += snapshot.Membership.Encode().Length;
                break;
            default:
                break;
        }

        return size;
    }

    /// <summary>Appends the message to a buffer and returns how many bytes it took.</summary>
    public static int Encode(RaftMessage message, IBufferWriter<byte> destination)
    {
        int size = Encode(message, destination.GetSpan(MaxEncodedSize(message)));
        destination.Advance(size);
        return size;
    }

    /// <summary>Writes the message and returns how many bytes it took; <see cref="MaxEncodedSize"/> bytes are always enough.</summary>
    public static int Encode(RaftMessage message, Span<byte> destination)
    {
        Writer w = new(destination);
        w.Byte((byte)message.Kind);
        w.Byte(Flags(message));
        w.Number(message.From.Value);
        w.Number(message.To.Value);
        w.Number(message.Term.Value);
        switch (message)
        {
            case RequestVote m:
                w.Number(m.LastIndex.Value);
                w.Number(m.LastTerm.Value);
                break;
            case RequestVoteResponse:
            case TimeoutNow:
                break;
            case AppendEntries m:
                w.Number(m.PrevIndex.Value);
                w.Number(m.PrevTerm.Value);
                w.Number(m.Commit.Value);
                w.Number((ulong)m.Entries.Length);
                // Indexes follow from the previous one and are not sent; terms are, each as its distance from the one before.
                ulong term = m.PrevTerm.Value;
                foreach (Entry entry in m.Entries.Span)
                {
                    w.Byte((byte)entry.Kind);
                    w.Number(entry.Term.Value - term);
                    w.Number((ulong)entry.Data.Length);
                    w.Bytes(entry.Data.Span);
                    term = entry.Term.Value;
                }

                break;
            case AppendEntriesResponse m:
                w.Number(m.Index.Value);
                if (m.IsRejected)
                {
                    w.Number(m.HintIndex.Value);
                    w.Number(m.HintTerm.Value);
                }

                break;
            case Heartbeat m:
                w.Number(m.Commit.Value);
                w.Number(m.ReadSequence);
                w.Number(m.SentTick);
                break;
            case HeartbeatResponse m:
                w.Number(m.ReadSequence);
                w.Number(m.SentTick);
                break;
            case InstallSnapshot m:
                w.Number(m.Index.Value);
                w.Number(m.IndexTerm.Value);
                w.Bytes(m.Membership.Encode());
                break;
            case ReadIndexRequest m:
                w.Number(m.Number);
                break;
            case ReadIndexResponse m:
                w.Number(m.Number);
                w.Number(m.Index.Value);
                break;
            default:
                throw new InvalidOperationException($"Message kind {message.Kind} has no form.");
        }

        return w.Written;
    }

    /// <summary>
    /// Reads a message that fills <paramref name="source"/>. Nothing of it points into <paramref name="source"/>: entries get a copy, one for all of a message. False, and <paramref name="error"/> says what was wrong, when the bytes are not a message.
    /// </summary>
    public static bool TryDecode(ReadOnlySpan<byte> source, [NotNullWhen(true)] out RaftMessage? message, [NotNullWhen(false)] out string? error)
    {
        message = null;
        Reader r = new(source);
        byte kind = r.Byte();
        byte flags = r.Byte();
        NodeId from = new(r.Number());
        NodeId to = new(r.Number());
        Term term = new(r.Number());
        if (r.Failed || from.IsNone || to.IsNone)
        {
            error = "Raft message: the header is cut short or names node 0.";
            return false;
        }

        RaftMessageKind known = (RaftMessageKind)kind;
        if (flags > MaxFlags(known))
        {
            error = known is >= RaftMessageKind.RequestVote and <= RaftMessageKind.TimeoutNow
                ? $"Raft message: {known} has unknown flags 0x{flags:x2}."
                : $"Raft message: kind {kind} is not known.";
            return false;
        }

        bool flag1 = (flags & 1) != 0;
        bool flag2 = (flags & 2) != 0;
        switch (known)
        {
            case RaftMessageKind.RequestVote:
                message = new RequestVote
                {
                    From = from,
                    To = to,
                    Term = term,
                    IsPreVote = flag1,
                    IsTransfer = flag2,
                    LastIndex = new(r.Number()),
                    LastTerm = new(r.Number()),
                };
                break;
            case RaftMessageKind.RequestVoteResponse:
                message = new RequestVoteResponse { From = from, To = to, Term = term, IsPreVote = flag1, IsGranted = flag2 };
                break;
            case RaftMessageKind.AppendEntries:
                {
                    LogIndex prev = new(r.Number());
                    Term prevTerm = new(r.Number());
                    LogIndex commit = new(r.Number());
                    Entry[]? entries = ReadEntries(ref r, prev, prevTerm, term);
                    if (entries is null)
                    {
                        error = "Raft message: the entries of AppendEntries are cut short, too many, too large, of impossible terms, or name a membership that cannot be read.";
                        return false;
                    }

                    message = new AppendEntries { From = from, To = to, Term = term, PrevIndex = prev, PrevTerm = prevTerm, Commit = commit, Entries = entries };
                    break;
                }

            case RaftMessageKind.AppendEntriesResponse:
                message = new AppendEntriesResponse
                {
                    From = from,
                    To = to,
                    Term = term,
                    IsRejected = flag1,
                    Index = new(r.Number()),
                    HintIndex = flag1 ? new(r.Number()) : default,
                    HintTerm = flag1 ? new(r.Number()) : default,
                };
                break;
            case RaftMessageKind.Heartbeat:
                message = new Heartbeat { From = from, To = to, Term = term, WantsResponse = flag1, Commit = new(r.Number()), ReadSequence = r.Number(), SentTick = r.Number() };
                break;
            case RaftMessageKind.HeartbeatResponse:
                message = new HeartbeatResponse { From = from, To = to, Term = term, ReadSequence = r.Number(), SentTick = r.Number() };
                break;
            case RaftMessageKind.InstallSnapshot:
                {
                    LogIndex index = new(r.Number());
                    Term indexTerm = new(r.Number());
                    if (!Membership.TryDecode(r.Rest(), out Membership? membership))
                    {
                        error = "Raft message: the membership of InstallSnapshot cannot be read.";
                        return false;
                    }

                    message = new InstallSnapshot { From = from, To = to, Term = term, Index = index, IndexTerm = indexTerm, Membership = membership };
                    break;
                }

            case RaftMessageKind.ReadIndexRequest:
                message = new ReadIndexRequest { From = from, To = to, Term = term, Number = r.Number() };
                break;
            case RaftMessageKind.ReadIndexResponse:
                message = new ReadIndexResponse { From = from, To = to, Term = term, IsFailed = flag1, Number = r.Number(), Index = new(r.Number()) };
                break;
            default:
                message = new TimeoutNow { From = from, To = to, Term = term };
                break;
        }

        if (r.Failed || !r.AtEnd)
        {
            message = null;
            error = $"Raft message: {known} is {(r.Failed ? "cut short" : "followed by bytes that do not belong to it")}.";
            return false;
        }

        error = null;
        return true;
    }

    private static Entry[]? ReadEntries(ref Reader r, LogIndex prev, Term prevTerm, Term leaderTerm)
    {
        ulong count = r.Number();
        // An entry takes three bytes at least, so the array is never more than a small multiple of what was received.
        if (r.Failed || count > MaxEntries || count > (ulong)r.Remaining / 3 || prev.Value > ulong.MaxValue - MaxEntries - 1)
        {
            return null;
        }

        if (count == 0)
        {
            return [];
        }

        Entry[] entries = new Entry[count];
        byte[] copy = r.Rest().ToArray();
        r = new Reader(copy);
        ulong term = prevTerm.Value;
        for (int i = 0; i < entries.Length; i++)
        {
            byte kind = r.Byte();
            ulong distance = r.Number();
            ulong length = r.Number();
            // Terms in a log never fall, and no entry is newer than the leader that sends it.
            if (r.Failed || kind > (byte)EntryKind.Membership || length > MaxEntryBytes || length > (ulong)r.Remaining
                || distance > leaderTerm.Value || term + distance > leaderTerm.Value)
            {
                return null;
            }

            term += distance;
            ReadOnlyMemory<byte> data = copy.AsMemory(r.Skip((int)length), (int)length);
            // A membership that cannot be read must never get into a log.
            if (kind == (byte)EntryKind.Membership && !Membership.TryDecode(data.Span, out _))
            {
                return null;
            }

            entries[i] = new Entry(new LogIndex(prev.Value + 1 + (ulong)i), new Term(term), (EntryKind)kind, data);
        }

        return entries;
    }

    private static byte Flags(RaftMessage message) => message switch
    {
        RequestVote m => Bits(m.IsPreVote, m.IsTransfer),
        RequestVoteResponse m => Bits(m.IsPreVote, m.IsGranted),
        AppendEntriesResponse m => Bits(m.IsRejected, false),
        Heartbeat m => Bits(m.WantsResponse, false),
        ReadIndexResponse m => Bits(m.IsFailed, false),
        _ => 0,
    };

    private static int MaxFlags(RaftMessageKind kind) => kind switch
    {
        RaftMessageKind.RequestVote or RaftMessageKind.RequestVoteResponse => 3,
        RaftMessageKind.AppendEntriesResponse or RaftMessageKind.Heartbeat or RaftMessageKind.ReadIndexResponse => 1,
        RaftMessageKind.AppendEntries or RaftMessageKind.HeartbeatResponse or RaftMessageKind.InstallSnapshot
            or RaftMessageKind.ReadIndexRequest or RaftMessageKind.TimeoutNow => 0,
        _ => -1,
    };

    private static byte Bits(bool first, bool second) => (byte)((first ? 1 : 0) | (second ? 2 : 0));

    private ref struct Writer(Span<byte> destination)
    {
        private readonly Span<byte> _destination = destination;

        public int Written { get; private set; }

        public void Byte(byte value) => _destination[Written++] = value;

        public void Number(ulong value) => Written += Varint.Write(_destination[Written..], value);

        public void Bytes(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_destination[Written..]);
            Written += bytes.Length;
        }
    }

    private ref struct Reader(ReadOnlySpan<byte> source)
    {
        private readonly ReadOnlySpan<byte> _source = source;
        private int _at;

        public bool Failed { get; private set; }

        public readonly bool AtEnd => _at == _source.Length;

        public readonly int Remaining => _source.Length - _at;

        public byte Byte()
        {
            if (Failed || _at >= _source.Length)
            {
                Failed = true;
                return 0;
            }

            return _source[_at++];
        }

        public ulong Number()
        {
            if (Failed || !Varint.TryRead(_source[_at..], out ulong value, out int bytes))
            {
                Failed = true;
                return 0;
            }

            _at += bytes;
            return value;
        }

        /// <summary>Steps over bytes that are there; gives where they begin.</summary>
        public int Skip(int length)
        {
            int at = _at;
            _at += length;
            return at;
        }

        public ReadOnlySpan<byte> Rest()
        {
            ReadOnlySpan<byte> rest = Failed ? default : _source[_at..];
            _at = _source.Length;
            return rest;
        }
    }
}
