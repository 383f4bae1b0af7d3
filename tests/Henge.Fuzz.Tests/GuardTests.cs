using Henge.Core;
using Henge.Fuzz.Driving;
using Henge.Fuzz.Guarded;
using Henge.Fuzz.Targets;

namespace Henge.Fuzz.Tests;

/// <summary>Whether the fuzzers of a port that checks access would find it open.</summary>
public sealed class GuardTests
{
    private const int Most = 20_000;

    static GuardTests() => Invariant.Failed = static message => throw new InvalidOperationException(message);

    [Fact]
    public void A_hole_in_the_guard_is_found()
    {
        using GuardedPort open = new(withHole: true), closed = new();
        byte[][] seeds = [.. GuardedTargets.HttpSeeds()];

        // The seeds themselves do not go through it.
        Assert.All(seeds, seed => GuardedTargets.RunHttp(open, seed));
        Mutator mutator = new(seed: 1);
        for (int i = 0; i < Most; i++)
        {
            byte[] changed = mutator.Change(seeds[i % seeds.Length], seeds[i / seeds.Length % seeds.Length], 2048);
            try
            {
                GuardedTargets.RunHttp(open, changed);
            }
            catch (FuzzFailureException e)
            {
                Assert.Contains("got as far as to the node", e.Message, StringComparison.Ordinal);

                // Where there is no hole the same request gets nowhere.
                GuardedTargets.RunHttp(closed, changed);
                return;
            }
        }

        Assert.Fail($"{Most} inputs have not found the hole.");
    }

    [Fact]
    public void An_answer_that_gives_away_what_was_planted_is_found()
    {
        using GuardedPort port = new();
        FuzzFailureException told = Assert.Throws<FuzzFailureException>(() => port.Check("HTTP/1.1 200 OK\r\n\r\n"u8, port.Secret));
        Assert.Contains("gives away", told.Message, StringComparison.Ordinal);
    }
}
