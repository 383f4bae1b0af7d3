using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Hosting;
using Henge.Server.Kv;
using Henge.Testing.Nodes;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests.Fakes;

/// <summary>
/// A real node of a cluster of one with its server. A <see cref="FakeNode"/> hands it the calls that the test does not answer itself.
/// Pages and batches are small, so that there is more than one of them.
/// </summary>
public sealed class RealStore : IAsyncDisposable
{
    private const int PageItems = 3;
    private readonly MemoryNode _node = new(new NodeLimits { ScanPageItems = PageItems }, shards: 1);
    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler { UseProxy = false, EnableMultipleHttp2Connections = true });
    private readonly HengeServer _server;
    private GrpcChannel _channel = null!;
    private int _breaks;

    private RealStore() => _server = new HengeServer(
        _node.Node,
        new DoorOptions { Address = "127.0.0.1:0", Streams = new StreamLimits { WatchBatchItems = PageItems } });

    /// <summary>Asks it directly.</summary>
    public Wire.KVStore.KVStoreClient Stub { get; private set; } = null!;

    /// <summary>The id of its cluster.</summary>
    public string ClusterId => _node.Node.GetTopology().ClusterId;

    private string Address => _server.EndPoint.ToString();

    public static async Task<RealStore> StartAsync()
    {
        RealStore store = new();
        await store._server.StartAsync();
        store._channel = GrpcChannel.ForAddress("http://" + store.Address);
        store.Stub = new Wire.KVStore.KVStoreClient(store._channel);

        // It is answered once the node leads, so that no attempt of a test's client ends before.
        await store.Stub.GetAsync(new Wire.GetRequest { Key = ByteString.Empty });
        return store;
    }

    /// <summary>Lets it answer a call. It has nothing but keys and values: where the cluster's nodes are, only the test knows.</summary>
    public async Task HandleAsync(FakeCall call)
    {
        if (call.Method is "Get" or "Put" or "Delete" or "Txn" or "Scan" or "History" or "Watch" or "Session")
        {
            await call.ForwardAsync(_http, Address);
        }
        else
        {
            call.Fail(ErrorCode.UnsupportedFormat, "no such method");
        }
    }

    /// <summary>Its answer to an operation of a session.</summary>
    public async Task<Wire.SessionResult> AnswerAsync(Wire.SessionOperation operation) => (await AnswerAsync([operation]))[0];

    /// <summary>Its answers to operations of a session, in their order.</summary>
    public async Task<IReadOnlyList<Wire.SessionResult>> AnswerAsync(IReadOnlyList<Wire.SessionOperation> operations)
    {
        using AsyncDuplexStreamingCall<Wire.SessionRequest, Wire.SessionResponse> session = Stub.Session();
        await session.RequestStream.WriteAsync(new Wire.SessionRequest { Operations = { operations } });
        await session.RequestStream.CompleteAsync();
        Dictionary<ulong, Wire.SessionResult> results = [];
        while (await session.ResponseStream.MoveNext(CancellationToken.None))
        {
            foreach (Wire.SessionResult result in session.ResponseStream.Current.Results)
            {
                results.Add(result.Id, result);
            }
        }

        return [.. operations.Select(operation => results[operation.Id])];
    }

    /// <summary>Lets it answer a watch; after so many events the connection breaks.</summary>
    public async Task WatchAsync(FakeCall call, int most)
    {
        Wire.WatchRequest request = (await call.ReadAsync(Wire.WatchRequest.Parser))!;
        using AsyncServerStreamingCall<Wire.WatchEvent> watch = Stub.Watch(request, cancellationToken: call.Http.RequestAborted);
        while (await watch.ResponseStream.MoveNext(call.Http.RequestAborted))
        {
            Wire.WatchEvent next = watch.ResponseStream.Current;
            if (next.Reason != Wire.WatchReason.Progress && most-- == 0)
            {
                // Breaking off may lose what was sent already; a node that stops ends the stream in order.
                if (Interlocked.Increment(ref _breaks) % 2 == 0)
                {
                    call.Abort();
                }
                else
                {
                    call.Fail(ErrorCode.Stopping);
                }

                return;
            }

            await call.WriteAsync(next);
        }
    }

    /// <summary>How often a key has been written.</summary>
    public async Task<int> WritesAsync(string key) => (await HistoryAsync(key)).Count;

    /// <summary>The version of the last write to a key, which may be its deletion.</summary>
    public async Task<ulong> VersionOfAsync(string key) => (await HistoryAsync(key))[0].Version;

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        _channel.Dispose();
        await _server.DisposeAsync();
        _node.Dispose();
    }

    private async Task<IReadOnlyList<Wire.HistoryResponse.Types.Entry>> HistoryAsync(string key) =>
        (await Stub.HistoryAsync(new Wire.HistoryRequest { Key = ByteString.CopyFromUtf8(key) })).Entries;
}
