using System.Text.Json;
using Henge.Cli.Outcome;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests.Cli;

/// <summary><c>henge cluster recover</c> against a fake node.</summary>
public sealed class RecoverCliTests : IAsyncLifetime
{
    private readonly List<Wire.RecoverRequest> _asked = [];
    private FakeNode _node = null!;
    private Wire.RecoverResponse _answer = new();

    public async ValueTask InitializeAsync() => _node = await FakeNode.StartAsync(async call =>
    {
        if (call.Method != "Recover")
        {
            call.Fail(ErrorCode.UnsupportedFormat, "no such method");
            return;
        }

        _asked.Add((await call.ReadAsync(Wire.RecoverRequest.Parser))!);
        await call.WriteAsync(_answer);
    });

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task A_plan_is_shown_with_what_it_loses_and_the_command_that_carries_it_out()
    {
        _answer = Plan();
        Ran ran = await RunAsync("--plan", "--start-empty", "5");
        Assert.Equal((ExitCode.No, ""), (ran.ExitCode, ran.Error));
        Assert.Contains("Lost: node2, node3.", ran.Output, StringComparison.Ordinal);
        Assert.Contains(
            "catalog  may lose writes                  90              100     12  not known     node2 node3    goes on, from node1",
            ran.Output,
            StringComparison.Ordinal);
        Assert.Contains("s0       has a majority", ran.Output, StringComparison.Ordinal);
        Assert.Contains("3 or more", ran.Output, StringComparison.Ordinal);
        Assert.Contains("PROBLEM: s5 stays", ran.Output, StringComparison.Ordinal);
        Assert.Contains("LOSS: ", ran.Output, StringComparison.Ordinal);
        Assert.EndsWith(
            $"henge cluster recover --apply --yes-lose-data 0a1b2c3d4e5f --start-empty 5 --peers {_node.Address}\n",
            ran.Output,
            StringComparison.Ordinal);

        // A machine that is slow may have it asked twice: that is a question, and asking again changes nothing.
        Assert.NotEmpty(_asked);
        Assert.All(_asked, asked => Assert.Equal(
            ("", 5U, _node.Address),
            (asked.ApplyPlanId, asked.StartEmpty.Single(), asked.Addresses.Single())));

        using JsonDocument json = JsonDocument.Parse((await RunAsync("--plan", "--output", "json")).Output);
        Assert.Equal("0a1b2c3d4e5f", json.RootElement.GetProperty("plan").GetString());
        JsonElement shard = json.RootElement.GetProperty("shards")[0];
        Assert.Equal(("catalog", 100, 90), (
            shard.GetProperty("shard").GetString(),
            shard.GetProperty("kept_version").GetInt32(),
            shard.GetProperty("certain_version").GetInt32()));
    }

    [Fact]
    public async Task The_exit_code_says_whether_something_may_be_lost()
    {
        _answer = new Wire.RecoverResponse { PlanId = "0a1b2c3d4e5f", LosesNothing = true };
        Ran ran = await RunAsync("--plan");
        Assert.Equal(ExitCode.Ok, ran.ExitCode);
        Assert.Contains("No acknowledged write is lost", ran.Output, StringComparison.Ordinal);
        _answer = new Wire.RecoverResponse { Refusal = "There is nothing to recover." };
        ran = await RunAsync("--plan");
        Assert.Equal((ExitCode.Refused, "Refused: There is nothing to recover.\n"), (ran.ExitCode, ran.Output));
    }

    [Theory]
    [InlineData("--apply", "--yes-lose-data")]
    [InlineData("--plan --apply --yes-lose-data 0a1b2c3d4e5f", "Say --plan")]
    [InlineData("", "Say --plan")]
    [InlineData("--plan --yes-lose-data 0a1b2c3d4e5f", "Nothing was done")]
    [InlineData("--plan --start-empty -1", "counted from 0")]
    public async Task Nothing_is_asked_for_that_was_not_said_clearly(string arguments, string error)
    {
        Ran ran = await RunAsync(arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(ExitCode.Usage, ran.ExitCode);
        Assert.Contains(error, ran.Error, StringComparison.Ordinal);
        Assert.Empty(_asked);
    }

    [Fact]
    public async Task A_plan_is_carried_out_by_its_name()
    {
        _answer = Plan();
        _answer.Done = true;
        Ran ran = await RunAsync("--apply", "--yes-lose-data", "0a1b2c3d4e5f");
        Assert.Equal((ExitCode.Ok, ""), (ran.ExitCode, ran.Error));

        // Said again, it is gone on with.
        Assert.NotEmpty(_asked);
        Assert.All(_asked, static asked => Assert.Equal("0a1b2c3d4e5f", asked.ApplyPlanId));
        Assert.Contains("Plan 0a1b2c3d4e5f is carried out.", ran.Output, StringComparison.Ordinal);
        Assert.Contains("Never start the lost nodes again", ran.Output, StringComparison.Ordinal);
    }

    private static Wire.RecoverResponse Plan()
    {
        Wire.RecoverResponse plan = new() { PlanId = "0a1b2c3d4e5f" };
        plan.Survivors.Add("node1");
        plan.Lost.Add(["node2", "node3"]);
        Wire.ShardRecovery catalog = new()
        {
            Shard = 0x3FFF_FFFF,
            Kind = "MayLose",
            Action = "goes on",
            FromId = "node1",
            KeptVersion = 100,
            CertainVersion = 90,
            KeptEntry = 12,
        };
        catalog.Lost.Add(["node2", "node3"]);
        plan.Shards.Add(catalog);
        plan.Shards.Add(new Wire.ShardRecovery { Shard = 0, Kind = "Serving", Action = "-" });
        plan.Shards.Add(new Wire.ShardRecovery { Shard = 1, Kind = "MayLose", Action = "stays as it is", CertainlyLost = 3 });
        plan.Shards.Add(new Wire.ShardRecovery { Shard = 5, Kind = "Gone", Action = "stays as it is" });
        plan.Problems.Add("s5 stays unavailable.");
        return plan;
    }

    private Task<Ran> RunAsync(params string[] arguments) => CliRun.RunAsync(_node.Address, ["cluster", "recover", .. arguments]);
}
