using Wire = Henge.Protocol.V1;

namespace Henge.Client.Grpc;

/// <summary>The calls that a Henge node offers.</summary>
internal static class Methods
{
    /// <summary>The duplex stream of batched operations.</summary>
    public const string SessionPath = "/henge.v1.KVStore/Session";

    public static readonly GrpcMethod<Wire.GetResponse> Get = new("/henge.v1.KVStore/Get", Wire.GetResponse.Parser, ChangesState: false);
    public static readonly GrpcMethod<Wire.PutResponse> Put = new("/henge.v1.KVStore/Put", Wire.PutResponse.Parser, ChangesState: true);
    public static readonly GrpcMethod<Wire.DeleteResponse> Delete = new("/henge.v1.KVStore/Delete", Wire.DeleteResponse.Parser, ChangesState: true);
    public static readonly GrpcMethod<Wire.TxnResponse> Txn = new("/henge.v1.KVStore/Txn", Wire.TxnResponse.Parser, ChangesState: true);
    public static readonly GrpcMethod<Wire.ScanResponse> Scan = new("/henge.v1.KVStore/Scan", Wire.ScanResponse.Parser, ChangesState: false);
    public static readonly GrpcMethod<Wire.HistoryResponse> History = new("/henge.v1.KVStore/History", Wire.HistoryResponse.Parser, ChangesState: false);
    public static readonly GrpcMethod<Wire.WatchEvent> Watch = new("/henge.v1.KVStore/Watch", Wire.WatchEvent.Parser, ChangesState: false);
    public static readonly GrpcMethod<Wire.StatusResponse> Status = new("/henge.v1.KVStore/NodeStatus", Wire.StatusResponse.Parser, ChangesState: false);
    public static readonly GrpcMethod<Wire.TopologyResponse> Topology = new("/henge.v1.Cluster/Topology", Wire.TopologyResponse.Parser, ChangesState: false);
    public static readonly GrpcMethod<Wire.ClusterStatusResponse> ClusterStatus = new("/henge.v1.Cluster/ClusterStatus", Wire.ClusterStatusResponse.Parser, ChangesState: false);
    public static readonly GrpcMethod<Wire.TransferLeaderResponse> TransferLeader = new("/henge.v1.Cluster/TransferLeader", Wire.TransferLeaderResponse.Parser, ChangesState: true);
}
