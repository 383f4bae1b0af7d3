using System.Buffers;
using System.Text;
using Henge.Cluster;
using Henge.Core;
using Henge.Node;
using Henge.Node.Api;
using Henge.Node.Hosting;
using Henge.Node.Peers;
using Henge.Node.Workers;
using Henge.Storage.Memory;
using Henge.Testing.Files;

namespace Henge.Fuzz.Targets;

/// <summary>What a whole node makes of the frames of a peer that it has let in.</summary>
internal static class PeerNodeTargets
{
    private const string Directory = "/data";
    private static readonly ClusterMember[] Members = [new("a", "h:1"), new("b", "h:2"), new("c", "h:3")];

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("peer-records", Records, static () => [
            Record(PeerRecordKind.Forward, new byte[20]), Record(PeerRecordKind.ForwardReply, new byte[23]), Record(PeerRecordKind.Heartbeat, new byte[25]), Record(PeerRecordKind.HeartbeatAnswer, new byte[18]),
            Record(PeerRecordKind.ClockQuestion, new byte[8]), Record(PeerRecordKind.ClockAnswer, new byte[16]), Record(PeerRecordKind.Advance, new byte[16]), Record(PeerRecordKind.AdvanceRefused, new byte[16]),
            Record(PeerRecordKind.SnapshotAck, new byte[13]), Record(PeerRecordKind.SnapshotRequest, new byte[8]), Record(PeerRecordKind.Message, "text"u8.ToArray())]) { AllocatedAlways = 16 * 1024 * 1024, AllocatedPerByte = 4096, LongestInput = 512 },
        new("peer-hello", Hello, HelloSeeds) { AllocatedAlways = 16 * 1024 * 1024, AllocatedPerByte = 4096 },
    ];

    private static byte[] Record(PeerRecordKind kind, byte[] body) => [(byte)kind, 1, (byte)body.Length, .. body];

    // Records as kind, shard, length in a byte, body; all of them twice, since the first may make the second mean something. Not those whose bodies are Raft's or a snapshot's, which have
    // targets of their own and which a node believes of a peer, nor the one that ends a node which its cluster does not know.
    private static void Records(ReadOnlySpan<byte> input)
    {
        using var node = new FuzzedNode();
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
        yield return Encoding.UTF8.GetBytes("henge-hello 1\nname b\nestablished 1\n" + FoundingSettings.Of(FuzzedNode.Options, Members).ToText());
        yield return Encoding.UTF8.GetBytes("henge-hello 1\nname c\nestablished 0\nshards 9\nreplicas 1\ntoken none\nplacement 1\nformat 2\nmember a=x:1\n");
    }

    // The text of a hello: the frame is put around it here.
    private static void Hello(ReadOnlySpan<byte> input)
    {
        using var node = new FuzzedNode();
        var frame = new PeerFrameBuilder(node.Peer, new NodeId(1));
        frame.BeginRecord(PeerRecordKind.Hello, ShardId.Catalog);
        frame.Write(input);
        frame.EndRecord();
        node.Greet(frame.Complete(receiverIncarnation: 0));
    }

    /// <summary>A node of three, which hears a peer and whose own words go nowhere.</summary>
    private sealed class FuzzedNode : IPeerTransport, IWorkScheduler, IFatalErrorHandler, IDisposable
    {
        private readonly Queue<IWorkItem> _work = new();
        private readonly HengeNode _node;

        public FuzzedNode()
        {
            _node = HengeNode.Open(Options, new NodeEnvironment
            {
                Time = new StandingTime(),
                FileSystem = new SimulatedFileSystem(),
                OpenEngine = static _ => new MemoryEngine(),
                Transport = this,
                Workers = this,
                LogWriter = this,
                Fatal = this,
                Seed = 7,
            });
            _node.Start();
            RunAll();
        }

        public static NodeOptions Options { get; } = new() { Name = "a", Address = "h:1", DataDirectory = Directory, Cluster = Members, Shards = 2, ReplicationFactor = 3, Workers = 1, LogSegmentBytes = 1 << 20, Limits = new NodeLimits { ValueBytes = 64 * 1024, CommandBytes = 128 * 1024 } };

        public PeerSender Peer { get; } = new(FoundingSettings.Of(Options, Members).ComputeDigest(), new NodeId(2), 77);

        public void Take(ReadOnlySpan<byte> frame)
        {
            ((IPeerReceiver)_node).OnFrame(frame);
            RunAll();
            _node.Tick();
            RunAll();
        }

        public void Greet(ReadOnlySpan<byte> frame)
        {
            bool taken = ((IPeerReceiver)_node).OnHello(frame, out NodeId peer);
            FuzzCheck.That(!taken || peer == Peer.Node, "a hello of somebody else");
            RunAll();
        }

        public void Schedule(int lane, IWorkItem item) => _work.Enqueue(item);

        void IPeerTransport.Start(IPeerReceiver receiver)
        {
        }

        public bool Send(NodeId to, ReadOnlySpan<byte> frame) => true;

        public void Fatal(string message, Exception? cause)
        {
            // A node that has never taken part ends when its settings lead nowhere; whatever else ends it was a peer's word.
            if (cause is not null || !message.Contains("never taken part", StringComparison.Ordinal))
            {
                throw new FuzzFailure("the node ends: " + message, cause);
            }
        }

        public void Dispose() => _node.Dispose();

        private void RunAll()
        {
            for (int i = 0; _work.TryDequeue(out IWorkItem? item); i++)
            {
                FuzzCheck.That(i < 10_000, "work makes more work without end");
                item.Run();
            }
        }
    }

    private sealed class StandingTime : TimeProvider
    {
        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => 1_000_000;

        public override DateTimeOffset GetUtcNow() => new(2026, 11, 26, 0, 0, 0, TimeSpan.Zero);
    }
}
