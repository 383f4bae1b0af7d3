using Henge.Core;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Fuzz.Guarded;

/// <summary>A node that takes note of everything that gets as far as to it. Thread-safe.</summary>
internal sealed class WatchedNode(IHengeNode inner) : IHengeNode
{
    private long _reached;

    /// <summary>How often a key was to be read or written, or the cluster to be changed.</summary>
    public long Reached => Interlocked.Read(ref _reached);

    public event Action? TopologyChanged
    {
        add => inner.TopologyChanged += value;
        remove => inner.TopologyChanged -= value;
    }

    public NodeLimits Limits => inner.Limits;

    public long MonotonicMs => inner.MonotonicMs;

    public Core.Version Now => inner.Now;

    public Core.Version OldestVersion => inner.OldestVersion;

    public IClusterRecovery Recovery => Note(inner).Recovery;

    public void Submit(Operation operation) => Note(inner).Submit(operation);

    public void Submit(ReadOnlySpan<Operation> operations) => Note(inner).Submit(operations);

    public bool TryRead(Operation get, out PinnedValue value) => Note(inner).TryRead(get, out value);

    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver) => Note(inner).Scan(query, receiver);

    public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver) =>
        Note(inner).History(key, newest, limit, receiver);

    public bool HasAllShardsAt(Core.Version version) => inner.HasAllShardsAt(version);

    public ScanEnd ReadPage(PageFetch page, IScanReceiver receiver) => Note(inner).ReadPage(page, receiver);

    public IWatch OpenWatch(WatchQuery query, Action onAvailable) => Note(inner).OpenWatch(query, onAvailable);

    public NodeStatus GetStatus() => inner.GetStatus();

    public Topology GetTopology() => inner.GetTopology();

    public PlacementStatus GetPlacement() => inner.GetPlacement();

    // Without TLS a node that wants to join has nothing to be known by, so this one gets here.
    public void Join(JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered) =>
        answered(null, new HengeException(ErrorCode.InvalidArgument, "Nobody joins a node that is fuzzed."));

    public void Change(ClusterChange change, long deadlineMs, Action<ClusterChangeAnswer?, HengeException?> answered) =>
        Note(inner).Change(change, deadlineMs, answered);

    public void TransferLeader(ShardId shard, NodeId to) => Note(inner).TransferLeader(shard, to);

    private IHengeNode Note(IHengeNode node)
    {
        Interlocked.Increment(ref _reached);
        return node;
    }
}
