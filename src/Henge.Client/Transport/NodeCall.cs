using Grpc.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Transport;

/// <summary>A unary call that a node offers.</summary>
/// <param name="Name">As it is called in messages: <c>Get</c>.</param>
/// <param name="Start">Begins it by the generated stub.</param>
/// <param name="ChangesState">True when an attempt with unknown outcome leaves the caller in doubt.</param>
internal sealed record NodeCall<TRequest, TResponse>(
    string Name, Func<CallInvoker, TRequest, CallOptions, AsyncUnaryCall<TResponse>> Start, bool ChangesState = false)
    where TRequest : class
    where TResponse : class;

/// <summary>The unary calls that a Henge node offers.</summary>
internal static class NodeCalls
{
    public static readonly NodeCall<Wire.GetRequest, Wire.GetResponse> Get =
        new("Get", static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).GetAsync(request, options));

    public static readonly NodeCall<Wire.PutRequest, Wire.PutResponse> Put = new(
        "Put",
        static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).PutAsync(request, options),
        ChangesState: true);

    public static readonly NodeCall<Wire.DeleteRequest, Wire.DeleteResponse> Delete = new(
        "Delete",
        static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).DeleteAsync(request, options),
        ChangesState: true);

    public static readonly NodeCall<Wire.TxnRequest, Wire.TxnResponse> Txn = new(
        "Txn",
        static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).TxnAsync(request, options),
        ChangesState: true);

    public static readonly NodeCall<Wire.ScanRequest, Wire.ScanResponse> Scan =
        new("Scan", static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).ScanAsync(request, options));

    public static readonly NodeCall<Wire.HistoryRequest, Wire.HistoryResponse> History =
        new("History", static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).HistoryAsync(request, options));

    public static readonly NodeCall<Wire.StatusRequest, Wire.StatusResponse> Status =
        new("NodeStatus", static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).NodeStatusAsync(request, options));

    public static readonly NodeCall<Wire.TopologyRequest, Wire.TopologyResponse> Topology =
        new("Topology", static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).TopologyAsync(request, options));

    public static readonly NodeCall<Wire.ClusterStatusRequest, Wire.ClusterStatusResponse> ClusterStatus = new(
        "ClusterStatus",
        static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).ClusterStatusAsync(request, options));

    public static readonly NodeCall<Wire.TransferLeaderRequest, Wire.TransferLeaderResponse> TransferLeader = new(
        "TransferLeader",
        static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).TransferLeaderAsync(request, options),
        ChangesState: true);
}
