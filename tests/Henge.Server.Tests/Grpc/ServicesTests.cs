using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Health.V1;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;
using Alpha = Grpc.Reflection.V1Alpha;
using Status = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;
using V1 = Grpc.Reflection.V1;

namespace Henge.Server.Tests.Grpc;

/// <summary>Health, reflection and the cluster service.</summary>
public sealed class ServicesTests
{
    private static readonly string[] AllServices =
    [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "henge.v1.Access",
        "henge.v1.Cluster",
        "henge.v1.KVStore",
        "kvstore.KVStore",
    ];

    [Fact]
    public async Task Health_is_checked_for_the_server_and_each_service()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        foreach (string service in (string[])["", .. AllServices])
        {
            Assert.Equal(
                Status.Serving,
                (
                    await server.CallAsync<HealthCheckResponse>(
                        "/grpc.health.v1.Health/Check",
                        new HealthCheckRequest { Service = service })
                ).Status);
        }

        Assert.Equal(
            GrpcStatusCode.NotFound,
            (await server.CallAsync("/grpc.health.v1.Health/Check", new HealthCheckRequest { Service = "nothing" })).Status);
        server.Server.SetProblem("ill");
        Assert.Equal(
            Status.NotServing,
            (await server.CallAsync<HealthCheckResponse>("/grpc.health.v1.Health/Check", new HealthCheckRequest())).Status);
    }

    [Fact]
    public async Task A_health_watch_tells_each_change_and_the_stop()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using OpenStream watch = await OpenStream.OpenAsync(server, "/grpc.health.v1.Health/Watch", new HealthCheckRequest());
        await using OpenStream unknown = await OpenStream.OpenAsync(
            server,
            "/grpc.health.v1.Health/Watch",
            new HealthCheckRequest { Service = "nothing" });
        Assert.Equal(Status.Serving, (await watch.ReadAsync<HealthCheckResponse>()).Status);
        Assert.Equal(Status.ServiceUnknown, (await unknown.ReadAsync<HealthCheckResponse>()).Status);
        server.Server.SetProblem("ill");
        Assert.Equal(Status.NotServing, (await watch.ReadAsync<HealthCheckResponse>()).Status);
        server.Server.SetProblem(null);
        Assert.Equal(Status.Serving, (await watch.ReadAsync<HealthCheckResponse>()).Status);
        Task stop = server.Server.StopAsync();
        Assert.Equal(Status.NotServing, (await watch.ReadAsync<HealthCheckResponse>()).Status);
        Assert.Equal(GrpcStatusCode.Ok, (await watch.EndAsync()).Status);
        await stop.WaitAsync(RunningServer.Patience);
    }

    [Fact]
    public async Task Reflection_names_the_services_and_gives_files_that_build()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using OpenStream stream = await OpenStream.OpenAsync(
            server,
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            first: new V1.ServerReflectionRequest { ListServices = "*" });
        async Task<V1.ServerReflectionResponse> AskAsync(V1.ServerReflectionRequest request)
        {
            await stream.WriteAsync(request);
            return await stream.ReadAsync<V1.ServerReflectionResponse>();
        }

        V1.ServerReflectionResponse list = await stream.ReadAsync<V1.ServerReflectionResponse>();
        Assert.Equal(AllServices, list.ListServicesResponse.Service.Select(s => s.Name));

        foreach (
            string symbol in (string[])
                [.. AllServices, "henge.v1.KVStore.Get", "kvstore.KVStore.Get", "henge.v1.GetRequest", "henge.v1.Compare.Relation"])
        {
            V1.ServerReflectionResponse file = await AskAsync(new V1.ServerReflectionRequest { FileContainingSymbol = symbol });
            Assert.True(file.ErrorResponse is null, symbol);
            // Imports come after the file that needs them; a builder wants them before.
            IReadOnlyList<FileDescriptor> built = FileDescriptor.BuildFromByteStrings(
                file.FileDescriptorResponse.FileDescriptorProto.Reverse());
            Assert.NotEmpty(built);
        }

        V1.ServerReflectionResponse named = await AskAsync(new V1.ServerReflectionRequest { FileByFilename = "henge/v1/cluster.proto" });
        Assert.Equal(
            ["henge/v1/cluster.proto", "henge/v1/kv.proto"],
            named.FileDescriptorResponse.FileDescriptorProto.Select(bytes => FileDescriptorProto.Parser.ParseFrom(bytes).Name));
        Assert.Equal(5, (await AskAsync(new V1.ServerReflectionRequest { FileByFilename = "nothing.proto" })).ErrorResponse.ErrorCode);
        Assert.Equal(5, (await AskAsync(new V1.ServerReflectionRequest { FileContainingSymbol = "nothing" })).ErrorResponse.ErrorCode);
        stream.Complete();
        Assert.Equal(GrpcStatusCode.Ok, (await stream.EndAsync()).Status);
    }

    [Fact]
    public async Task Reflection_answers_under_its_older_name_too()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using OpenStream stream = await OpenStream.OpenAsync(
            server,
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            first: new Alpha.ServerReflectionRequest { ListServices = "" });
        Assert.Equal(
            AllServices,
            (await stream.ReadAsync<Alpha.ServerReflectionResponse>()).ListServicesResponse.Service.Select(s => s.Name));
    }

    [Fact]
    public async Task Status_tells_role_term_and_shards()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        StatusResponse status = await server.CallAsync<StatusResponse>("/henge.v1.KVStore/NodeStatus", new StatusRequest());
        Assert.Equal(
            ("node1", "leader", 3UL, "node1", 28UL),
            (status.NodeId, status.Role, status.Term, status.LeaderId, status.AppliedIndex));
        Assert.Equal(["127.0.0.1:9"], status.Peers);
        Assert.Equal(4, status.Shards.Count);
        Assert.All(status.Shards, shard => Assert.Equal("node1", shard.LeaderId));
    }

    [Fact]
    public async Task Topology_is_told_at_once_or_at_the_next_change()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        TopologyResponse now = await server.CallAsync<TopologyResponse>("/henge.v1.Cluster/Topology", new TopologyRequest());
        Assert.Equal(4U, now.ShardCount);
        Assert.Equal(["node1", "node2"], now.Nodes.Select(node => node.NodeId));
        Assert.Equal(["node1", "node2"], now.Shards[0].Replicas);
        Task<TopologyResponse> next = server.CallAsync<TopologyResponse>(
            "/henge.v1.Cluster/Topology",
            new TopologyRequest { NewerThanEpoch = now.Epoch });
        server.Node.ChangeTopology();
        Assert.Equal(now.Epoch + 1, (await next).Epoch);
        Assert.Equal(
            now.Epoch + 1,
            (
                await server.CallAsync<TopologyResponse>("/henge.v1.Cluster/Topology", new TopologyRequest { NewerThanEpoch = now.Epoch })
            ).Epoch);
    }

    [Fact]
    public async Task Cluster_status_says_which_nodes_do_not_answer()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        ClusterStatusResponse status = await server.CallAsync<ClusterStatusResponse>(
            "/henge.v1.Cluster/ClusterStatus",
            new ClusterStatusRequest());
        Assert.Equal("leader", status.Nodes[0].Status.Role);
        Assert.Null(status.Nodes[1].Status);
        Assert.NotEmpty(status.Nodes[1].Error);
    }

    [Fact]
    public async Task Leaders_are_handed_over_where_it_can_be_and_the_rest_is_told()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        TransferLeaderResponse response = await server.CallAsync<TransferLeaderResponse>(
            "/henge.v1.Cluster/TransferLeader",
            new TransferLeaderRequest { ToNodeId = "node2" });
        Assert.Equal(3U, response.Transferred);
        Assert.Contains("too far behind", Assert.Single(response.Errors));
        CallResult unknown = await server.CallAsync("/henge.v1.Cluster/TransferLeader", new TransferLeaderRequest { ToNodeId = "nobody" });
        Assert.Equal(GrpcStatusCode.InvalidArgument, unknown.Status);
        Assert.Contains("node1, node2", unknown.Message);
    }
}
