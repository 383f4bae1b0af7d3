using Henge.Core;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Fuzz.Guarded;

/// <summary>
/// A hole in the guard, for the test that one is found: keys of so many bytes are read and written by whoever asks.
/// </summary>
internal sealed class HalfGuardedNode(IHengeNode guarded, IHengeNode open) : IHengeNode
{
    private const int Bytes = 12;

    public event Action? TopologyChanged
    {
        add => guarded.TopologyChanged += value;
        remove => guarded.TopologyChanged -= value;
    }

    public NodeLimits Limits => guarded.Limits;

    public long MonotonicMs => guarded.MonotonicMs;

    public Core.Version Now => guarded.Now;

    public Core.Version OldestVersion => guarded.OldestVersion;

    public IClusterRecovery Recovery => guarded.Recovery;

    public void Submit(Operation operation) => (operation.Key.Length == Bytes ? open : guarded).Submit(operation);

    public void Submit(ReadOnlySpan<Operation> operations)
    {
        foreach (Operation operation in operations)
        {
            Submit(operation);
        }
    }

    public bool TryRead(Operation get, out PinnedValue value) => guarded.TryRead(get, out value);

    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver) => guarded.Scan(query, receiver);

    public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver) =>
        guarded.History(key, newest, limit, receiver);

    public bool HasAllShardsAt(Core.Version version) => guarded.HasAllShardsAt(version);

    public ScanEnd ReadPage(PageFetch page, IScanReceiver receiver) => guarded.ReadPage(page, receiver);

    public IWatch OpenWatch(WatchQuery query, Action onAvailable) => guarded.OpenWatch(query, onAvailable);

    public NodeStatus GetStatus() => guarded.GetStatus();

    public Topology GetTopology() => guarded.GetTopology();

    public PlacementStatus GetPlacement() => guarded.GetPlacement();

    public void Join(JoinRequest request, long deadlineMs, Action<JoinAnswer?, HengeException?> answered) =>
        guarded.Join(request, deadlineMs, answered);

    public void Change(ClusterChange change, long deadlineMs, Action<ClusterChangeAnswer?, HengeException?> answered) =>
        guarded.Change(change, deadlineMs, answered);

    public void TransferLeader(ShardId shard, NodeId to) => guarded.TransferLeader(shard, to);
}
