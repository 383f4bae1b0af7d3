using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Grpc;

namespace Henge.Server.Kv;

/// <summary><c>henge.v1.KVStore</c>, which is also served as <c>kvstore.KVStore</c>. Thread-safe.</summary>
internal sealed class KvService(IHengeNode node, DoorOptions options)
{
    public const string Name = "henge.v1.KVStore";
    public const string SecondName = "kvstore.KVStore";

    private readonly KvUnaryPool _pool = new(node);

    public GrpcService Create(string name) => new(name, KvReflection.Descriptor.Services[0], new Dictionary<string, GrpcMethod>
    {
        ["Get"] = new KvUnaryMethod(_pool, KvRequestKind.Get),
        ["Put"] = new KvUnaryMethod(_pool, KvRequestKind.Put),
        ["Delete"] = new KvUnaryMethod(_pool, KvRequestKind.Delete),
        ["Watch"] = new ServerStreamingMethod<WatchRequest, WatchEvent>((request, _, call) => new WatchStream(node, options.Streams, call).RunAsync(request)),
        ["Scan"] = new ScanMethod(node, streaming: false),
        ["ScanStream"] = new ScanMethod(node, streaming: true),
        ["NodeStatus"] = new UnaryMethod<StatusRequest, StatusResponse>((_, _) => ValueTask.FromResult(StatusMapper.ToMessage(node))),
        ["History"] = new UnaryMethod<HistoryRequest, HistoryResponse>(HistoryAsync),
        ["Txn"] = new UnaryMethod<TxnRequest, TxnResponse>(TxnAsync),
        ["Session"] = new SessionMethod(node, options.Streams),
    });

    private async ValueTask<HistoryResponse> HistoryAsync(HistoryRequest request, ServerCall call)
    {
        KvValidation.CheckKey(request.HasKey, request.Key.Span, node.Limits);
        Core.Version newest = KvValidation.Version(request.MaxVersion, "max_version");
        KvAwaitedOperation barrier = new()
        {
            Kind = OperationKind.Barrier,
            Key = request.Key.Memory,
            Consistency = KvValidation.Consistency((ulong)request.Consistency),
            ReadVersion = newest,
            DeadlineMs = call.DeadlineMs,
        };
        await barrier.RunAsync(node);
        int limit = (int)Math.Min(request.Limit == 0 ? uint.MaxValue : request.Limit, (uint)node.Limits.ScanPageItems);
        HistoryReader reader = new(limit, node.Limits.ScanPageBytes);
        ScanEnd end = node.History(request.Key.Memory, newest.IsZero ? barrier.Version : newest, limit, reader);
        reader.Response.More |= end.More;
        reader.Response.OldestVersion = node.OldestVersion.Value;
        return reader.Response;
    }

    private async ValueTask<TxnResponse> TxnAsync(TxnRequest request, ServerCall call)
    {
        OperationBuffer buffer = new();
        KvAwaitedOperation operation = new()
        {
            Kind = OperationKind.Write,
            LeaderOnly = request.LeaderOnly,
            DeadlineMs = call.DeadlineMs,
            Key = TxnCodec.Encode(request, buffer, node.Limits),
            Command = buffer.Memory,
        };
        await operation.RunAsync(node);
        TxnResponse response = TxnCodec.Decode(operation, request, node);
        buffer.Clear();
        return response;
    }
}

/// <summary>Scan and ScanStream.</summary>
internal sealed class ScanMethod(IHengeNode node, bool streaming) : GrpcMethod
{
    public override async Task InvokeAsync(ServerCall call)
    {
        ScanPager? pager = null;
        long reserved = 0;
        try
        {
            ScanRequest request = await MessageReader.ReadSingleAsync<ScanRequest>(call);
            pager = new ScanPager(node, ScanPlan.Create(request, node));
            KvAwaitedOperation barrier = new() { DeadlineMs = call.DeadlineMs };
            pager.LoadBarrier(barrier);
            await barrier.RunAsync(node);
            pager.Begin(barrier.Version);

            // One page in the pager, and its copy on the way to the caller.
            long pages = 2L * node.Limits.ScanPageBytes;
            call.Server.Budget.Take(pages);
            reserved = pages;
            if (request.CountOnly)
            {
                await pager.CountAsync(call.Cancellation);
                call.Write(pager.Page.Span);
            }
            else
            {
                do
                {
                    pager.ReadPage();
                    call.Write(pager.Page.Span);
                    await call.FlushAsync();
                    call.Cancellation.ThrowIfCancellationRequested();
                }
                while (streaming && !pager.Ended);
            }

            call.Succeed();
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
        finally
        {
            pager?.Page.Clear();
            call.Server.Budget.GiveBack(reserved);
        }
    }
}

/// <summary>Session.</summary>
internal sealed class SessionMethod(IHengeNode node, StreamLimits limits) : GrpcMethod
{
    public override async Task InvokeAsync(ServerCall call)
    {
        try
        {
            call.AllowSlowRequest();
            await new SessionStream(node, limits, call).RunAsync();
            call.Succeed();
        }
        catch (Exception e)
        {
            call.Fail(e);
        }
    }
}
