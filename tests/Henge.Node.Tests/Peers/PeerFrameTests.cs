using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Tests.Peers;

public sealed class PeerFrameTests
{
    private static readonly PeerSender Sender = new(0x1122334455667788, new NodeId(2), 99);

    [Fact]
    public void What_is_written_is_read()
    {
        byte[] frame = Make();
        Assert.True(PeerFrame.TryReadLength(frame, out int bytes, out _));
        Assert.Equal(frame.Length, bytes);
        Assert.Equal(new NodeId(2), PeerFrame.SenderOf(frame));
        Assert.True(PeerFrame.TryRead(frame, out PeerSender sender, out PeerReceiver to, out PeerRecordReader records));
        Assert.Equal(Sender, sender);
        Assert.Equal(new PeerReceiver(new NodeId(3), 77), to);
        Assert.True(records.MoveNext());
        Assert.Equal((PeerRecordKind.Raft, new ShardId(7), 3), (records.Kind, records.Shard, records.Body.Length));
        Assert.True(records.MoveNext());
        Assert.Equal((PeerRecordKind.Forward, ShardId.Catalog, 0), (records.Kind, records.Shard, records.Body.Length));
        Assert.False(records.MoveNext());
        Assert.False(records.Damaged);
    }

    [Fact]
    public void A_flipped_bit_is_noticed_wherever_it_is()
    {
        byte[] frame = Make();
        for (int bit = 0; bit < frame.Length * 8; bit++)
        {
            frame[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(PeerFrame.TryRead(frame, out _, out _, out _));
            frame[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public void A_cut_or_endless_frame_is_none()
    {
        byte[] frame = Make();
        for (int length = 0; length < frame.Length; length++)
        {
            Assert.False(PeerFrame.TryRead(frame.AsSpan(0, length), out _, out _, out _));
        }

        frame.AsSpan(4, 4).Fill(0xFF);
        Assert.False(PeerFrame.TryReadLength(frame, out _, out string? error));
        Assert.Contains("is the most", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_version_is_told_from_garbage()
    {
        byte[] frame = Make();
        frame[3] = 4;
        Assert.False(PeerFrame.TryReadLength(frame, out _, out string? error));
        Assert.Contains("version 4", error, StringComparison.Ordinal);
        Assert.False(PeerFrame.TryReadLength("GET / HTTP/1.1"u8, out _, out error));
        Assert.Contains("not a peer frame", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Random_records_never_lead_outside()
    {
        var random = new Random(7);
        byte[] bytes = new byte[300];
        for (int i = 0; i < 20_000; i++)
        {
            Span<byte> records = bytes.AsSpan(0, random.Next(bytes.Length));
            random.NextBytes(records);
            for (int at = 5; at + 4 < records.Length && random.Next(3) > 0; at += 20)
            {
                records[at] = (byte)random.Next(30);
                records.Slice(at + 1, 3).Clear();
            }

            var reader = new PeerRecordReader(records);
            int total = 0;
            while (reader.MoveNext())
            {
                total += PeerFrame.RecordHeaderBytes + reader.Body.Length;
            }

            Assert.True(total <= records.Length && (reader.Damaged || total == records.Length));
        }
    }

    private static byte[] Make()
    {
        var builder = new PeerFrameBuilder(Sender, new NodeId(3));
        builder.BeginRecord(PeerRecordKind.Raft, new ShardId(7));
        "abc"u8.CopyTo(builder.GetSpan(3));
        builder.Advance(3);
        builder.EndRecord();
        builder.BeginRecord(PeerRecordKind.Forward, ShardId.Catalog);
        builder.EndRecord();
        return builder.Complete(77).ToArray();
    }
}
