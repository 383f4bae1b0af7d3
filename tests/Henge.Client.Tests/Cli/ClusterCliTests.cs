using System.Text.Json;
using Henge.Cli.Outcome;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests.Cli;

/// <summary>The commands for a cluster that changes, against a fake node that answers as a cluster of four would.</summary>
public sealed class ClusterCliTests : IAsyncLifetime
{
    private readonly List<Wire.ChangeRequest> _asked = [];
    private readonly Queue<Wire.PlacementResponse> _placements = new();
    private FakeNode _node = null!;
    private Wire.PlacementResponse _placement = Placement();
    private Wire.ChangeResponse _change = new() { Done = true };
    private string? _refusal;
    private bool _isOld;

    public async ValueTask InitializeAsync() => _node = await FakeNode.StartAsync(AnswerAsync);

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task Nodes_are_listed_with_what_they_carry_and_what_is_planned()
    {
        Assert.Equal(
            """
            NODE   NUMBER  STATE     ZONE  WEIGHT  ADDRESS      SHARDS  PLAN  LEADS       DATA       LOG  VERSION     UP
            -----  ------  --------  ----  ------  -----------  ------  ----  -----  ---------  --------  -------  -----
            node1       1  up        a        100  10.0.0.1:71       2     2      1  300.0 KiB  64.0 MiB  1.2.3    1h30m
            node2       2  leaving   b        100  10.0.0.2:71       2     1      0  300.0 KiB  64.0 MiB  1.2.3    1h30m
            node3       3  up, down  a        200  10.0.0.3:71       2     2
            node4       4  up        b        100  10.0.0.4:71       1     1      0  300.0 KiB  64.0 MiB  1.2.3    1h30m
            node2 is leaving: 2 replicas left, 1 on the way, 1 without another place (henge cluster moves says why).
            node3 is down: It did not answer within 2 s.

            """,
            (await RunAsync("nodes")).Output);
        using JsonDocument json = await JsonAsync("nodes");
        JsonElement[] nodes = [.. json.RootElement.GetProperty("nodes").EnumerateArray()];
        Assert.Equal(
            [("node1", 2, 2), ("node2", 2, 1), ("node3", 2, 2), ("node4", 1, 1)],
            nodes.Select(static n => (
                n.GetProperty("id").GetString()!,
                n.GetProperty("shards").GetInt32(),
                n.GetProperty("planned_shards").GetInt32())));
        Assert.Equal((307_200, 64 << 20), (nodes[0].GetProperty("data_bytes").GetInt32(), nodes[0].GetProperty("log_bytes").GetInt32()));
        Assert.False(nodes[2].TryGetProperty("version", out _));
    }

