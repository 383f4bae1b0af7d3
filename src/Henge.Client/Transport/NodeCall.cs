using Grpc.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Transport;

/// <summary>
/// A unary call that a node offers: the method of a generated stub, with a serializer that takes note of the request's leaving. One for
/// each method, as a channel keeps what it knows of a method for as long as it lives. The stub itself is not called for each request: it
/// makes a client, an interceptor and two more objects each time.
/// </summary>
internal sealed class NodeCall<TRequest, TResponse>
    where TRequest : class
    where TResponse : class
{
    private readonly Method<Attempt<TRequest>, TResponse> _method;

    /// <param name="stub">The generated stub.</param>
    /// <param name="changesState">True when an attempt with unknown outcome leaves the caller in doubt.</param>
    public NodeCall(Func<CallInvoker, TRequest, CallOptions, AsyncUnaryCall<TResponse>> stub, bool changesState = false)
    {
        ChangesState = changesState;
        Method<TRequest, TResponse> method = MethodProbe.MethodOf(stub);
        Action<TRequest, SerializationContext> serializer = method.RequestMarshaller.ContextualSerializer;
        Marshaller<Attempt<TRequest>> requests = new(
            (attempt, context) => serializer(attempt.Leave(), context),
            static _ => throw new NotSupportedException());
        _method = new Method<Attempt<TRequest>, TResponse>(
            method.Type,
            method.ServiceName,
            method.Name,
            requests,
            method.ResponseMarshaller);
    }

    /// <summary>True when an attempt with unknown outcome leaves the caller in doubt.</summary>
    public bool ChangesState { get; }

    /// <summary>Begins an attempt.</summary>
    public AsyncUnaryCall<TResponse> Start(CallInvoker invoker, Attempt<TRequest> attempt, in CallOptions options) =>
        invoker.AsyncUnaryCall(_method, null, options, attempt);
}

/// <summary>The unary calls that a Henge node offers.</summary>
internal static class NodeCalls
{
    public static readonly NodeCall<Wire.GetRequest, Wire.GetResponse> Get =
        new(static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).GetAsync(request, options));

    public static readonly NodeCall<Wire.PutRequest, Wire.PutResponse> Put = new(
        static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).PutAsync(request, options),
        changesState: true);

    public static readonly NodeCall<Wire.DeleteRequest, Wire.DeleteResponse> Delete = new(
        static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).DeleteAsync(request, options),
        changesState: true);

    public static readonly NodeCall<Wire.TxnRequest, Wire.TxnResponse> Txn = new(
        static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).TxnAsync(request, options),
        changesState: true);

    public static readonly NodeCall<Wire.ScanRequest, Wire.ScanResponse> Scan =
        new(static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).ScanAsync(request, options));

    public static readonly NodeCall<Wire.HistoryRequest, Wire.HistoryResponse> History =
        new(static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).HistoryAsync(request, options));

    public static readonly NodeCall<Wire.StatusRequest, Wire.StatusResponse> Status =
        new(static (invoker, request, options) => new Wire.KVStore.KVStoreClient(invoker).NodeStatusAsync(request, options));

    public static readonly NodeCall<Wire.TopologyRequest, Wire.TopologyResponse> Topology =
        new(static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).TopologyAsync(request, options));

    public static readonly NodeCall<Wire.ClusterStatusRequest, Wire.ClusterStatusResponse> ClusterStatus =
        new(static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).ClusterStatusAsync(request, options));

    public static readonly NodeCall<Wire.PlacementRequest, Wire.PlacementResponse> Placement =
        new(static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).PlacementAsync(request, options));

    public static readonly NodeCall<Wire.ChangeRequest, Wire.ChangeResponse> Change = new(
        static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).ChangeAsync(request, options),
        changesState: true);

    /// <summary>The same as a dry run: it changes nothing, so nobody is ever in doubt about it.</summary>
    public static readonly NodeCall<Wire.ChangeRequest, Wire.ChangeResponse> Preview =
        new(static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).ChangeAsync(request, options));

    public static readonly NodeCall<Wire.RecoverRequest, Wire.RecoverResponse> Recover = new(
        static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).RecoverAsync(request, options),
        changesState: true);

    public static readonly NodeCall<Wire.AccessReadRequest, Wire.AccessReadResponse> ReadAccess =
        new(static (invoker, request, options) => new Wire.Access.AccessClient(invoker).ReadAsync(request, options));

    public static readonly NodeCall<Wire.AccessChangeRequest, Wire.AccessChangeResponse> ChangeAccess = new(
        static (invoker, request, options) => new Wire.Access.AccessClient(invoker).ChangeAsync(request, options),
        changesState: true);

    public static readonly NodeCall<Wire.CreateTokenRequest, Wire.CreateTokenResponse> CreateToken =
        new(static (invoker, request, options) => new Wire.Access.AccessClient(invoker).CreateTokenAsync(request, options));

    public static readonly NodeCall<Wire.TransferLeaderRequest, Wire.TransferLeaderResponse> TransferLeader = new(
        static (invoker, request, options) => new Wire.Cluster.ClusterClient(invoker).TransferLeaderAsync(request, options),
        changesState: true);
}
