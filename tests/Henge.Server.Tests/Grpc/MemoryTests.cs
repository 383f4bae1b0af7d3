using Google.Protobuf;
using Henge.Core;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Calls;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Grpc;

/// <summary>Limits are judged before memory is taken. What is allocated is counted for the whole process, so these run alone.</summary>
[CollectionDefinition(nameof(MemoryTests), DisableParallelization = true)]
[Collection(nameof(MemoryTests))]
public sealed class MemoryTests
{
    private const string Put = "/henge.v1.KVStore/Put";

    [Fact]
    public async Task Large_messages_of_all_callers_together_are_bounded_and_small_ones_pass()
    {
        await using RunningServer server = await RunningServer.StartAsync(options: o =>
            o with
            {
                Grpc = o.Grpc with { MessageMemoryBytes = 1 << 20 },
            });
        byte[] halfAMegabyte = [0, 0, 8, 0, 0, 10, 1, (byte)'k', 18];
        using CancellationTokenSource end = new();
        List<Task<HttpResponseMessage>> open = [];
        for (int i = 0; i < 2; i++)
        {
            open.Add(server.Http.SendAsync(server.Request(Put, new EndlessContent(halfAMegabyte)), end.Token));
        }

        // Larger than a stream's window: what has arrived as a whole before the server looks at it needs no memory of its own.
        PutRequest large = new() { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFrom(new byte[900_000]) };
        await GrpcRulesTests.Until(() => server.Server.Calls.Budget.TakenBytes == 1 << 20);
        CallResult refused = await server.CallAsync(Put, large);
        Assert.Equal((GrpcStatusCode.ResourceExhausted, "8"), (refused.Status, refused.HengeError));
        await server.CallAsync<PutResponse>(
            Put,
            new PutRequest { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFrom(new byte[60_000]) });
        CallResult scan = await server.CallAsync("/henge.v1.KVStore/Scan", new ScanRequest());
        Assert.Equal(GrpcStatusCode.ResourceExhausted, scan.Status);
        await end.CancelAsync();
        foreach (Task<HttpResponseMessage> call in open)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        }

        await GrpcRulesTests.UntilAsync(async () => (await server.CallAsync(Put, large)).Status == GrpcStatusCode.Ok);
        await server.CallAsync<ScanResponse>("/henge.v1.KVStore/Scan", new ScanRequest());
        await GrpcRulesTests.Until(() => server.Server.Calls.Budget.TakenBytes == 0);
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("k") });
    }

    [Fact]
    public async Task A_length_of_four_gigabytes_takes_no_memory()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        long before = GC.GetTotalAllocatedBytes(precise: true);
        CallResult result = await server.CallAsync(Put, [0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3]);
        Assert.Equal(GrpcStatusCode.ResourceExhausted, result.Status);
        Assert.True(GC.GetTotalAllocatedBytes(precise: true) - before < 10_000_000);
    }

    [Fact]
    public async Task A_small_message_that_unpacks_to_a_huge_one_is_stopped_at_the_limit()
    {
        await using RunningServer server = await RunningServer.StartAsync(options: o =>
            o with
            {
                Grpc = new GrpcLimits { MessageBytes = 1 << 20 },
            });
        byte[] bomb = GrpcRulesTests.Gzip(new byte[200 << 20]);
        Assert.True(bomb.Length < 1 << 20);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        CallResult result = await server.CallAsync(Put, RunningServer.Frame(bomb, compressed: true), ("grpc-encoding", "gzip"));
        Assert.Equal(GrpcStatusCode.ResourceExhausted, result.Status);
        Assert.True(GC.GetTotalAllocatedBytes(precise: true) - before < 20 << 20);
        result = await server.CallAsync(Put, RunningServer.Frame([1, 2, 3, 4], compressed: true), ("grpc-encoding", "gzip"));
        Assert.Equal(GrpcStatusCode.InvalidArgument, result.Status);
        Assert.Equal(GrpcErrors.ToTrailer(ErrorCode.InvalidArgument), result.HengeError);
    }
}
