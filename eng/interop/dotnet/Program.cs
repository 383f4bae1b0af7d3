using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Henge.Interop;
using Henge.Protocol.HealthV1;
using Henge.Protocol.V1;
using Reflection = Henge.Protocol.ReflectionV1;

// One line for each check; usage: Henge.Interop HOST:PORT [NAME]
const string Own = "henge.v1.KVStore",
    Seed = "kvstore.KVStore";
using GrpcChannel channel = GrpcChannel.ForAddress(
    "http://" + args[0],
    new GrpcChannelOptions { MaxReceiveMessageSize = 64 << 20, MaxSendMessageSize = 64 << 20 }
);
string who = args.Length > 1 ? args[1] : "C#";
int failures = 0;
string tag = string.Create(CultureInfo.InvariantCulture, $"cs{Environment.ProcessId}:");

ByteString Key(string name) => ByteString.CopyFromUtf8(tag + name);
CallOptions Soon() => new(deadline: DateTime.UtcNow.AddSeconds(15));

async Task CheckAsync(string name, Func<Task> check)
{
    try
    {
        await check();
        Console.WriteLine($"ok    {who}: {name}");
    }
    catch (Exception e)
    {
        // A failed check must not end the others.
        failures++;
        Console.WriteLine($"FAIL  {who}: {name}  {e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}");
    }
}

static void Expect(bool condition, string what)
{
    if (!condition)
    {
        throw new InvalidOperationException("not so: " + what);
    }
}

static async Task<RpcException> ErrorOfAsync(Func<Task> call)
{
    try
    {
        await call();
    }
    catch (RpcException e)
    {
        return e;
    }

    throw new InvalidOperationException("the call succeeded");
}

foreach (string path in (string[])[Own, Seed])
{
    KVStore.KVStoreClient store = new(channel.Intercept(new OtherPath(path)));
    string p = path + ":";
    await CheckAsync($"{path}: put, get, delete", async () =>
    {
        PutResponse put = await store.PutAsync(new PutRequest { Key = Key(p + "a"), Value = ByteString.CopyFromUtf8("1") }, Soon());
        GetResponse get = await store.GetAsync(new GetRequest { Key = Key(p + "a") }, Soon());
        Expect(put.Success && get.Found && get.Value.ToStringUtf8() == "1" && get.Version == put.Version, "the value is read back with its "
            + "version");
        DeleteResponse gone = await store.DeleteAsync(new DeleteRequest { Key = Key(p + "a"), ReturnPrevious = true }, Soon());
        Expect(gone.Success && gone.Previous.Value.ToStringUtf8() == "1", "the delete gives what was there");
        Expect(!(await store.GetAsync(new GetRequest { Key = Key(p + "a") }, Soon())).Found, "it is gone");
    });
    await CheckAsync($"{path}: a condition that does not hold is an answer", async () =>
    {
        PutRequest create = new() { Key = Key(p + "once"), Value = ByteString.CopyFromUtf8("1"), IfVersion = 0 };
        Expect((await store.PutAsync(create, Soon())).Success && !(await store.PutAsync(create, Soon())).Success, "a key is created once");
    });
    await CheckAsync($"{path}: scan, in a page and as a stream", async () =>
    {
        for (int i = 0; i < 20; i++)
        {
            await store.PutAsync(new PutRequest { Key = Key($"{p}s{i:00}"), Value = ByteString.CopyFromUtf8($"{i}") }, Soon());
        }

        ScanRequest request = new() { Prefix = Key(p + "s"), Limit = 7 };
        ScanResponse page = await store.ScanAsync(request, Soon());
        Expect(page.Pairs.Count == 7 && !page.Continuation.IsEmpty, "a page has what was asked for");
        request.Limit = 0;
        int all = 0;
        using AsyncServerStreamingCall<ScanResponse> pages = store.ScanStream(request, Soon());
        await foreach (ScanResponse next in pages.ResponseStream.ReadAllAsync())
        {
            all += next.Pairs.Count;
        }

        Expect(all == 20, "the stream has all of them");
    });
    await CheckAsync($"{path}: history", async () =>
    {
        for (int i = 0; i < 3; i++)
        {
            await store.PutAsync(new PutRequest { Key = Key(p + "h"), Value = ByteString.CopyFromUtf8($"{i}") }, Soon());
        }

        HistoryResponse history = await store.HistoryAsync(new HistoryRequest { Key = Key(p + "h") }, Soon());
        Expect(history.Entries.Select(static e => e.Value.ToStringUtf8()).SequenceEqual(["2", "1", "0"]), "newest first");
    });
    await CheckAsync($"{path}: a transaction takes its other branch", async () =>
    {
        TxnRequest txn = new();
        txn.Compare.Add(new Compare { Key = Key(p + "t"), Exists = true });
        txn.Otherwise.Add(new TxnOperation { Put = new PutRequest { Key = Key(p + "t"), Value = ByteString.CopyFromUtf8("made") } });
        Expect(!(await store.TxnAsync(txn, Soon())).Succeeded && (await store.GetAsync(new GetRequest { Key = Key(p + "t") },
            Soon())).Found, "it was made");
        Expect((await store.TxnAsync(txn, Soon())).Succeeded, "it is there");
    });
    await CheckAsync($"{path}: watch, live and from a past version", async () =>
    {
        ulong first = (await store.PutAsync(new PutRequest { Key = Key(p + "w0"), Value = ByteString.CopyFromUtf8("0") }, Soon())).Version;
        using AsyncServerStreamingCall<WatchEvent> watch = store.Watch(new WatchRequest { KeyPrefix = Key(p + "w"), StartVersion = first },
            Soon());
        Expect(await watch.ResponseStream.MoveNext() && watch.ResponseStream.Current.Version == first, "the past event");
        ulong second = (await store.PutAsync(new PutRequest { Key = Key(p + "w1"), Value = ByteString.CopyFromUtf8("1") }, Soon())).Version;
        Expect(await watch.ResponseStream.MoveNext() && watch.ResponseStream.Current.Version == second, "the live event");
    });
    await CheckAsync($"{path}: session, a thousand operations answered by id", async () =>
    {
        using AsyncDuplexStreamingCall<SessionRequest, SessionResponse> session = store.Session(Soon());
        const int count = 1000, batch = 50;
        Task writing = Task.Run(async () =>
        {
            for (int i = 0; i < count; i += batch)
            {
                SessionRequest request = new();
                request.Operations.AddRange(Enumerable.Range(i, batch).Select(n => new SessionOperation
                {
                    Id = (ulong)n + 1,
                    Put = new PutRequest { Key = Key($"{p}x{n}"), Value = ByteString.CopyFromUtf8($"{n}") },
                }));
                await session.RequestStream.WriteAsync(request);
            }

            await session.RequestStream.CompleteAsync();
        });
        HashSet<ulong> answered = [];
        await foreach (SessionResponse response in session.ResponseStream.ReadAllAsync())
        {
            foreach (SessionResult result in response.Results)
            {
                Expect(result.Put is { Success: true } && answered.Add(result.Id), $"operation {result.Id} succeeds once");
            }
        }

        await writing;
        Expect(answered.Count == count, "all are answered");
    });
    await CheckAsync($"{path}: status", async () => Expect((await store.NodeStatusAsync(new StatusRequest(), Soon())).NodeId.Length > 0,
        "the node says its name"));
    await CheckAsync($"{path}: errors carry their code", async () =>
    {
        RpcException error = await ErrorOfAsync(async () =>
            await store.PutAsync(new PutRequest { Key = ByteString.CopyFrom(new byte[100_000]) }, Soon()));
        Expect(error.StatusCode == StatusCode.InvalidArgument && error.Trailers.GetValue("henge-error") is not null, error.ToString());
    });
    await CheckAsync($"{path}: a deadline ends a call", async () =>
    {
        using AsyncServerStreamingCall<WatchEvent> watch = store.Watch(
            new WatchRequest { KeyPrefix = Key(p + "nothing") }, new CallOptions(deadline: DateTime.UtcNow.AddMilliseconds(200)));
        Expect((await ErrorOfAsync(() => watch.ResponseStream.MoveNext())).StatusCode == StatusCode.DeadlineExceeded, "DEADLINE_EXCEEDED");
    });
}

