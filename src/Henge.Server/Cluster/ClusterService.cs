using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Access;
using Henge.Server.Calls;
using Henge.Server.Events;
using Henge.Server.Tls;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Henge.Server.Cluster;

/// <summary><c>henge.v1.Cluster</c>: for operators, and for clients that route by themselves. Thread-safe.</summary>
internal sealed class ClusterService(IHengeNode node, PeerStatus peers, TopologyFeed feed, CallGate gate)
    : Protocol.V1.Cluster.ClusterBase
{
    private readonly OperatorCalls _operators = new(node, peers);
    private readonly RecoveryCalls _recovery = new(node, peers);

    public const string Name = "henge.v1.Cluster";

    /// <summary>True behind TLS: calls between nodes are for nodes alone, as their certificates say.</summary>
    public bool NeedsCertificates { get; init; }

    /// <summary>Takes who changed what.</summary>
    public ILogger Audit { get; init; } = NullLogger.Instance;

    /// <summary>True when the node was started with <c>--insecure</c>.</summary>
    public bool IsInsecure { get; init; }

    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestJoin = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PeerTimeout = TimeSpan.FromSeconds(2);

    /// <summary>The service's methods.</summary>
    public ServerServiceDefinition Define()
    {
        ServiceMethods methods = new(Name, new ErrorInterceptor(gate.Errors), nameof(WatchTopology));
        Protocol.V1.Cluster.BindService(methods, this);
        methods.Add(
            new Method<WatchTopologyRequest, EncodedMessage>(
                MethodType.ServerStreaming,
                Name,
                nameof(WatchTopology),
                ServiceMethods.RequestsOf<WatchTopologyRequest>(),
                EncodedMessage.Marshaller),
            StreamTopologyAsync);
        return methods.Build();
    }

    /// <inheritdoc/>
    public override async Task<TopologyResponse> Topology(TopologyRequest request, ServerCallContext context)
    {
        if (request.NewerThanEpoch > 0 && node.GetTopology().Epoch <= request.NewerThanEpoch)
        {
            await WaitForChangeAsync(request.NewerThanEpoch, CallTerms.Of(context).Cancellation);
        }

        // Without the id a caller could not tell whether the addresses lead to nodes of this cluster.
        Topology topology = node.GetTopology();
        return topology.ClusterId.Length > 0 ? TopologyEdition.ToMessage(topology) : throw IdNotKnown();
    }

    /// <summary>The error for callers that ask where nodes are, before the node knows of which cluster.</summary>
    public static HengeException IdNotKnown() => new(
        ErrorCode.Unavailable,
        "This node does not know its cluster's id yet, which a majority of the nodes has to agree on. Try again.");

    private Task StreamTopologyAsync(
        WatchTopologyRequest request,
        IServerStreamWriter<EncodedMessage> answers,
        ServerCallContext context) => new TopologyStream(feed, answers, context).RunAsync();

    private async Task WaitForChangeAsync(ulong epoch, CancellationToken cancellation)
    {
        TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        void OnChanged()
        {
            if (!changed.Task.IsCompleted && node.GetTopology().Epoch > epoch)
            {
                changed.TrySetResult();
            }
        }

        node.TopologyChanged += OnChanged;
        try
        {
            // It may have changed before the handler was there.
            OnChanged();
            await changed.Task.WaitAsync(LongestPoll, cancellation);
        }
        catch (TimeoutException)
        {
            // Nothing new: the caller gets what there is, and asks again.
            return;
        }
        finally
        {
            node.TopologyChanged -= OnChanged;
        }
    }

    /// <inheritdoc/>
    public override async Task<ClusterStatusResponse> ClusterStatus(ClusterStatusRequest request, ServerCallContext context)
    {
        Topology topology = node.GetTopology();
        NodeId self = node.GetStatus().Id;
        ClusterStatusResponse response = new();
        CancellationToken cancellation = CallTerms.Of(context).Cancellation;
        IEnumerable<Task<ClusterStatusResponse.Types.Node>> asked =
            topology.Nodes.Select(entry => AskAsync(entry, topology.ClusterId, entry.Id == self, cancellation));
        response.Nodes.AddRange(await Task.WhenAll(asked));
        return response;
    }

    private async Task<ClusterStatusResponse.Types.Node> AskAsync(
        NodeEntry entry,
        string clusterId,
        bool self,
        CancellationToken cancellation)
    {
        ClusterStatusResponse.Types.Node answer = new() { NodeId = entry.Name, Address = entry.Address };
        if (self)
        {
            answer.Status = StatusMapper.ToMessage(node, IsInsecure);
            return answer;
        }

        try
        {
            answer.Status = await peers.GetAsync(entry.Address, clusterId, PeerTimeout, cancellation);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.DeadlineExceeded && !cancellation.IsCancellationRequested)
        {
            answer.Error = $"It did not answer within {PeerTimeout.TotalSeconds:0} s.";
        }
        catch (RpcException e)
        {
            cancellation.ThrowIfCancellationRequested();
            answer.Error = e.Trailers.GetValue(GrpcHeaders.HengeError) == GrpcErrors.ToTrailer(ErrorCode.Misconfigured)
                ? "A node of another cluster answers there."
                : e.Status.Detail;
        }

        return answer;
    }

    /// <inheritdoc/>
    public override Task<TransferLeaderResponse> TransferLeader(TransferLeaderRequest request, ServerCallContext context)
    {
        Topology topology = node.GetTopology();
        NodeId self = node.GetStatus().Id;
        NodeId to = Find(request.ToNodeId, topology);
        TransferLeaderResponse response = new();
        IEnumerable<ShardId> shards = request.Shards.Count > 0
            ? request.Shards.Select(shard => new ShardId(shard))
            : topology.Shards.Where(shard => shard.Leader == self).Select(shard => shard.Shard);
        foreach (ShardId shard in shards)
        {
            try
            {
                node.TransferLeader(shard, to);
                response.Transferred++;
            }
            catch (HengeException e)
            {
                response.Errors.Add($"{shard}: {e.Message}");
            }
        }

        Tell(context, request.ToString());
        return Task.FromResult(response);
    }

    /// <inheritdoc/>
    public override async Task<JoinResponse> Join(Protocol.V1.JoinRequest request, ServerCallContext context)
    {
        CheckNode(context);
        CallTerms terms = CallTerms.Of(context);
        TaskCompletionSource<JoinAnswer> answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        long deadlineMs = terms.HasDeadline ? terms.DeadlineMs : node.MonotonicMs + (long)LongestJoin.TotalMilliseconds;
        node.Join(JoinCall.FromMessage(request), deadlineMs, (answer, problem) =>
        {
            if (answer is null)
            {
                answered.SetException(problem!);
            }
            else
            {
                answered.SetResult(answer);
            }
        });
        return JoinCall.ToMessage(await answered.Task.WaitAsync(terms.Cancellation));
    }

    /// <inheritdoc/>
    public override Task<PlacementResponse> Placement(PlacementRequest request, ServerCallContext context) =>
        _operators.ReadAsync(request.OwnOnly, CallTerms.Of(context).Cancellation);

    /// <inheritdoc/>
    public override async Task<ChangeResponse> Change(ChangeRequest request, ServerCallContext context)
    {
        ChangeResponse response = await ToldAsync(
            context,
            request.ToString(),
            () => _operators.ChangeAsync(request, CallTerms.Of(context)));
        if (response.Done)
        {
            Tell(context, request.ToString());
        }
        else if (!request.DryRun)
        {
            ServerEvents.Access.ClusterChangeFailed(Audit, UserOf(context), request.ToString(), "Refused");
        }

        return response;
    }

    /// <inheritdoc/>
    public override async Task<RecoverResponse> Recover(RecoverRequest request, ServerCallContext context)
    {
        RecoverResponse response = await ToldAsync(
            context,
            request.ApplyPlanId.Length > 0 ? "recovery by plan " + request.ApplyPlanId : "a plan of recovery",
            () => _recovery.RecoverAsync(request, CallTerms.Of(context).Cancellation));
        if (response.Done)
        {
            Tell(context, "recovery by plan " + request.ApplyPlanId);
        }

        return response;
    }

    /// <inheritdoc/>
    public override async Task<ReportRemainsResponse> ReportRemains(ReportRemainsRequest request, ServerCallContext context)
    {
        CheckNode(context);
        return new() { Report = await _recovery.ReportAsync(CallTerms.Of(context).Cancellation) };
    }

    /// <inheritdoc/>
    public override async Task<AdoptRecoveryResponse> AdoptRecovery(AdoptRecoveryRequest request, ServerCallContext context)
    {
        CheckNode(context);
        await _recovery.AdoptAsync(request.Plan, (RecoveryPhase)request.Phase, CallTerms.Of(context).Cancellation);
        return new AdoptRecoveryResponse();
    }

    private void Tell(ServerCallContext context, string change) =>
        ServerEvents.Access.ClusterChanged(Audit, UserOf(context), change);

    private static string UserOf(ServerCallContext context) =>
        context.GetHttpContext().Features.Get<Caller>()?.Login?.User ?? "nobody";

    // What failed may have been done all the same, or in part.
    private async Task<T> ToldAsync<T>(ServerCallContext context, string change, Func<Task<T>> make)
    {
        try
        {
            return await make();
        }
        catch (Exception e)
        {
            ErrorCode code = e switch
            {
                HengeException known => known.Code,
                OperationCanceledException => ErrorCode.Cancelled,
                _ => ErrorCode.Internal,
            };
            ServerEvents.Access.ClusterChangeFailed(Audit, UserOf(context), change, code.ToString());
            throw;
        }
    }

    /// <summary>Behind TLS, lets nobody but nodes go on.</summary>
    private void CheckNode(ServerCallContext context)
    {
        if (NeedsCertificates && !ConnectionIdentity.Of(context.GetHttpContext().Features).IsNode)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                "This call is for nodes of the cluster, and who calls has shown no node's certificate. A node that joins is started with "
                    + "--tls-cert, --tls-key and --tls-ca, by a certificate from: henge cert create-node HOST. The node that it joins "
                    + "needs --tls-ca too.");
        }
    }

    private static NodeId Find(string name, Topology topology)
    {
        foreach (NodeEntry entry in topology.Nodes)
        {
            if (entry.Name == name)
            {
                return entry.Id;
            }
        }

        throw new HengeException(
            ErrorCode.InvalidArgument,
            $"There is no node \"{name}\" in the cluster. There are: {string.Join(", ", topology.Nodes.Select(entry => entry.Name))}.");
    }
}
