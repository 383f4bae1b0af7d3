using Henge.Protocol.Grpc;
using Henge.Server.Grpc;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Grpc;

/// <summary>Limits are judged before memory is taken. What is allocated is counted for the whole process, so these run alone.</summary>
[CollectionDefinition(nameof(MemoryTests), DisableParallelization = true)]
[Collection(nameof(MemoryTests))]
public sealed class MemoryTests
{
    private const string Put = "/henge.v1.KVStore/Put";

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
        await using RunningServer server = await RunningServer.StartAsync(options: o => o with { Grpc = new GrpcLimits { MessageBytes = 1 << 20 } });
        byte[] bomb = GrpcRulesTests.Gzip(new byte[200 << 20]);
        Assert.True(bomb.Length < 1 << 20);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        CallResult result = await server.CallAsync(Put, RunningServer.Frame(bomb, compressed: true), ("grpc-encoding", "gzip"));
        Assert.Equal(GrpcStatusCode.ResourceExhausted, result.Status);
        Assert.True(GC.GetTotalAllocatedBytes(precise: true) - before < 20 << 20);
        result = await server.CallAsync(Put, RunningServer.Frame([1, 2, 3, 4], compressed: true), ("grpc-encoding", "gzip"));
        Assert.Equal(GrpcStatusCode.InvalidArgument, result.Status);
        Assert.Contains("not valid gzip", result.Message);
    }
}