    [Fact]
    public async Task Nodes_of_a_release_that_does_not_plan_are_listed_all_the_same()
    {
        _isOld = true;
        Ran ran = await RunAsync("nodes");
        Assert.Equal((0, ""), (ran.ExitCode, ran.Error));
        Assert.Contains("node4", ran.Output, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("topology")).ExitCode);
    }

    [Fact]
    public async Task The_ring_is_drawn()
    {
        Assert.Equal(
            """
            Cluster: c | Epoch: 7 | Shards: 3 | Plan: 9 | Replicas: 2

                   0
            zone a
            node1  L.r  #######... 2 of 3, leads 1
            node3  .Lr  #######... 2 of 3, leads 1
            zone b
            node2  -r.  #######... 2 of 3, leads 0, leaving
            node4  +..  .......... 0 of 3, leads 0

            L leads   r replica   + comes   - goes   . none

            SHARD  LEADER  TERM  REPLICAS      RING               MOVE
            -----  ------  ----  ------------  -----------------  -------------
                0  node1      3  node1, node2  00000000-55555555  -node2 +node4
                1  node3      4  node3, node2  55555556-aaaaaaaa
                2  -          5  node1, node3  aaaaaaab-ffffffff

            """,
            (await RunAsync("topology")).Output);
    }

    [Fact]
    public async Task Moves_are_shown_with_what_is_left_and_what_they_wait_for()
    {
        Assert.Equal(
            """
            1 move under way, 0 waiting for a turn.

            SHARD  LEADER  FROM   TO     ENTRIES LEFT  BYTES LEFT     SENT  RATE  WAITS FOR
            -----  ------  -----  -----  ------------  ----------  -------  ----  -----------------
                0  node1   node2  node4         1,200     3.0 MiB  1.0 MiB     -  node4 to catch up
            NoPlaceElsewhere: node2, which is leaving, keeps its replica of shard 1.

            """,
            (await RunAsync("moves")).Output);
    }

    [Fact]
    public async Task A_removal_is_asked_for_and_what_it_comes_to_is_shown()
    {
        _change = new Wire.ChangeResponse { Done = true, State = "leaving", Copies = 5, Removals = 5, LeaderChanges = 1 };
        _change.Loads.Add(new Wire.NodeLoad { NodeId = "node2", Before = 5 });
        _change.Loads.Add(new Wire.NodeLoad { NodeId = "node4", Before = 3, After = 8, Leads = 2, Fair = 7.5 });
        Assert.Equal(
            """
            node2 is leaving. henge cluster moves shows how far it is.
            5 replicas to make, 5 to give up; 1 shard to be led by another node.

            NODE   REPLICAS  THEN  FAIR  LEADS THEN
            -----  --------  ----  ----  ----------
            node2         5     0   0.0           0
            node4         3     8   7.5           2

            """,
            (await RunAsync("remove", "node2")).Output);
        Wire.ChangeRequest asked = Assert.Single(_asked);
        Assert.Equal(
            (Wire.ChangeRequest.Types.Kind.Remove, "node2", "", false, false),
            (asked.Kind, asked.NodeId, asked.SuccessorId, asked.DryRun, asked.Force));

        using JsonDocument json = await JsonAsync("remove", "node2", "--force");
        Assert.True(_asked[1].Force);
        Assert.Equal(
            ("leaving", 5, 8),
            (json.RootElement.GetProperty("state").GetString()!,
                json.RootElement.GetProperty("copies").GetInt32(),
                json.RootElement.GetProperty("nodes")[1].GetProperty("replicas_then").GetInt32()));
    }

    [Fact]
    public async Task A_dry_run_says_what_would_be_refused_and_ends_as_the_refusal_does()
    {
        _change = new Wire.ChangeResponse { State = "leaving", Refusal = "There is no room." };
        _change.Losses.Add("Everything is lost.");
        Ran ran = await RunAsync("remove", "node2", "--dry-run");
        Assert.Equal(ExitCode.Refused, ran.ExitCode);
        Assert.Contains("dry run", ran.Output, StringComparison.Ordinal);
        Assert.Contains("It would be refused. There is no room.\nLOSS: Everything is lost.\n", ran.Output, StringComparison.Ordinal);
        Assert.True(Assert.Single(_asked).DryRun);

        _refusal = "There is no room.";
        Ran refused = await RunAsync("remove", "node2");
        Assert.Equal((ExitCode.Refused, "", "henge: There is no room.\n"), (refused.ExitCode, refused.Output, refused.Error));
    }

    [Theory]
    [InlineData("cancel node2", Wire.ChangeRequest.Types.Kind.Cancel, "node2", "", "", "")]
    [InlineData("cancel", Wire.ChangeRequest.Types.Kind.CancelMoves, "", "", "", "")]
    [InlineData("drain node2", Wire.ChangeRequest.Types.Kind.Drain, "node2", "", "", "")]
    [InlineData("undrain node2", Wire.ChangeRequest.Types.Kind.Undrain, "node2", "", "", "")]
    [InlineData("replace node2 --with node4", Wire.ChangeRequest.Types.Kind.Remove, "node2", "node4", "", "")]
    [InlineData("rebalance", Wire.ChangeRequest.Types.Kind.Rebalance, "", "", "", "")]
    [InlineData("set replication-factor 3", Wire.ChangeRequest.Types.Kind.Set, "", "", "replication-factor", "3")]
    [InlineData("set replace-after 30m", Wire.ChangeRequest.Types.Kind.Set, "", "", "replace-after", "1800000")]
    [InlineData("set replace-after default", Wire.ChangeRequest.Types.Kind.Set, "", "", "replace-after", "")]
    [InlineData("set move-rate 64MiB", Wire.ChangeRequest.Types.Kind.Set, "", "", "move-rate", "67108864")]
    [InlineData("set what-ever 30m", Wire.ChangeRequest.Types.Kind.Set, "", "", "what-ever", "30m")]
    public async Task Every_change_is_asked_for_as_it_is_written(
        string line, Wire.ChangeRequest.Types.Kind kind, string node, string successor, string setting, string value)
    {
        foreach (string dry in (string[])["", " --dry-run"])
        {
            Ran ran = await RunAsync((line + dry).Split(' '));
            Assert.Equal((0, ""), (ran.ExitCode, ran.Error));
            Assert.NotEqual("", ran.Output);
        }

        Assert.Equal([false, true], _asked.Select(static a => a.DryRun));
        Assert.All(_asked, asked => Assert.Equal(
            (kind, node, successor, setting, value, false),
            (asked.Kind, asked.NodeId, asked.SuccessorId, asked.Setting, asked.Value, asked.Force)));
    }

    [Theory]
    [InlineData("remove")]
    [InlineData("replace node2")]
    [InlineData("set replication-factor")]
    [InlineData("set replace-after soon")]
    [InlineData("set move-rate fast")]
    [InlineData("set move-rate 99999999999GiB")]
    [InlineData("moves --watch --every 1ms")]
    [InlineData("undrain node2 --force")]
    public async Task What_makes_no_sense_is_told(string line)
    {
        Ran ran = await RunAsync(line.Split(' '));
        Assert.Equal((ExitCode.Usage, ""), (ran.ExitCode, ran.Output));
        Assert.Empty(_asked);
    }

    [Fact]
    public async Task Who_waits_sees_the_member_leave()
    {
        _change = new Wire.ChangeResponse { Done = true, State = "leaving", Copies = 2 };
        Wire.PlacementResponse gone = Placement();
        gone.Members[1].State = "left";
        _placements.Enqueue(Placement());
        _placements.Enqueue(Placement());
        _placements.Enqueue(Placement());
        _placements.Enqueue(gone);
        Ran ran = await RunAsync("remove", "node2", "--wait");
        Assert.Equal(0, ran.ExitCode);
        Assert.EndsWith("node2 has left.\n", ran.Output, StringComparison.Ordinal);
        Assert.Empty(_placements);
    }

    [Fact]
    public async Task Who_waits_for_a_rebalance_waits_for_its_plan()
    {
        _change = new Wire.ChangeResponse { Done = true, Copies = 2 };
        Wire.PlacementResponse still = Placement(), planned = Placement(), done = Placement();
        still.Shards.RemoveAt(0);
        planned.Generation = done.Generation = 10;
        done.Shards.RemoveAt(0);
        _placements.Enqueue(still);
        _placements.Enqueue(still);
        _placements.Enqueue(planned);
        _placements.Enqueue(done);
        Ran ran = await RunAsync("rebalance", "--wait");
        Assert.Equal(0, ran.ExitCode);
        Assert.EndsWith("Every shard is where the plan has it.\n", ran.Output, StringComparison.Ordinal);
        Assert.Empty(_placements);
    }

    [Fact]
    public async Task Who_waits_for_a_drain_waits_until_the_node_leads_nothing()
    {
        _change = new Wire.ChangeResponse { Done = true, State = "draining", LeaderChanges = 1 };
        Wire.PlacementResponse done = Placement();
        done.Shards[0].LeaderId = "node2";
        _placements.Enqueue(Placement());
        _placements.Enqueue(Placement());
        _placements.Enqueue(done);
        Ran ran = await RunAsync("drain", "node1", "--wait");
        Assert.EndsWith("node1 leads nothing, and can be stopped.\n", ran.Output, StringComparison.Ordinal);
        Assert.Empty(_placements);
    }

    [Fact]
    public async Task Settings_are_shown()
    {
        Assert.Equal(
            """
            SETTING             VALUE    DEFAULT   WHAT IT DOES
            ------------------  -------  --------  ------------
            replication-factor  2        3         replicas
            replace-after       10m0s    10m0s
            move-rate           1.0 MiB  32.0 MiB

            """,
            (await RunAsync("settings")).Output);
        using JsonDocument json = await JsonAsync("settings");
        Assert.Equal(600_000, json.RootElement.GetProperty("settings")[1].GetProperty("value").GetInt32());
        Assert.Contains("replace-after", (await CliRun.RunAsync(_node.Address, ["[suggest:23]", "henge cluster set repla"])).Output,
            StringComparison.Ordinal);
    }

    private async Task AnswerAsync(FakeCall call)
    {
        switch (call.Method)
        {
            case "Topology":
                await call.WriteAsync(Topology());
                break;
            case "ClusterStatus":
                await call.WriteAsync(Status());
                break;
            case "Placement" when !_isOld:
                await call.WriteAsync(_placements.TryDequeue(out Wire.PlacementResponse? next) ? _placement = next : _placement);
                break;
            case "Change":
                _asked.Add((await call.ReadAsync(Wire.ChangeRequest.Parser))!);
                if (_refusal is { } why)
                {
                    call.Fail(ErrorCode.InvalidArgument, why);
                }
                else
                {
                    await call.WriteAsync(_change);
                }

                break;
            default:
                call.Fail(ErrorCode.UnsupportedFormat, "no such method");
                break;
        }
    }

    private Task<Ran> RunAsync(params string[] arguments) => CliRun.RunAsync(_node.Address, ["cluster", .. arguments]);

    private async Task<JsonDocument> JsonAsync(params string[] arguments)
    {
        Ran ran = await RunAsync([.. arguments, "--output", "json"]);
        Assert.Equal((0, ""), (ran.ExitCode, ran.Error));
        return JsonDocument.Parse(ran.Output);
    }

    private static Wire.NodeInfo[] Nodes() =>
    [
        new() { NodeId = "node1", Address = "10.0.0.1:71", Number = 1, State = "up", Zone = "a", Weight = 100 },
        new() { NodeId = "node2", Address = "10.0.0.2:71", Number = 2, State = "leaving", Zone = "b", Weight = 100 },
        new() { NodeId = "node3", Address = "10.0.0.3:71", Number = 3, State = "up", Zone = "a", Weight = 200 },
        new() { NodeId = "node4", Address = "10.0.0.4:71", Number = 4, State = "up", Zone = "b", Weight = 100 },
    ];

    private static Wire.TopologyResponse Topology()
    {
        Wire.TopologyResponse topology = new() { ClusterId = "c", Epoch = 7, ShardCount = 3 };
        topology.Nodes.AddRange(Nodes());
        topology.Shards.Add(new Wire.ShardInfo { Shard = 0, LeaderId = "node1", Term = 3, Replicas = { "node1", "node2" } });
        topology.Shards.Add(new Wire.ShardInfo { Shard = 1, LeaderId = "node3", Term = 4, Replicas = { "node3", "node2" } });
        topology.Shards.Add(new Wire.ShardInfo { Shard = 2, LeaderId = "", Term = 5, Replicas = { "node1", "node3" } });
        return topology;
    }

    private static Wire.ClusterStatusResponse Status()
    {
        Wire.ClusterStatusResponse all = new();
        foreach (Wire.NodeInfo node in Nodes())
        {
            all.Nodes.Add(node.NodeId == "node3"
                ? new Wire.ClusterStatusResponse.Types.Node { NodeId = "node3", Error = "It did not answer within 2 s." }
                : new Wire.ClusterStatusResponse.Types.Node
                {
                    NodeId = node.NodeId,
                    Status = new Wire.StatusResponse
                    {
                        NodeId = node.NodeId,
                        Version = "1.2.3",
                        UptimeMs = 5_400_000,
                        Engine = new Wire.EngineStatus { MemtableBytes = 102_400, TableBytes = 204_800 },
                        Log = new Wire.LogStatus { Bytes = 64 << 20 },
                        Shards = { new Wire.ShardStatus { Shard = 0, Role = node.NodeId == "node1" ? "leader" : "follower" } },
                    },
                });
        }

        return all;
    }

    // Shard 0 is on its way from node2 to node4; shard 1 has no other place; nothing is the matter with shard 2.
    private static Wire.PlacementResponse Placement()
    {
        Wire.PlacementResponse placement = new() { Generation = 9, ReplicationFactor = 2, PlannerId = "node1" };
        placement.Members.AddRange(Nodes());
        placement.CatalogVoters.AddRange(["node1", "node2", "node3"]);
        placement.Shards.Add(new Wire.ShardTarget
        {
            Shard = 0,
            LeaderId = "node1",
            Voters = { "node1", "node2" },
            Learners = { "node4" },
            Followed = { "node1", "node4" },
            Planned = { "node1", "node4" },
        });
        placement.Shards.Add(new Wire.ShardTarget
        {
            Shard = 1,
            LeaderId = "node3",
            Voters = { "node3", "node2" },
            Followed = { "node3", "node2" },
            Planned = { "node3", "node2" },
        });
        placement.Shards.Add(new Wire.ShardTarget
        {
            Shard = 2,
            Voters = { "node1", "node3" },
            Followed = { "node1", "node3" },
            Planned = { "node1", "node3" },
        });
        placement.Moves.Add(new Wire.ShardMove
        {
            Shard = 0,
            LeaderId = "node1",
            Step = "Wait",
            Wait = "CatchingUp",
            WaitsFor = { "node4" },
            EntriesLeft = 1_200,
            BytesLeft = 3 << 20,
            BytesSent = 1 << 20,
        });
        placement.Settings.Add(new Wire.ClusterSetting
        {
            Name = "replication-factor",
            Value = 2,
            DefaultValue = 3,
            Set = true,
            Text = "replicas",
        });
        placement.Settings.Add(new Wire.ClusterSetting { Name = "replace-after", Value = 600_000, DefaultValue = 600_000, Unit = "ms" });
        placement.Settings.Add(new Wire.ClusterSetting { Name = "move-rate", Value = 1 << 20, DefaultValue = 32 << 20, Unit = "bytes" });
        placement.Problems.Add(new Wire.PlacementProblem
        {
            Kind = "NoPlaceElsewhere",
            Shards = { 1 },
            Nodes = { "node2" },
            Text = "node2, which is leaving, keeps its replica of shard 1.",
        });
        return placement;
    }
}
