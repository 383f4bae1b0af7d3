using Henge.Protocol.V1;
using Henge.Server.Access;

namespace Henge.Server.Hosting;

/// <summary>The rule of every gRPC method. A method without one is found by a test that goes through the services.</summary>
internal static class AccessRules
{
    private static readonly Dictionary<string, AccessRule> Methods = new(StringComparer.Ordinal)
    {
        [nameof(KVStore.KVStoreBase.NodeStatus)] = AccessRule.Known,
        [nameof(Protocol.V1.Cluster.ClusterBase.Topology)] = AccessRule.Known,
        [nameof(Protocol.V1.Cluster.ClusterBase.WatchTopology)] = AccessRule.Known,
        [nameof(Protocol.V1.Cluster.ClusterBase.ClusterStatus)] = AccessRule.Known,
        [nameof(Protocol.V1.Cluster.ClusterBase.Placement)] = AccessRule.Known,
        [nameof(Protocol.V1.Cluster.ClusterBase.TransferLeader)] = AccessRule.Admin,
        [nameof(Protocol.V1.Cluster.ClusterBase.Change)] = AccessRule.Admin,
        [nameof(Protocol.V1.Cluster.ClusterBase.Recover)] = AccessRule.Admin,
        [nameof(Protocol.V1.Cluster.ClusterBase.Join)] = AccessRule.Join,
        [nameof(Protocol.V1.Cluster.ClusterBase.ReportRemains)] = AccessRule.Node,
        [nameof(Protocol.V1.Cluster.ClusterBase.AdoptRecovery)] = AccessRule.Node,
    };

    /// <summary>The rule of a method, <c>package.Service/Method</c>; null: there is none.</summary>
    public static AccessRule? Of(string method)
    {
        int slash = method.IndexOf('/', StringComparison.Ordinal);
        string service = slash > 0 ? method[..slash] : method, name = method[(slash + 1)..];
        return service switch
        {
            Kv.KvService.Name or Kv.KvService.SecondName => name switch
            {
                nameof(KVStore.KVStoreBase.NodeStatus) => AccessRule.Known,
                "Get" or "Put" or "Delete" or "History" or "Txn" or "Scan" or "ScanStream" or "Watch" or "Session" => AccessRule.Keys,
                _ => null,
            },
            Cluster.ClusterService.Name => Methods.TryGetValue(name, out AccessRule rule) ? rule : null,
            Cluster.AccessService.Name => AccessRule.Own,
            "grpc.health.v1.Health" or "grpc.reflection.v1.ServerReflection" or "grpc.reflection.v1alpha.ServerReflection" =>
                AccessRule.Open,
            _ => null,
        };
    }
}
