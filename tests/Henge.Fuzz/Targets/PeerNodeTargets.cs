using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Fuzz.Targets;

/// <summary>What a whole node makes of the frames of a peer that it has let in.</summary>
internal static class PeerNodeTargets
{
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("peer-records", Records, static () => [
            Record(PeerRecordKind.Forward, new byte[20]), Record(PeerRecordKind.ForwardReply, new byte[23]),
                Record(PeerRecordKind.Heartbeat, new byte[25]), Record(PeerRecordKind.HeartbeatAnswer, new byte[18]),
            Record(PeerRecordKind.ClockQuestion, new byte[8]), Record(PeerRecordKind.ClockAnswer, new byte[16]),
                Record(PeerRecordKind.Advance, new byte[16]), Record(PeerRecordKind.AdvanceRefused, new byte[16]),
            Record(PeerRecordKind.SnapshotAck, new byte[13]), Record(PeerRecordKind.SnapshotRequest, new byte[8]),
                Record(PeerRecordKind.Message, "text"u8.ToArray())]) { AllocatedAlways = 16 * 1024 * 1024, AllocatedPerByte = 4096,
                LongestInput = 512 },
        new("peer-hello", Hello, HelloSeeds) { AllocatedAlways = 16 * 1024 * 1024, AllocatedPerByte = 4096 },
    ];

    private static byte[] Record(PeerRecordKind kind, byte[] body) => [(byte)kind, 1, (byte)body.Length, .. body];

    // Records as kind, shard, length in a byte, body; all of them twice, since the first may make the second mean something. Not those
    // whose bodies are Raft's or a snapshot's, which have targets of their own and which a node believes of a peer, nor the one that ends a
    // node which its cluster does not know.
    private static void Records(ReadOnlySpan<byte> input)
    {
        using var node = new FuzzedNode(FuzzedNode.OfThree);
        var frame = new PeerFrameBuilder(node.Peer, new NodeId(1));
        for (ReadOnlySpan<byte> rest = input; rest.Length >= 3;)
        {
            ReadOnlySpan<byte> body = rest.Slice(3, Math.Min(rest[2], rest.Length - 3));
            var kind = (PeerRecordKind)rest[0];
            if (kind is not (PeerRecordKind.Raft or PeerRecordKind.SnapshotChunk or PeerRecordKind.Refused))
            {
                frame.BeginRecord(kind, new ShardId(rest[1]));
                frame.Write(body);
                frame.EndRecord();
            }

            rest = rest[(3 + body.Length)..];
        }

        byte[] bytes = frame.Complete(receiverIncarnation: 0).ToArray();
        node.Take(bytes);
        node.Take(bytes);
    }

    private static IEnumerable<byte[]> HelloSeeds()
    {
        yield return Encoding.UTF8.GetBytes("henge-hello 1\nname b\nestablished 1\n" + FoundingSettings.Of(FuzzedNode.OfThree,
            FuzzedNode.Members).ToText());
        yield return Encoding.UTF8.GetBytes(
            "henge-hello 1\nname c\nestablished 0\nshards 9\nreplicas 1\ntoken none\nplacement 1\nformat 2\nmember a=x:1\n");
    }

    // The text of a hello: the frame is put around it here.
    private static void Hello(ReadOnlySpan<byte> input)
    {
        using var node = new FuzzedNode(FuzzedNode.OfThree);
        var frame = new PeerFrameBuilder(node.Peer, new NodeId(1));
        frame.BeginRecord(PeerRecordKind.Hello, ShardId.Catalog);
        frame.Write(input);
        frame.EndRecord();
        node.Greet(frame.Complete(receiverIncarnation: 0));
    }
}
