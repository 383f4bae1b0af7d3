using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;
using NodePlacement = Henge.Node.Api.PlacementStatus;

namespace Henge.Server.Tests.Grpc;

/// <summary>What operators ask of the cluster service.</summary>
public sealed class OperatorTests
{
    [Fact]
    public async Task Where_replicas_are_to_be_is_told_with_the_names_of_nodes_and_who_does_not_answer()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        server.Node.Placement = Placement();
        PlacementResponse response = await AskAsync<PlacementResponse>(server, "Placement", new PlacementRequest());
        Assert.Equal((5UL, 2U, "node2"), (response.Generation, response.ReplicationFactor, response.PlannerId));
        Assert.Equal(["node2"], response.Unreachable);
        Assert.Equal(["node1:up", "node2:leaving", "node3:left"], response.Members.Select(static m => $"{m.NodeId}:{m.State}"));
        Protocol.V1.ShardTarget shard = Assert.Single(response.Shards);
        Assert.Equal(("node1", "node1 node2", "4", "node1 4"), (
            shard.LeaderId,
            string.Join(' ', shard.Voters),
            string.Join(' ', shard.Learners),
            string.Join(' ', shard.Planned)));
        ShardMove move = Assert.Single(response.Moves);
        Assert.Equal(("node1", "Wait", "CatchingUp", 7UL, 8UL, 9UL, true), (
            move.LeaderId, move.Step, move.Wait, move.EntriesLeft, move.BytesLeft, move.BytesSent, move.Stuck));
        Assert.Equal(["node2"], Assert.Single(response.Problems).Nodes);
        Assert.Equal((3UL, true), (response.Settings[0].Value, response.Settings[0].Set));

        // Another node asks only for what this one knows.
        Assert.Empty((await AskAsync<PlacementResponse>(server, "Placement", new PlacementRequest { OwnOnly = true })).Unreachable);
        server.Node.Placement = new NodePlacement();
        Assert.Equal(
            GrpcStatusCode.Unavailable,
            (await server.CallAsync("/henge.v1.Cluster/Placement", new PlacementRequest())).Status);
    }

    [Fact]
    public async Task A_change_is_handed_on_with_who_does_not_answer()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        server.Node.Placement = Placement();
        ClusterChange? asked = null;
        server.Node.OnChange = change =>
        {
            asked = change;
            return new ClusterChangeAnswer
            {
                IsDone = true,
                State = MemberState.Leaving,
                Losses = ["all"],
                Loads = [new MemberLoad(new NodeId(2), 5, 0, 0, 1.5)],
                Copies = 5,
            };
        };
        ChangeResponse response = await AskAsync<ChangeResponse>(server, "Change", new ChangeRequest
        {
            Kind = ChangeRequest.Types.Kind.Remove,
            NodeId = "node2",
            SuccessorId = "node1",
            DryRun = true,
            Force = true,
        });
        Assert.Equal(
            (ClusterChangeKind.Remove, "node2", "node1", true, true),
            (asked!.Kind, asked.Node, asked.Successor, asked.IsDryRun, asked.IsForced));
        Assert.Equal([new NodeId(2)], asked.Unreachable);
        Assert.Equal((true, "leaving", "all", 5U), (response.Done, response.State, response.Losses[0], response.Copies));
        Assert.Equal(("node2", 5U, 1.5), (response.Loads[0].NodeId, response.Loads[0].Before, response.Loads[0].Fair));

        server.Node.OnChange = static _ => throw new HengeException(ErrorCode.InvalidArgument, "no");
        Assert.Equal(
            GrpcStatusCode.InvalidArgument,
            (await server.CallAsync("/henge.v1.Cluster/Change", new ChangeRequest { Kind = ChangeRequest.Types.Kind.Drain })).Status);
    }

    [Fact]
    public void Every_kind_of_change_has_the_same_number_in_the_message()
    {
        foreach (ClusterChangeKind kind in Enum.GetValues<ClusterChangeKind>())
        {
            Assert.Equal(kind.ToString(), ((ChangeRequest.Types.Kind)(int)kind).ToString());
        }
    }

    private static async Task<T> AskAsync<T>(RunningServer server, string method, Google.Protobuf.IMessage request)
        where T : Google.Protobuf.IMessage<T>, new() => await server.CallAsync<T>("/henge.v1.Cluster/" + method, request);

    private static NodePlacement Placement() => new()
    {
        IsKnown = true,
        Generation = 5,
        ReplicationFactor = 2,
        Members =
        [
            new NodeEntry(new NodeId(1), "node1", "127.0.0.1:1"),
            new NodeEntry(new NodeId(2), "node2", "127.0.0.1:9") { State = MemberState.Leaving },
            new NodeEntry(new NodeId(3), "node3", "127.0.0.1:9") { State = MemberState.Left },
        ],
        CatalogVoters = [new NodeId(1)],
        Planner = new NodeId(2),
        Shards =
        [
            new(
                new ShardId(0),
                new NodeId(1),
                [new NodeId(1), new NodeId(2)],
                [new NodeId(4)],
                [new NodeId(1), new NodeId(4)],
                [new NodeId(1), new NodeId(4)]),
        ],
        Settings = [new("replication-factor", 3, 1, true, "", 1, 15, "replicas")],
        Moves = [new MoveStatus(new ShardId(0), "Wait", "CatchingUp", [new NodeId(4)], 7, 8, 9, 31_000, true)],
        Problems = [new("NoPlaceElsewhere", [new ShardId(0)], [new NodeId(2)], "why")],
    };
}
