using System.Buffers;
using Henge.Core;
using Henge.Node.Log;
using Henge.Node.StateMachine;
using Henge.Raft;

namespace Henge.Node.Tests.Log;

public sealed class NodeLogRecordTests
{
    public static TheoryData<int> Kinds => [1, 2, 3, 4, 5];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void What_is_written_is_read(int kind)
    {
        NodeLogRecord record = Make((NodeLogRecordKind)kind);
        byte[] payload = Write(record);
        Assert.True(NodeLogRecord.TryRead((byte)kind, payload, out NodeLogRecord read, out _));
        Assert.Equal(record.Shard, read.Shard);
        Assert.Equal(record.HardState, read.HardState);
        Assert.Equal(record.Index, read.Index);
        Assert.Equal(record.Term, read.Term);
        Assert.Equal(record.Reset, read.Reset);
        Assert.Equal(record.Membership, read.Membership);
        Assert.Equal((record.Entry.Index, record.Entry.Term, record.Entry.Kind), (read.Entry.Index, read.Entry.Term, read.Entry.Kind));
        Assert.True(record.Entry.Data.Span.SequenceEqual(read.Entry.Data.Span));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void What_is_cut_short_or_of_an_unknown_kind_is_refused(int kind)
    {
        byte[] payload = Write(Make((NodeLogRecordKind)kind));
        int least = kind is 1 or 5 ? NodeLogRecord.EntryHeaderBytes : payload.Length;
        for (int length = 0; length < least; length++)
        {
            Assert.False(NodeLogRecord.TryRead((byte)kind, payload.AsMemory(0, length), out _, out string? error));
            Assert.NotNull(error);
        }

        Assert.False(NodeLogRecord.TryRead(77, payload, out _, out string? unknown));
        Assert.Contains("unknown kind 77", unknown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, "s3 entry 5/41")]
    [InlineData(2, "s3 hard state: ")]
    [InlineData(3, "s3 truncate from 12")]
    [InlineData(4, "s3 base, by a snapshot: compacted 4/30")]
    [InlineData(5, "s3 moved entry 5/41")]
    public void A_record_is_described_for_people(int kind, string begins)
    {
        Assert.StartsWith(begins, NodeLogDescription.Describe((byte)kind, Write(Make((NodeLogRecordKind)kind))), StringComparison.Ordinal);
        Assert.Contains("000102", NodeLogDescription.Describe((byte)kind, [0, 1, 2]), StringComparison.Ordinal);
    }

    [Fact]
    public void An_entry_is_described_by_its_commands()
    {
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Put(command, "user:1"u8, "value"u8);
        var entry = new EntryBuilder();
        entry.Add(command.WrittenSpan);
        var record = new NodeLogRecord
        {
            Kind = NodeLogRecordKind.Entry,
            Shard = new ShardId(3),
            Entry = new Entry(new LogIndex(41), new Term(5), EntryKind.Normal, entry.ToArray(new Core.Version(77))),
        };
        Assert.EndsWith("1 command: Put 'user:1' 5 bytes @77", NodeLogDescription.Describe(1, Write(record)), StringComparison.Ordinal);
    }

    private static NodeLogRecord Make(NodeLogRecordKind kind)
    {
        var state = new HardState(new Term(5), new NodeId(2), new LogIndex(40));
        var record = new NodeLogRecord { Kind = kind, Shard = new ShardId(3) };
        return kind switch
        {
            NodeLogRecordKind.HardState => record with { HardState = state },
            NodeLogRecordKind.Truncate => record with { Index = new LogIndex(12) },
            NodeLogRecordKind.Base => record with
            {
                HardState = state,
                Index = new LogIndex(30),
                Term = new Term(4),
                Reset = true,
                Membership = new Membership([new NodeId(1), new NodeId(2), new NodeId(3)], [new NodeId(9)]),
            },
            _ => record with { Entry = new Entry(new LogIndex(41), new Term(5), EntryKind.Normal, "data"u8.ToArray()) },
        };
    }

    private static byte[] Write(NodeLogRecord record)
    {
        byte[] payload = new byte[record.HeaderBytes + record.Entry.Data.Length];
        record.Entry.Data.CopyTo(payload.AsMemory(record.WriteHeader(payload)));
        return payload;
    }
}
