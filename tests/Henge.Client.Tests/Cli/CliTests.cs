using System.Globalization;
using System.Text;
using System.Text.Json;
using Henge.Cli;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests.Cli;

/// <summary>Runs whole command lines in this process against a fake node and reads what they print.</summary>
public sealed class CliTests : IAsyncLifetime
{
    private RealStore _store = null!;
    private FakeNode _node = null!;
    private Func<FakeCall, Task>? _instead;

    public async ValueTask InitializeAsync()
    {
        _store = await RealStore.StartAsync();
        _node = await FakeNode.StartAsync(call => _instead is null ? _store.HandleAsync(call) : _instead(call));
    }

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        await _store.DisposeAsync();
    }

    private Task<Ran> RunAsync(string[] arguments, byte[]? input = null, CancellationToken cancellationToken = default) =>
        CliRun.RunAsync(_node.Address, arguments, input, cancellationToken: cancellationToken);

    private Task<Ran> RunAsync(params string[] arguments) => CliRun.RunAsync(_node.Address, arguments);

    [Fact]
    public async Task Put_and_get_print_what_the_manual_shows()
    {
        Ran put = await RunAsync("put", "user:1001", "{\"name\":\"Alice\"}");
        Assert.Equal((0, $"OK (version: {await _store.VersionOfAsync("user:1001")})\n"), (put.ExitCode, put.Output));

        Ran get = await RunAsync("get", "user:1001");
        Assert.Equal((0, "{\"name\":\"Alice\"}", ""), (get.ExitCode, get.Output, get.Error));

        Ran nothing = await RunAsync("get", "nobody");
        Assert.Equal((1, "", "(nil)\n"), (nothing.ExitCode, nothing.Output, nothing.Error));
    }

    [Fact]
    public async Task Peers_are_given_before_or_behind_the_command()
    {
        Assert.Equal(0, (await RunAsync("--peers", _node.Address, "put", "a", "1")).ExitCode);
        Assert.Equal("1", (await RunAsync("get", "a", "--peers", "127.0.0.1:1," + _node.Address)).Output);
    }

    [Fact]
    public async Task Values_from_standard_input_come_back_byte_for_byte()
    {
        byte[] value = [0, 1, 2, 255, 254, 10, 13, 0, 10];
        Assert.Equal(0, (await RunAsync(["put", "bin", "-"], value)).ExitCode);

        Assert.Equal(value, (await RunAsync("get", "bin")).Bytes);
        Assert.Equal("AAEC//4KDQAK\n", (await RunAsync("get", "Ymlu", "--encoding", "base64", "--key-encoding", "base64")).Output);
        Assert.Equal("AAEC//4KDQAK\n", (await RunAsync("get", "bin", "--encoding", "base64")).Output);
        Assert.Equal("bin => base64:AAEC//4KDQAK\n", (await RunAsync("scan")).Output);
        Assert.Equal(
            "AAEC//4KDQAK",
            JsonDocument
                .Parse((await RunAsync("get", "bin", "--output", "json")).Output)
                .RootElement.GetProperty("value_base64")
                .GetString());
    }

    [Fact]
    public async Task Keys_of_any_bytes_can_be_given_in_hex()
    {
        Assert.Equal(0, (await RunAsync("put", "00ff", "6869", "--encoding", "hex", "--key-encoding", "hex")).ExitCode);
        Assert.Equal("00ff => 6869\n", (await RunAsync("scan", "--encoding", "hex", "--key-encoding", "hex")).Output);
        Assert.Equal(ExitCode.Usage, (await RunAsync("get", "xyz", "--key-encoding", "hex")).ExitCode);
    }

    [Theory]
    [InlineData("@file")]
    [InlineData("ключ 鍵 🔑")]
    [InlineData("a b")]
    [InlineData("")]
    public async Task Unusual_keys_are_taken_as_they_are(string key)
    {
        Assert.Equal(0, (await RunAsync("put", key, "x")).ExitCode);
        Assert.Equal("x", (await RunAsync("get", key)).Output);
    }

    [Fact]
    public async Task A_key_that_looks_like_an_option_stands_behind_two_dashes()
    {
        Assert.Equal(0, (await RunAsync("put", "--", "--prefix", "-1")).ExitCode);
        Assert.Equal("-1", (await RunAsync("get", "--", "--prefix")).Output);
    }

    [Fact]
    public async Task Conditions_are_told_by_the_exit_code()
    {
        Assert.Equal(0, (await RunAsync("put", "lock", "me", "--if-version", "0")).ExitCode);
        ulong version = await _store.VersionOfAsync("lock");

        Ran refused = await RunAsync("put", "lock", "you", "--if-version", "0");
        Assert.Equal((1, $"Not written: the key is at version {version}\n"), (refused.ExitCode, refused.Output));
        Ran missing = await RunAsync("put", "other", "x", "--if-version", "7");
        Assert.Equal((1, "Not written: the key does not exist\n"), (missing.ExitCode, missing.Output));
        Assert.Equal(1, (await RunAsync("delete", "lock", "--if-version", "7")).ExitCode);
        Assert.Equal("Deleted\n", (await RunAsync("delete", "lock", "--if-version", $"{version}")).Output);
        Ran gone = await RunAsync("delete", "lock");
        Assert.Equal((1, "Key not found\n"), (gone.ExitCode, gone.Output));
    }

    [Fact]
    public async Task Reads_of_the_past_and_history_are_printed()
    {
        await RunAsync("put", "a", "1");
        ulong first = await _store.VersionOfAsync("a");
        await RunAsync("put", "a", "2", "--ttl", "90s");
        await RunAsync("delete", "a");

        Assert.Equal("1", (await RunAsync("get", "a", "--version", $"{first}")).Output);
        string[] lines = (await RunAsync("history", "a")).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);
        Assert.EndsWith("(deleted)", lines[0], StringComparison.Ordinal);
        Assert.Equal($"{first}  {TextForm.OfTime(new Core.Version(first).ToTime())}  1", lines[2]);
        Assert.Single((await RunAsync("history", "a", "--limit", "1")).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Ran never = await RunAsync("history", "b");
        Assert.Equal((1, "", "(nil)\n"), (never.ExitCode, never.Output, never.Error));
    }

    [Fact]
    public async Task Scans_print_keys_in_order()
    {
        for (int i = 0; i < 5; i++)
        {
            await RunAsync("put", $"user:{i}", $"v{i}");
        }

        Assert.Equal("user:0 => v0\nuser:1 => v1\n", (await RunAsync("scan", "--prefix", "user:", "--limit", "2")).Output);
        Assert.Equal("user:4\nuser:3\n", (await RunAsync("scan", "--reverse", "--keys-only", "--limit", "2")).Output);
        Assert.Equal("5\n", (await RunAsync("scan", "--count")).Output);
        Assert.Equal("user:1 => v1\n", (await RunAsync("scan", "--start", "user:1", "--end", "user:2")).Output);
        ulong version = await _store.VersionOfAsync("user:4");
        Assert.Equal($"user:4 => v4 (version: {version})\n", (await RunAsync("scan", "--prefix", "user:4", "--versions")).Output);
        Assert.Equal(
            $$"""{"key":"user:4","value":"v4","version":{{version}}}""" + "\n",
            (await RunAsync("scan", "--prefix", "user:4", "-o", "json")).Output);
        Assert.Equal(ExitCode.Usage, (await RunAsync("scan", "--prefix", "a", "--start", "b")).ExitCode);
    }

    [Fact]
    public async Task A_watch_prints_events_and_ends_at_its_limit()
    {
        await RunAsync("put", "config:a", "1");
        ulong first = await _store.VersionOfAsync("config:a");
        await RunAsync("put", "other", "x");
        await RunAsync("delete", "config:a");

        Ran watch = await RunAsync("watch", "--prefix", "config:", "--from", $"{first}", "--limit", "2");
        ulong last = await _store.VersionOfAsync("config:a");
        Assert.Equal($"PUT config:a => 1 (version: {first})\nDELETE config:a (version: {last})\n", watch.Output);
        Ran json = await RunAsync("watch", "--prefix", "config:", "--from", $"{first}", "--limit", "1", "--output", "json");
        string time = new Core.Version(first).ToTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        Assert.Equal(
            $$"""{"type":"PUT","key":"config:a","value":"1","version":{{first}},"time":"{{time}}"}""" + "\n",
            json.Output);
    }

    [Fact]
    public async Task A_watch_ends_quietly_when_it_is_interrupted()
    {
        using CancellationTokenSource stop = new();
        Task<Ran> watch = RunAsync(["watch"], null, stop.Token);
        while (_node.Count("Watch") == 0)
        {
            await Task.Yield();
        }

        await stop.CancelAsync();

        Ran ran = await watch;
        Assert.Equal((130, "", ""), (ran.ExitCode, ran.Output, ran.Error));
    }

    [Fact]
    public async Task Transactions_are_written_in_a_small_language()
    {
        string[] take = ["txn", "--compare", "missing({job}:lock)", "--then", "put {job}:lock me and you", "--else", "get {job}:lock"];
        Ran first = await RunAsync(take);
        ulong version = await _store.VersionOfAsync("{job}:lock");
        Assert.Equal((0, $"Succeeded (version: {version})\n1) OK (version: {version})\n"), (first.ExitCode, first.Output));
        Ran second = await RunAsync(take);
        Assert.Equal((1, "Comparison failed\n1) me and you\n"), (second.ExitCode, second.Output));
        Ran third = await RunAsync(
            "txn",
            "-c",
            "value({job}:lock) = me and you",
            "-c",
            $"version({{job}}:lock) < {version + 1}",
            "-t",
            "delete {job}:lock",
            "-t",
            "get {job}:lock",
            "-o",
            "json");
        Assert.Equal(0, third.ExitCode);
        Assert.Contains("""[{"deleted":true},{"found":false}]""", third.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("get")]
    [InlineData("frobnicate")]
    [InlineData("get", "a", "--at", "yesterday-ish")]
    [InlineData("get", "a", "--version", "0")]
    [InlineData("get", "a", "--version", "x")]
    [InlineData("get", "a", "--version", "5", "--at", "5m")]
    [InlineData("put", "a", "1", "--ttl", "soon")]
    [InlineData("put", "a", "1", "--ttl", "0s")]
    [InlineData("get", "a", "--peers", "host:port")]
    [InlineData("get", "a", "--peers", ",")]
    [InlineData("get", "a", "--output", "xml")]
    [InlineData("get", "a", "--timeout", "0s")]
    [InlineData("scan", "--limit", "-1")]
    [InlineData("txn", "--compare", "nonsense", "--then", "get a")]
    [InlineData("txn", "--then", "jump a")]
    [InlineData("txn", "--then", "get \"a")]
    [InlineData("txn")]
    [InlineData("watch", "--from", "0")]
    [InlineData("completion", "tcsh")]
    [InlineData("cluster")]
    public async Task A_command_line_that_makes_no_sense_ends_with_2_and_says_why(params string[] arguments)
    {
        Ran ran = await RunAsync(arguments);

        Assert.Equal(ExitCode.Usage, ran.ExitCode);
        Assert.StartsWith("henge: ", ran.Error, StringComparison.Ordinal);
        Assert.Equal("", ran.Output);
    }

    [Theory]
    [InlineData(ErrorCode.Unavailable, 3)]
    [InlineData(ErrorCode.UnknownOutcome, 4)]
    [InlineData(ErrorCode.TooLarge, 5)]
    [InlineData(ErrorCode.CrossShard, 5)]
    [InlineData(ErrorCode.HistoryGone, 6)]
    [InlineData(ErrorCode.Corruption, 7)]
    [InlineData(ErrorCode.DiskFull, 8)]
    [InlineData(ErrorCode.Internal, 10)]
    public async Task Errors_go_to_standard_error_and_have_their_own_exit_codes(ErrorCode code, int exitCode)
    {
        _instead = call =>
        {
            call.Fail(code, "what went wrong");
            return Task.CompletedTask;
        };

        Ran text = await CliRun.RunAsync(_node.Address, ["put", "a", "1", "--timeout", "1s"], time: new WaitingTime());
        Assert.Equal((exitCode == 7 ? 4 : exitCode == 10 ? 4 : exitCode, ""), (text.ExitCode, text.Output));
        Assert.Contains("what went wrong", text.Error, StringComparison.Ordinal);
        Ran json = await CliRun.RunAsync(_node.Address, ["get", "a", "--timeout", "300ms", "--output", "json"], time: new WaitingTime());
        Assert.Equal(exitCode, json.ExitCode);
        Assert.Equal(code.ToString(), JsonDocument.Parse(json.Error).RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    // A node of before there were members.
    private static Func<FakeCall, Task> WithoutTopology(Func<FakeCall, Task> handler) => call =>
    {
        if (call.Method != "Topology")
        {
            return handler(call);
        }

        call.Fail(ErrorCode.UnsupportedFormat);
        return Task.CompletedTask;
    };

    [Fact]
    public async Task Status_prints_the_seeds_two_lines_and_a_table()
    {
        Wire.StatusResponse Status(string node, string role) => new()
        {
            NodeId = node,
            Role = role,
            Term = 3,
            LeaderId = "node1",
            CommittedIndex = 1247,
            AppliedIndex = 1247,
            Address = _node.Address,
            UptimeMs = 65_000,
            Engine = new Wire.EngineStatus { MemtableBytes = 1024, TableBytes = 2048 },
            Log = new Wire.LogStatus { Bytes = 64 << 20 },
            Peers = { "node2", "node3" },
            Shards =
            {
                new Wire.ShardStatus { Shard = 0, Role = role, Term = 3, CommittedIndex = 1247, AppliedIndex = role == "leader" ? 1247u
                    : 1240u, LastIndex = 1248 },
            },
        };
        _instead = WithoutTopology(async call =>
        {
            if (call.Method == "NodeStatus")
            {
                await call.WriteAsync(Status("node1", "leader"));
                return;
            }

            Wire.ClusterStatusResponse all = new();
            all.Nodes.Add(
                new Wire.ClusterStatusResponse.Types.Node
                {
                    NodeId = "node1",
                    Address = "127.0.0.1:7001",
                    Status = Status("node1", "leader"),
                });
            all.Nodes.Add(
                new Wire.ClusterStatusResponse.Types.Node
                {
                    NodeId = "node2",
                    Address = "127.0.0.1:7002",
                    Status = Status("node2", "follower"),
                });
            all.Nodes.Add(
                new Wire.ClusterStatusResponse.Types.Node
                {
                    NodeId = "node3",
                    Address = "127.0.0.1:7003",
                    Error = "connection refused",
                });
            await call.WriteAsync(all);
        });

        Ran ran = await RunAsync("status", "--shards");

        Assert.Equal(
            """
            Node: node1 | Role: leader | Term: 3 | Leader: node1
            Committed: 1247 | Applied: 1247 | Peers: [node2, node3]
            Cluster: degraded | 2 of 3 nodes up (not node3), every shard has a leader

            NODE   ADDRESS         ROLE      LEADS  TERM  COMMITTED  APPLIED  LAG       LOG   ENGINE    UP
            -----  --------------  --------  -----  ----  ---------  -------  ---  --------  -------  ----
            node1  127.0.0.1:7001  leader      1/1     3       1247     1247    0  64.0 MiB  3.0 KiB  1m5s
            node2  127.0.0.1:7002  follower    0/1     3       1247     1247    7  64.0 MiB  3.0 KiB  1m5s
            node3  127.0.0.1:7003  down
            node3 is down: connection refused

            SHARD  LEADER  TERM  COMMITTED  LAST  node1  node2
            -----  ------  ----  ---------  ----  -----  -----
                0  node1      3       1247  1248   1247   1240

            """.ReplaceLineEndings("\n"),
            ran.Output);
        JsonElement json = JsonDocument.Parse((await RunAsync("status", "--output", "json")).Output).RootElement;
        Assert.Equal(1247, json.GetProperty("committed").GetInt32());
        Assert.Equal(3, json.GetProperty("nodes").GetArrayLength());
        Assert.Equal("degraded", json.GetProperty("verdict").GetString());
    }

    [Fact]
    public async Task Status_names_nodes_whose_clocks_are_off_and_versions_that_are_ahead()
    {
        Wire.StatusResponse Status(int node, Wire.ClockStatus clock) => new()
        {
            NodeId = $"node{node}",
            Role = "leader",
            Clock = clock,
            Shards = { new Wire.ShardStatus { Shard = 0, Role = node == 1 ? "leader" : "follower", LeaderId = "node1" } },
        };
        Wire.StatusResponse[] nodes =
        [
            Status(1, new Wire.ClockStatus { Known = true, SkewMs = 40 }),
            Status(2, new Wire.ClockStatus { Known = true, SkewMs = 7_200_000, Overruled = true }),
            Status(3, new Wire.ClockStatus { Known = true, SkewMs = -60_000, Overruled = true, VersionLeadMs = 3_600_000 }),
        ];
        _instead = WithoutTopology(async call =>
        {
            Wire.ClusterStatusResponse all = new();
            all.Nodes.AddRange(nodes.Select(static n => new Wire.ClusterStatusResponse.Types.Node { NodeId = n.NodeId, Status = n }));
            await (call.Method == "NodeStatus" ? call.WriteAsync(nodes[0]) : call.WriteAsync(all));
        });

        string[] lines =
        [
            .. (await RunAsync("status")).Output.Split('\n').Where(static l => l.StartsWith("Clock: ", StringComparison.Ordinal)),
        ];
        Assert.Equal(3, lines.Length);
        Assert.StartsWith("Clock: node2 is 2h0m ahead of the majority", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("Clock: node3 is 1m0s behind the majority", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("Clock: the versions of a shard on node3 are 1h0m ahead", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Status_of_a_cluster_that_cannot_serve_is_told_by_the_exit_code()
    {
        // A node that has just lost its followers still believes that it leads.
        Wire.StatusResponse status = new()
        {
            NodeId = "node1",
            Role = "leader",
            Shards =
            {
                new Wire.ShardStatus
                {
                    Shard = 0,
                    Role = "leader",
                    LeaderId = "node1",
                },
            },
        };
        int down = 2;
        _instead = WithoutTopology(async call =>
        {
            Wire.ClusterStatusResponse all = new();
            for (int i = 1; i <= 3; i++)
            {
                all.Nodes.Add(
                    new Wire.ClusterStatusResponse.Types.Node
                    {
                        NodeId = $"node{i}",
                        Status = i <= 3 - down ? status : null,
                        Error = i <= 3 - down ? "" : "refused",
                    });
            }

            await (call.Method == "NodeStatus" ? call.WriteAsync(status) : call.WriteAsync(all));
        });

        Ran lost = await RunAsync("status");
        Assert.Equal(ExitCode.Unavailable, lost.ExitCode);
        Assert.Contains("Cluster: unavailable | 1 of 3 nodes up (not node2, node3)", lost.Output, StringComparison.Ordinal);
        Assert.Equal(
            "unavailable",
            JsonDocument.Parse((await RunAsync("status", "-o", "json")).Output).RootElement.GetProperty("verdict").GetString());

        down = 0;
        Assert.Equal(
            (0, true),
            (
                (await RunAsync("status")).ExitCode,
                (await RunAsync("status")).Output.Contains("Cluster: healthy | 3 of 3 nodes up", StringComparison.Ordinal)));

        // All nodes are there, and none leads.
        status.Shards[0].Role = "follower";
        status.Shards[0].LeaderId = "";
        Assert.Equal(ExitCode.Unavailable, (await RunAsync("status")).ExitCode);
        Assert.Equal(ExitCode.Unavailable, (await RunAsync("status", "--node-only")).ExitCode);
    }

    [Theory]
    [InlineData("")]
    [InlineData("help")]
    [InlineData("help status")]
    [InlineData("version")]
    [InlineData("--version")]
    public async Task Help_and_version_are_no_errors(string arguments)
    {
        Ran ran = await RunAsync(arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal((0, ""), (ran.ExitCode, ran.Error));
        Assert.NotEqual("", ran.Output);
    }

    [Theory]
    [InlineData("gte", "henge get")]
    [InlineData("cluster topolgy", "henge cluster topology")]
    [InlineData("frobnicate", "history")]
    [InlineData("cluster", "topology")]
    public async Task An_unknown_command_is_told_by_its_name(string arguments, string told)
    {
        Ran ran = await RunAsync(arguments.Split(' '));
        Assert.Equal((ExitCode.Usage, ""), (ran.ExitCode, ran.Output));
        Assert.Contains(told, ran.Error, StringComparison.Ordinal);
        Assert.Contains(arguments.Split(' ')[^1], ran.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Required command", ran.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_misspelt_variable_is_not_ignored()
    {
        Ran refused = await CliRun.RunAsync(_node.Address, ["get", "a"], variables: ["HENGE_PEER"]);
        Assert.Equal(ExitCode.Usage, refused.ExitCode);
        Assert.Contains("HENGE_PEERS", refused.Error, StringComparison.Ordinal);
        Assert.Equal(
            1,
            (await CliRun.RunAsync(_node.Address, ["get", "a"], variables: ["HENGE_PEERS", "HENGE_NODE_ID", "HENGE_TLS_KEY"])).ExitCode);
    }

    [Fact]
    public async Task Leaders_are_asked_to_hand_over_each_for_its_own_shards()
    {
        Wire.TopologyResponse topology = new() { ClusterId = "c", ShardCount = 3 };
        topology.Nodes.Add(new Wire.NodeInfo { NodeId = "node1", Address = _node.Address });
        topology.Nodes.Add(new Wire.NodeInfo { NodeId = "node2", Address = "127.0.0.1:1" });
        topology.Shards.Add(new Wire.ShardInfo { Shard = 0, LeaderId = "node1" });
        topology.Shards.Add(new Wire.ShardInfo { Shard = 1, LeaderId = "node2" });
        topology.Shards.Add(new Wire.ShardInfo { Shard = 2, LeaderId = "node1" });
        Wire.TransferLeaderRequest? asked = null;
        _instead = async call =>
        {
            if (call.Method == "Topology")
            {
                await call.WriteAsync(topology);
                return;
            }

            asked = await call.ReadAsync(Wire.TransferLeaderRequest.Parser);
            await call.WriteAsync(new Wire.TransferLeaderResponse { Transferred = (uint)asked!.Shards.Count });
        };

        Ran ran = await RunAsync("cluster", "transfer-leader", "--to", "node2");

        Assert.Equal((0, "Transferred: 2\n"), (ran.ExitCode, ran.Output));
        Assert.Equal("node2", asked!.ToNodeId);
        Assert.Equal([0u, 2u], asked.Shards);
        Assert.Equal(ExitCode.Usage, (await RunAsync("cluster", "transfer-leader", "--to", "nobody")).ExitCode);
        Assert.Contains("0  node1", (await RunAsync("cluster", "topology")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_ends_with_examples()
    {
        Ran ran = await RunAsync("put", "--help");

        Assert.Equal(0, ran.ExitCode);
        Assert.Contains("Examples:\n  henge put user:1001", ran.Output.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        Assert.Contains("henge dev", (await RunAsync("--help")).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bash", "complete -o default -F _henge_complete henge")]
    [InlineData("zsh", "compdef _henge")]
    [InlineData("fish", "complete -c henge")]
    [InlineData("pwsh", "Register-ArgumentCompleter")]
    public async Task Completion_scripts_ask_the_program_itself(string shell, string expected)
    {
        Assert.Contains(expected, (await RunAsync("completion", shell)).Output, StringComparison.Ordinal);
        Assert.Contains("scan", (await RunAsync("[suggest:8]", "henge sc")).Output, StringComparison.Ordinal);
    }
}
