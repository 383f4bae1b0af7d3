using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Henge.Core;
using Henge.Raft;

namespace Henge.Node.Log;

/// <summary>What a record of the node log is. The numbers are on disk: never change one.</summary>
internal enum NodeLogRecordKind : byte
{
    /// <summary>An entry of a shard's Raft log; it ends everything of the shard at its index and above that stood before it.</summary>
    Entry = 1,
    /// <summary>Term, vote and commit index of a shard.</summary>
    HardState = 2,
    /// <summary>A shard's entries at this index and above are gone.</summary>
    Truncate = 3,
    /// <summary>
    /// Everything about a shard that is not an entry: hard state, what is compacted, and the membership as of there. Entries at and below
    /// the compacted index are gone; with <see cref="NodeLogRecord.Reset"/> all of them are.
    /// </summary>
    Base = 4,
    /// <summary>An entry that is written again so that its old segment can go; it ends nothing.</summary>
    Moved = 5,
    /// <summary>
    /// As <see cref="Base"/>, of a replica that has dropped an earlier log: with how far that reached. With index 0 and reset, and until an
    /// entry or another base follows, it is a tombstone: there is no replica here, and what the engine still has of it goes.
    /// </summary>
    LateBase = 6,
}

/// <summary>
/// One record of the node log, read or to be written. The payloads (docs/formats.md, "Node log") are little-endian:
/// <list type="bullet">
/// <item>entry, moved: <c>shard u32 | index u64 | term u64 | kind u8 | data</c></item>
/// <item>hard state: <c>shard u32 | term u64 | vote u64 | commit u64</c></item>
/// <item>truncate: <c>shard u32 | from u64</c></item>
/// <item>base: <c>shard u32 | reset u8 | term u64 | vote u64 | commit u64 | compacted index u64 | compacted term u64 |
/// membership</c></item>
/// <item>late base: <c>shard u32 | reset u8 | term u64 | vote u64 | commit u64 | compacted index u64 | compacted term u64 |
/// forgotten index u64 | forgotten term u64 | membership</c></item>
/// </list>
/// </summary>
internal readonly record struct NodeLogRecord
{
    /// <summary>Bytes of an entry's payload before its data.</summary>
    public const int EntryHeaderBytes = 21;

    private const int BaseHeaderBytes = 45;
    private const int LateBaseHeaderBytes = 61;

    public NodeLogRecordKind Kind { get; init; }

    public ShardId Shard { get; init; }

    /// <summary>For <see cref="NodeLogRecordKind.Entry"/> and <see cref="NodeLogRecordKind.Moved"/>.</summary>
    public Entry Entry { get; init; }

    /// <summary>For <see cref="NodeLogRecordKind.HardState"/> and <see cref="NodeLogRecordKind.Base"/>.</summary>
    public HardState HardState { get; init; }

    /// <summary>
    /// For <see cref="NodeLogRecordKind.Truncate"/>: the first index that is gone. For <see cref="NodeLogRecordKind.Base"/>: the last that
    /// is compacted.
    /// </summary>
    public LogIndex Index { get; init; }

    /// <summary>For <see cref="NodeLogRecordKind.LateBase"/>: how far the log reached that was dropped.</summary>
    public ForgottenLog Forgotten { get; init; }

    /// <summary>True for both kinds of bases.</summary>
    public bool IsBase => Kind is NodeLogRecordKind.Base or NodeLogRecordKind.LateBase;

    /// <summary>For <see cref="NodeLogRecordKind.Base"/>: the term at <see cref="Index"/>.</summary>
    public Term Term { get; init; }

    /// <summary>For <see cref="NodeLogRecordKind.Base"/>: a snapshot took the place of the whole log.</summary>
    public bool Reset { get; init; }

    /// <summary>For <see cref="NodeLogRecordKind.Base"/>: the membership as of <see cref="Index"/>.</summary>
    public Membership? Membership { get; init; }

    /// <summary>A base, with what it has to say of a log that was dropped: nothing, once the log is past that again.</summary>
    public static NodeLogRecord BaseOf(
        ShardId shard,
        HardState state,
        LogIndex index,
        Term term,
        Membership membership,
        ForgottenLog forgotten) =>
        new()
        {
            Kind = index < forgotten.Index ? NodeLogRecordKind.LateBase : NodeLogRecordKind.Base,
            Shard = shard,
            HardState = state,
            Index = index,
            Term = term,
            Membership = membership,
            Forgotten = index < forgotten.Index ? forgotten : default,
        };

    /// <summary>Bytes of the payload, without an entry's data.</summary>
    public int HeaderBytes => Kind switch
    {
        NodeLogRecordKind.Entry or NodeLogRecordKind.Moved => EntryHeaderBytes,
        NodeLogRecordKind.HardState => 28,
        NodeLogRecordKind.Truncate => 12,
        NodeLogRecordKind.LateBase => LateBaseHeaderBytes + Membership!.Encode().Length,
        _ => BaseHeaderBytes + Membership!.Encode().Length,
    };

    /// <summary>Writes the payload without an entry's data, and returns how many bytes that took.</summary>
    public int WriteHeader(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to, Shard.Value);
        switch (Kind)
        {
            case NodeLogRecordKind.Entry or NodeLogRecordKind.Moved:
                BinaryPrimitives.WriteUInt64LittleEndian(to[4..], Entry.Index.Value);
                BinaryPrimitives.WriteUInt64LittleEndian(to[12..], Entry.Term.Value);
                to[20] = (byte)Entry.Kind;
                return EntryHeaderBytes;
            case NodeLogRecordKind.HardState:
                WriteHardState(to[4..]);
                return 28;
            case NodeLogRecordKind.Truncate:
                BinaryPrimitives.WriteUInt64LittleEndian(to[4..], Index.Value);
                return 12;
            default:
                to[4] = Reset ? (byte)1 : (byte)0;
                WriteHardState(to[5..]);
                BinaryPrimitives.WriteUInt64LittleEndian(to[29..], Index.Value);
                BinaryPrimitives.WriteUInt64LittleEndian(to[37..], Term.Value);
                int header = BaseHeaderBytes;
                if (Kind == NodeLogRecordKind.LateBase)
                {
                    BinaryPrimitives.WriteUInt64LittleEndian(to[BaseHeaderBytes..], Forgotten.Index.Value);
                    BinaryPrimitives.WriteUInt64LittleEndian(to[(BaseHeaderBytes + 8)..], Forgotten.Term.Value);
                    header = LateBaseHeaderBytes;
                }

                byte[] membership = Membership!.Encode();
                membership.CopyTo(to[header..]);
                return header + membership.Length;
        }
    }

    /// <summary>Reads a payload. An entry's data stays where it is: in <paramref name="payload"/>.</summary>
    public static bool TryRead(byte kind, ReadOnlyMemory<byte> payload, out NodeLogRecord record, [NotNullWhen(false)] out string? error)
    {
        record = default;
        ReadOnlySpan<byte> bytes = payload.Span;
        int least = (NodeLogRecordKind)kind switch
        {
            NodeLogRecordKind.Entry or NodeLogRecordKind.Moved => EntryHeaderBytes,
            NodeLogRecordKind.HardState => 28,
            NodeLogRecordKind.Truncate => 12,
            NodeLogRecordKind.Base => BaseHeaderBytes,
            NodeLogRecordKind.LateBase => LateBaseHeaderBytes,
            _ => int.MaxValue,
        };
        if (bytes.Length < least)
        {
            error =
                least == int.MaxValue
                    ? $"a node log record has the unknown kind {kind}"
                    : $"a node log record of kind {kind} has only {bytes.Length} bytes";
            return false;
        }

        error = null;
        var shard = new ShardId(BinaryPrimitives.ReadUInt32LittleEndian(bytes));
        switch ((NodeLogRecordKind)kind)
        {
            case NodeLogRecordKind.Entry or NodeLogRecordKind.Moved:
                if (bytes[20] > (byte)EntryKind.Membership)
                {
                    error = $"a node log entry has the unknown kind {bytes[20]}";
                    return false;
                }

                record = new NodeLogRecord
                {
                    Kind = (NodeLogRecordKind)kind,
                    Shard = shard,
                    Entry = new Entry(ReadIndex(bytes[4..]), ReadTerm(bytes[12..]), (EntryKind)bytes[20], payload[EntryHeaderBytes..]),
                };
                return true;
            case NodeLogRecordKind.HardState:
                record = new NodeLogRecord { Kind = NodeLogRecordKind.HardState, Shard = shard, HardState = ReadHardState(bytes[4..]) };
                return true;
            case NodeLogRecordKind.Truncate:
                record = new NodeLogRecord { Kind = NodeLogRecordKind.Truncate, Shard = shard, Index = ReadIndex(bytes[4..]) };
                return true;
            default:
                bool isLate = kind == (byte)NodeLogRecordKind.LateBase;
                if (!Membership.TryDecode(bytes[(isLate ? LateBaseHeaderBytes : BaseHeaderBytes)..], out Membership? membership))
                {
                    error = "a node log record has a membership that cannot be read";
                    return false;
                }

                record = new NodeLogRecord
                {
                    Kind = (NodeLogRecordKind)kind,
                    Shard = shard,
                    Forgotten = isLate
                        ? new ForgottenLog(ReadIndex(bytes[BaseHeaderBytes..]), ReadTerm(bytes[(BaseHeaderBytes + 8)..]))
                        : default,
                    Reset = bytes[4] != 0,
                    HardState = ReadHardState(bytes[5..]),
                    Index = ReadIndex(bytes[29..]),
                    Term = ReadTerm(bytes[37..]),
                    Membership = membership,
                };
                return true;
        }
    }

    private static LogIndex ReadIndex(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt64LittleEndian(bytes));

    private static Term ReadTerm(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt64LittleEndian(bytes));

    private static HardState ReadHardState(ReadOnlySpan<byte> bytes) =>
        new(ReadTerm(bytes), new NodeId(BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..])), ReadIndex(bytes[16..]));

    private void WriteHardState(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to, HardState.Term.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(to[8..], HardState.VotedFor.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(to[16..], HardState.Commit.Value);
    }
}
