using System.Globalization;
using Henge.Core;
using Henge.Simulation.World;

namespace Henge.Simulation.Tests;

/// <summary>
/// A small campaign for each run of the tests; the large ones are run by hand (docs/simulation.md). HENGE_SIM_SEEDS says how many seeds.
/// </summary>
public sealed class SimulationTests
{
    static SimulationTests() => Invariant.Failed = static message => throw new SimulationException("Invariant broken: " + message);

    private static int Seeds =>
        int.TryParse(Environment.GetEnvironmentVariable("HENGE_SIM_SEEDS"), NumberStyles.None, CultureInfo.InvariantCulture, out int seeds)
            ? seeds
            : 200;

    [Fact]
    public void Clusters_under_faults_never_answer_wrongly_and_come_to_rest()
    {
        string?[] failures = new string?[Seeds];
        Parallel.For(0, Seeds, i => failures[i] = SimRun.Run((ulong)i + 1).Failure is { } failure ? $"seed {i + 1}: {failure}" : null);
        Assert.True(Array.TrueForAll(failures, static f => f is null), string.Join("\n", failures.Where(static f => f is not null)));
    }

    /// <summary>Seeds that found something once. Later changes give them other schedules; each bug has a test of its own besides.</summary>
    [Theory]
    [InlineData(83)]
    [InlineData(106)]
    [InlineData(131)]
    [InlineData(251)]
    [InlineData(253)]
    [InlineData(575)]
    [InlineData(2241)]
    [InlineData(61868)]
    [InlineData(402647)]
    [InlineData(500101)]
    [InlineData(600358)]
    [InlineData(600626)]
    [InlineData(910096)]
    [InlineData(1101030)]
    [InlineData(1101070)]
    [InlineData(1601862)]
    [InlineData(2001073)]
    [InlineData(4013602)]
    [InlineData(4100259)]
    [InlineData(5005017)]
    [InlineData(5102452)]
    [InlineData(95000334)]
    public void What_was_found_once_is_not_found_again(int seed) => Assert.Null(SimRun.Run((ulong)seed).Failure);

    [Theory]
    [InlineData(7)]
    [InlineData(8)]
    public void The_same_seed_gives_the_same_run_twice(int seed)
    {
        SimResult first = SimRun.Run((ulong)seed), second = SimRun.Run((ulong)seed);
        Assert.Equal(first.TraceHash, second.TraceHash);
        Assert.Equal(first.Events, second.Events);
    }

    /// <summary>A campaign that does not find deliberate bugs proves nothing.</summary>
    [Theory]
    [MemberData(nameof(AllCanaries))]
    public void A_deliberate_bug_is_found(Canary canary) =>
        Assert.True(CanaryHunt.Find(canary, out _) > 0, $"{canary} was not found within {canary.Budget()} seeds.");

    public static TheoryData<Canary> AllCanaries() => [.. Enum.GetValues<Canary>().Where(static c => c != Canary.None)];
}
