using Grpc.Core;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Calls;
using Henge.Server.Operations;

namespace Henge.Server.Kv;

/// <summary>
/// <c>henge.v1.KVStore</c>, which is also served as <c>kvstore.KVStore</c>. Ordinary calls are over the generated messages; calls that move
/// many or large values have messages of their own, which are read and written in place. Thread-safe.
/// </summary>
internal sealed class KvService(IHengeNode doors, StreamLimits limits, CallGate gate) : KVStore.KVStoreBase
{
    /// <summary>The service's name.</summary>
    public const string Name = "henge.v1.KVStore";

    /// <summary>The name of the API's ancestor, whose clients can talk to Henge.</summary>
    public const string SecondName = "kvstore.KVStore";

    private readonly KvUnaryCalls _unary = new(doors, gate);

    /// <summary>The service's methods under one of its names.</summary>
    public ServerServiceDefinition Define(string name)
    {
        ServiceMethods methods = new(
            name,
            new ErrorInterceptor(gate.Errors),
            nameof(Get),
            nameof(Put),
            nameof(Delete),
            nameof(Watch),
            nameof(Scan),
            nameof(ScanStream),
            nameof(Session));
        KVStore.BindService(methods, this);
        AddStreams(methods, name);
        _unary.AddTo(methods, name, refusesInMessage: name == SecondName);
        return methods.Build();
    }

    /// <summary>
    /// What begins the requests of a method, named as <c>package.Service/Method</c>, before the library is entered; null: nothing does.
    /// </summary>
    public IEarlyMethod? EarlyOf(string method)
    {
        int slash = method.IndexOf('/', StringComparison.Ordinal);
        return method[..slash] is Name or SecondName ? _unary.EarlyOf(method[(slash + 1)..]) : null;
    }

    /// <summary>True when the node was started with <c>--insecure</c>.</summary>
    public bool IsInsecure { get; init; }

    /// <inheritdoc/>
    public override Task<StatusResponse> NodeStatus(StatusRequest request, ServerCallContext context) =>
        Task.FromResult(StatusMapper.ToMessage(doors, IsInsecure));

    /// <inheritdoc/>
    public override async Task<HistoryResponse> History(HistoryRequest request, ServerCallContext context)
    {
        IHengeNode node = doors.For(context.GetHttpContext());
        KvValidation.CheckKey(request.HasKey, request.Key.Span, node.Limits);
        Core.Version newest = KvValidation.Version(request.MaxVersion, "max_version");
        AwaitedOperation barrier = new()
        {
            Kind = OperationKind.Barrier,
            Key = request.Key.Memory,
            Consistency = KvValidation.Consistency((ulong)request.Consistency),
            ReadVersion = newest,
            DeadlineMs = CallTerms.Of(context).DeadlineMs,
        };
        await barrier.RunAsync(node);
        int limit = (int)Math.Min(request.Limit == 0 ? uint.MaxValue : request.Limit, (uint)node.Limits.ScanPageItems);
        HistoryReader reader = new(limit, node.Limits.ScanPageBytes);
        ScanEnd end = await NodePages.HistoryAsync(
            node,
            request.Key.Memory,
            newest.IsZero ? barrier.Version : newest,
            limit,
            reader,
            isStale: barrier.Consistency == ReadConsistency.Stale);
        reader.Response.More |= end.More;
        reader.Response.OldestVersion = node.OldestVersion.Value;
        return reader.Response;
    }

    /// <inheritdoc/>
    public override async Task<TxnResponse> Txn(TxnRequest request, ServerCallContext context)
    {
        IHengeNode node = doors.For(context.GetHttpContext());
        OperationBuffer buffer = new();
        AwaitedOperation operation = new()
        {
            Kind = OperationKind.Write,
            LeaderOnly = request.LeaderOnly,
            DeadlineMs = CallTerms.Of(context).DeadlineMs,
            Key = TxnCodec.Encode(request, buffer, node.Limits),
            Command = buffer.Memory,
        };
        await operation.RunAsync(node);
        TxnResponse response = TxnCodec.Decode(operation, request, node);
        buffer.Clear();
        return response;
    }

    private void AddStreams(ServiceMethods methods, string name)
    {
        Marshaller<ScanRequest> scans = ServiceMethods.RequestsOf<ScanRequest>();
        methods.Add(
            new Method<ScanRequest, EncodedMessage>(MethodType.Unary, name, nameof(Scan), scans, EncodedMessage.Marshaller),
            ScanAsync);
        methods.Add(
            new Method<ScanRequest, EncodedMessage>(MethodType.ServerStreaming, name, nameof(ScanStream), scans, EncodedMessage.Marshaller),
            ScanStreamAsync);
        methods.Add(
            new Method<WatchRequest, EncodedMessage>(
                MethodType.ServerStreaming, name, nameof(Watch), ServiceMethods.RequestsOf<WatchRequest>(), EncodedMessage.Marshaller),
            (request, events, context) => new WatchStream(doors.For(context.GetHttpContext()), limits, events, context).RunAsync(request));
        methods.Add(
            new Method<SessionBatch, SessionAnswer>(
                MethodType.DuplexStreaming,
                name,
                nameof(Session),
                SessionBatch.Marshaller,
                SessionAnswer.Marshaller),
            (batches, answers, context) => new SessionStream(doors.For(context.GetHttpContext()), limits, batches, answers, context)
                .RunAsync());
    }

    private async Task<EncodedMessage> ScanAsync(ScanRequest request, ServerCallContext context)
    {
        CallTerms terms = CallTerms.Of(context);
        ScanPages pages = await BeginScanAsync(request, terms, context);
        terms.Held = pages;

        // One page here, and its copy on the way to the caller.
        terms.Reserve(2L * doors.Limits.ScanPageBytes);
        await pages.ReadAsync(request.CountOnly ? terms.Cancellation : CancellationToken.None);
        return new EncodedMessage { Bytes = pages.Page };
    }

    private async Task ScanStreamAsync(ScanRequest request, IServerStreamWriter<EncodedMessage> answers, ServerCallContext context)
    {
        CallTerms terms = CallTerms.Of(context);
        using ScanPages pages = await BeginScanAsync(request, terms, context);
        long reserved = 2L * doors.Limits.ScanPageBytes;
        gate.Budget.Take(reserved);
        try
        {
            await terms.SendHeadersAsync(context);
            EncodedMessage page = new();
            do
            {
                await pages.ReadAsync(terms.Cancellation);
                page.Bytes = pages.Page;
                answers.WriteOptions = terms.OptionsOf(page.Bytes.Length, flush: true);
                await terms.TakenAsync(answers.WriteAsync(page));
                terms.Cancellation.ThrowIfCancellationRequested();
            }
            while (!pages.Ended);
        }
        finally
        {
            gate.Budget.GiveBack(reserved);
        }
    }

    private async Task<ScanPages> BeginScanAsync(ScanRequest request, CallTerms terms, ServerCallContext context)
    {
        ScanPages pages = ScanPages.Create(request, doors.For(context.GetHttpContext()));
        await pages.Scan.BeginAsync(terms.DeadlineMs);
        return pages;
    }
}