await CheckAsync("cluster: topology, status, transfer of no shard of a stranger", async () =>
{
    Cluster.ClusterClient cluster = new(channel);
    TopologyResponse topology = await cluster.TopologyAsync(new TopologyRequest(), Soon());
    Expect(topology.ShardCount > 0 && topology.Nodes.Count > 0, "there are shards and nodes");
    Expect((await cluster.ClusterStatusAsync(new ClusterStatusRequest(), Soon())).Nodes.Count == topology.Nodes.Count, "each node has a "
        + "status");
    await ErrorOfAsync(async () => await cluster.TransferLeaderAsync(new TransferLeaderRequest { ToNodeId = "nobody" }, Soon()));
});
await CheckAsync("health: check, watch, unknown service", async () =>
{
    Health.HealthClient health = new(channel);
    foreach (string service in (string[])["", Own])
    {
        Expect(
            (await health.CheckAsync(new HealthCheckRequest { Service = service },
                Soon())).Status == HealthCheckResponse.Types.ServingStatus.Serving, $"'{service}' serves");
    }

    Expect((await ErrorOfAsync(async () => await health.CheckAsync(new HealthCheckRequest { Service = "nobody" },
        Soon()))).StatusCode == StatusCode.NotFound, "NOT_FOUND");
    using AsyncServerStreamingCall<HealthCheckResponse> watch = health.Watch(new HealthCheckRequest(), Soon());
    Expect(await watch.ResponseStream.MoveNext() && watch.ResponseStream.Current.Status == HealthCheckResponse.Types.ServingStatus.Serving,
        "the watch says so too");
});
await CheckAsync("reflection: services, and a file that holds a symbol", async () =>
{
    using AsyncDuplexStreamingCall<Reflection.ServerReflectionRequest, Reflection.ServerReflectionResponse> call =
        new Reflection.ServerReflection.ServerReflectionClient(channel).ServerReflectionInfo(Soon());
    await call.RequestStream.WriteAsync(new Reflection.ServerReflectionRequest { ListServices = "" });
    Expect(await call.ResponseStream.MoveNext(), "an answer");
    Expect(call.ResponseStream.Current.ListServicesResponse.Service.Any(static s => s.Name == Own), Own);
    await call.RequestStream.WriteAsync(new Reflection.ServerReflectionRequest { FileContainingSymbol = Own });
    Expect(await call.ResponseStream.MoveNext(), "another answer");
    Expect(
        call.ResponseStream.Current.FileDescriptorResponse.FileDescriptorProto.Any(static f =>
            FileDescriptorProto.Parser.ParseFrom(f).Service.Any(static s => s.Name == "KVStore")),
        "the file has the service");
    await call.RequestStream.CompleteAsync();
});
return failures == 0 ? 0 : 1;
