using Henge.Cluster;
using Henge.Core;
using Henge.Node;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Workers;
using Henge.Storage.Memory;
using Henge.Testing.Files;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Fuzz.Targets;

/// <summary>A node that hears a peer, and whose own words go nowhere.</summary>
internal sealed class FuzzedNode : IPeerTransport, IWorkScheduler, IFatalErrorHandler, IDisposable
{
    private readonly Queue<IWorkItem> _work = new();

    public FuzzedNode(NodeOptions options)
    {
        Node = HengeNode.Open(options, new NodeEnvironment
        {
            Time = new FakeTimeProvider(new DateTimeOffset(2026, 11, 26, 0, 0, 0, TimeSpan.Zero)),
            FileSystem = new SimulatedFileSystem(),
            OpenEngine = static _ => new MemoryEngine(),
            Transport = this,
            Workers = this,
            Readers = this,
            LogWriter = this,
            Fatal = this,
            Seed = 7,
        });
        Node.Start();
        RunAll();
    }

    public static ClusterMember[] Members { get; } = [new("a", "h:1"), new("b", "h:2"), new("c", "h:3")];

    /// <summary>A node of three.</summary>
    public static NodeOptions OfThree { get; } = new()
    {
        Name = "a",
        Address = "h:1",
        DataDirectory = "/data",
        Cluster = Members,
        Shards = 2,
        ReplicationFactor = 3,
        Workers = 1,
        LogSegmentBytes = 1 << 20,
        Limits = new NodeLimits { ValueBytes = 64 * 1024, CommandBytes = 128 * 1024 }
    };

    /// <summary>A node by itself.</summary>
    public static NodeOptions Alone { get; } = OfThree with { Cluster = [], ReplicationFactor = 1 };

    public HengeNode Node { get; }

    public PeerSender Peer { get; } = new(FoundingSettings.Of(OfThree, Members).ComputeDigest(), new NodeId(2), 77);

    public void Take(ReadOnlySpan<byte> frame)
    {
        ((IPeerReceiver)Node).OnFrame(frame);
        RunAll();
        Node.Tick();
        RunAll();
    }

    public void Greet(ReadOnlySpan<byte> frame)
    {
        bool taken = ((IPeerReceiver)Node).OnHello(frame, out NodeId peer);
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
            throw new FuzzFailureException("the node ends: " + message, cause);
        }
    }

    public void Dispose() => Node.Dispose();

    private void RunAll()
    {
        for (int i = 0; _work.TryDequeue(out IWorkItem? item); i++)
        {
            FuzzCheck.That(i < 10_000, "work makes more work without end");
            item.Run();
        }
    }
}
