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

    /// <summary>
    /// How many bytes <see cref="Encode(RaftMessage, Span{byte})"/> will write at most: exact for nothing, close for everything.
    /// </summary>
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
        SpanWriter w = new(destination);
        w.WriteByte((byte)message.Kind);
        w.WriteByte(Flags(message));
        w.WriteVarint(message.From.Value);
        w.WriteVarint(message.To.Value);
        w.WriteVarint(message.Term.Value);
        switch (message)
        {
            case RequestVote m:
                w.WriteVarint(m.LastIndex.Value);
                w.WriteVarint(m.LastTerm.Value);
                break;
            case RequestVoteResponse:
            case TimeoutNow:
                break;
            case AppendEntries m:
                w.WriteVarint(m.PrevIndex.Value);
                w.WriteVarint(m.PrevTerm.Value);
                w.WriteVarint(m.Commit.Value);
                w.WriteVarint((ulong)m.Entries.Length);
                // Indexes follow from the previous one and are not sent; terms are, each as its distance from the one before.
                ulong term = m.PrevTerm.Value;
                foreach (Entry entry in m.Entries.Span)
                {
                    w.WriteByte((byte)entry.Kind);
                    w.WriteVarint(entry.Term.Value - term);
                    w.WriteBytes(entry.Data.Span);
                    term = entry.Term.Value;
                }

                break;
            case AppendEntriesResponse m:
                w.WriteVarint(m.Index.Value);
                if (m.IsRejected)
                {
                    w.WriteVarint(m.HintIndex.Value);
                    w.WriteVarint(m.HintTerm.Value);
                }

                break;
            case Heartbeat m:
                w.WriteVarint(m.Commit.Value);
                w.WriteVarint(m.ReadSequence);
                w.WriteVarint(m.SentTick);
                break;
            case HeartbeatResponse m:
                w.WriteVarint(m.ReadSequence);
                w.WriteVarint(m.SentTick);
                break;
            case InstallSnapshot m:
                w.WriteVarint(m.Index.Value);
                w.WriteVarint(m.IndexTerm.Value);
                w.WriteRaw(m.Membership.Encode());
                break;
            case ReadIndexRequest m:
                w.WriteVarint(m.Number);
                break;
            case ReadIndexResponse m:
                w.WriteVarint(m.Number);
                w.WriteVarint(m.Index.Value);
                break;
            default:
                throw new InvalidOperationException($"Message kind {message.Kind} has no form.");
        }

        return w.Written;
    }

    /// <summary>
    /// Reads a message that fills <paramref name="source"/>. Nothing of it points into <paramref name="source"/>: entries get a copy, one
    /// for all of a message. False, and <paramref name="error"/> says what was wrong, when the bytes are not a message.
    /// </summary>
    public static bool TryDecode(
        ReadOnlySpan<byte> source,
        [NotNullWhen(true)] out RaftMessage? message,
        [NotNullWhen(false)] out string? error)
    {
        message = null;
        SpanReader r = new(source);
        byte kind = r.ReadByte();
        byte flags = r.ReadByte();
        NodeId from = new(r.ReadVarint());
        NodeId to = new(r.ReadVarint());
        Term term = new(r.ReadVarint());
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
                    LastIndex = new(r.ReadVarint()),
                    LastTerm = new(r.ReadVarint()),
                };
                break;
            case RaftMessageKind.RequestVoteResponse:
                message = new RequestVoteResponse { From = from, To = to, Term = term, IsPreVote = flag1, IsGranted = flag2 };
                break;
            case RaftMessageKind.AppendEntries:
                {
                    LogIndex prev = new(r.ReadVarint());
                    Term prevTerm = new(r.ReadVarint());
                    LogIndex commit = new(r.ReadVarint());
                    Entry[]? entries = ReadEntries(ref r, prev, prevTerm, term);
                    if (entries is null)
                    {
                        error = "Raft message: the entries of AppendEntries are cut short, too many, too large, of impossible terms, or "
                            + "name a membership that cannot be read.";
                        return false;
                    }

                    message = new AppendEntries
                    {
                        From = from,
                        To = to,
                        Term = term,
                        PrevIndex = prev,
                        PrevTerm = prevTerm,
                        Commit = commit,
                        Entries = entries,
                    };
                    break;
                }

            case RaftMessageKind.AppendEntriesResponse:
                message = new AppendEntriesResponse
                {
                    From = from,
                    To = to,
                    Term = term,
                    IsRejected = flag1,
                    Index = new(r.ReadVarint()),
                    HintIndex = flag1 ? new(r.ReadVarint()) : default,
                    HintTerm = flag1 ? new(r.ReadVarint()) : default,
                };
                break;
            case RaftMessageKind.Heartbeat:
                message = new Heartbeat
                {
                    From = from,
                    To = to,
                    Term = term,
                    WantsResponse = flag1,
                    Commit = new(r.ReadVarint()),
                    ReadSequence = r.ReadVarint(),
                    SentTick = r.ReadVarint(),
                };
                break;
            case RaftMessageKind.HeartbeatResponse:
                message = new HeartbeatResponse
                {
                    From = from,
                    To = to,
                    Term = term,
                    ReadSequence = r.ReadVarint(),
                    SentTick = r.ReadVarint(),
                };
                break;
            case RaftMessageKind.InstallSnapshot:
                {
                    LogIndex index = new(r.ReadVarint());
                    Term indexTerm = new(r.ReadVarint());
                    if (!Membership.TryDecode(r.ReadRaw((ulong)r.Rest.Length), out Membership? membership))
                    {
                        error = "Raft message: the membership of InstallSnapshot cannot be read.";
                        return false;
                    }

                    message = new InstallSnapshot
                    {
                        From = from,
                        To = to,
                        Term = term,
                        Index = index,
                        IndexTerm = indexTerm,
                        Membership = membership
                    };
                    break;
                }

            case RaftMessageKind.ReadIndexRequest:
                message = new ReadIndexRequest { From = from, To = to, Term = term, Number = r.ReadVarint() };
                break;
            case RaftMessageKind.ReadIndexResponse:
                message = new ReadIndexResponse
                {
                    From = from,
                    To = to,
                    Term = term,
                    IsFailed = flag1,
                    Number = r.ReadVarint(),
                    Index = new(r.ReadVarint()),
                };
                break;
            default:
                message = new TimeoutNow { From = from, To = to, Term = term };
                break;
        }

        if (r.Failed || !r.IsEmpty)
        {
            message = null;
            error = $"Raft message: {known} is {(r.Failed ? "cut short" : "followed by bytes that do not belong to it")}.";
            return false;
        }

        error = null;
        return true;
    }

    private static Entry[]? ReadEntries(ref SpanReader r, LogIndex prev, Term prevTerm, Term leaderTerm)
    {
        ulong count = r.ReadVarint();
        // An entry takes three bytes at least, so the array is never more than a small multiple of what was received.
        if (r.Failed || count > MaxEntries || count > (ulong)r.Rest.Length / 3 || prev.Value > ulong.MaxValue - MaxEntries - 1)
        {
            return null;
        }

        if (count == 0)
        {
            return [];
        }

        Entry[] entries = new Entry[count];
        byte[] copy = r.Rest.ToArray();
        r = new SpanReader(copy);
        ulong term = prevTerm.Value;
        for (int i = 0; i < entries.Length; i++)
        {
            byte kind = r.ReadByte();
            ulong distance = r.ReadVarint();
            ulong length = r.ReadVarint();
            // Terms in a log never fall, and no entry is newer than the leader that sends it.
            if (r.Failed || kind > (byte)EntryKind.Membership || length > MaxEntryBytes || length > (ulong)r.Rest.Length
                || distance > leaderTerm.Value || term + distance > leaderTerm.Value)
            {
                return null;
            }

            term += distance;
            ReadOnlyMemory<byte> data = copy.AsMemory(copy.Length - r.Rest.Length, (int)length);
            r.ReadRaw(length);
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
}
