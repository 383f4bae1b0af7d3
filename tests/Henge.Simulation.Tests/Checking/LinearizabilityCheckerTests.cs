using Henge.Simulation.Checking;

namespace Henge.Simulation.Tests.Checking;

public sealed class LinearizabilityCheckerTests
{
    private static KeyOperation Op(
        KeyAction action,
        long call,
        long ret,
        long value = 0,
        ulong version = 0,
        ulong condition = 0,
        KeyOutcome outcome = KeyOutcome.Ok) =>
        new()
        {
            Client = 1,
            Action = action,
            Call = call,
            Return = ret,
            Value = value,
            Version = version,
            Condition = condition,
            Outcome = outcome,
        };

    [Fact]
    public void A_read_after_a_write_must_see_it()
    {
        Assert.Null(LinearizabilityChecker.Check([Op(KeyAction.Write, 1, 2, 7, 70), Op(KeyAction.Read, 3, 4, 7, 70)]));
        Assert.NotNull(LinearizabilityChecker.Check([Op(KeyAction.Write, 1, 2, 7, 70), Op(KeyAction.Read, 3, 4)]));
    }

    [Fact]
    public void Reads_beside_a_write_may_see_it_or_not_but_never_go_back()
    {
        KeyOperation write = Op(KeyAction.Write, 1, 10, 7, 70);
        Assert.Null(LinearizabilityChecker.Check([write, Op(KeyAction.Read, 2, 3), Op(KeyAction.Read, 4, 5, 7, 70)]));
        Assert.NotNull(LinearizabilityChecker.Check([write, Op(KeyAction.Read, 2, 3, 7, 70), Op(KeyAction.Read, 4, 5)]));
    }

    [Fact]
    public void A_write_of_unknown_outcome_may_take_effect_late_or_never_but_only_once()
    {
        KeyOperation unknown = Op(KeyAction.Write, 1, 0, 7, outcome: KeyOutcome.Unknown);
        KeyOperation other = Op(KeyAction.Write, 2, 3, 8, 80);
        Assert.Null(LinearizabilityChecker.Check([unknown, other, Op(KeyAction.Read, 4, 5, 8, 80)]));
        Assert.Null(LinearizabilityChecker.Check([unknown, other, Op(KeyAction.Read, 4, 5, 8, 80), Op(KeyAction.Read, 6, 7, 7, 90)]));
        Assert.NotNull(
            LinearizabilityChecker.Check([
                unknown,
                Op(KeyAction.Read, 2, 3, 7, 70),
                Op(KeyAction.Write, 4, 5, 8, 80),
                Op(KeyAction.Read, 6, 7, 8, 80),
                Op(KeyAction.Read, 8, 9, 7, 70),
            ]));
    }

    [Fact]
    public void A_condition_is_judged_by_the_version_that_the_key_is_at()
    {
        KeyOperation write = Op(KeyAction.Write, 1, 2, 7, 70);
        Assert.Null(LinearizabilityChecker.Check([write, Op(KeyAction.WriteIf, 3, 4, 8, 80, condition: 70)]));
        Assert.NotNull(LinearizabilityChecker.Check([write, Op(KeyAction.WriteIf, 3, 4, 8, 80, condition: 60)]));
        Assert.Null(
            LinearizabilityChecker.Check([write, Op(KeyAction.WriteIf, 3, 4, 8, 70, condition: 0, outcome: KeyOutcome.ConditionFailed)]));
        Assert.NotNull(
            LinearizabilityChecker.Check([write, Op(KeyAction.WriteIf, 3, 4, 8, 70, condition: 70, outcome: KeyOutcome.ConditionFailed)]));
        Assert.NotNull(LinearizabilityChecker.Check([Op(KeyAction.DeleteIf, 1, 2, condition: 5)]));
    }

    [Fact]
    public void A_condition_may_hold_for_the_version_of_an_unacknowledged_write_and_for_no_other_unknown_version()
    {
        KeyOperation unknown = Op(KeyAction.Write, 1, 0, 7, outcome: KeyOutcome.Unknown);
        Assert.Null(LinearizabilityChecker.Check([unknown, Op(KeyAction.WriteIf, 2, 3, 8, 80, condition: 70)]));
        Assert.NotNull(LinearizabilityChecker.Check([Op(KeyAction.WriteIf, 2, 3, 8, 80, condition: 70)]));
        Assert.NotNull(
            LinearizabilityChecker.Check([unknown, Op(KeyAction.Read, 2, 3, 7, 71), Op(KeyAction.WriteIf, 4, 5, 8, 80, condition: 70)]));
    }

    [Fact]
    public void Two_winners_of_one_condition_are_found()
    {
        Assert.NotNull(
            LinearizabilityChecker.Check([
                Op(KeyAction.WriteIf, 1, 9, 7, 70, condition: 0),
                Op(KeyAction.WriteIf, 2, 8, 8, 80, condition: 0),
            ]));
    }

    [Fact]
    public void One_value_cannot_have_two_versions()
    {
        Assert.Contains(
            "was told with versions",
            LinearizabilityChecker.Check([Op(KeyAction.Write, 1, 2, 7, 70), Op(KeyAction.Read, 3, 4, 7, 71)]),
            StringComparison.Ordinal);
    }

    /// <summary>
    /// A write whose client never heard of its version can be named by a condition: the version then comes from the cluster's own history.
    /// </summary>
    [Fact]
    public void A_condition_may_name_the_version_of_a_write_of_unknown_outcome()
    {
        KeyOperation[] history =
        [
            Op(KeyAction.Write, 1, 2, 7, 0, outcome: KeyOutcome.Unknown),
            Op(KeyAction.WriteIf, 3, 4, 8, 80, condition: 70),
        ];
        Assert.Null(LinearizabilityChecker.Check(history, [KeyValuePair.Create(7L, 70UL)]));
        Assert.NotNull(LinearizabilityChecker.Check(history, [KeyValuePair.Create(7L, 60UL)]));
    }

    /// <summary>
    /// Histories made from a true order are accepted; with one read changed to a value that was overwritten before it began they are
    /// refused.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Random_true_histories_pass_and_a_single_stale_read_fails(int seed)
    {
        var random = new Random(seed);
        for (int round = 0; round < 200; round++)
        {
            var history = new List<KeyOperation>();
            long value = 0, previous = -1;
            bool known = true, previousKnown = true;
            for (int i = 1; i <= 60; i++)
            {
                // Instants are 10 apart and operations reach up to 25 to both sides, so neighbours overlap.
                long at = i * 10, call = at - random.Next(1, 25), ret = at + random.Next(1, 25);
                if (random.Next(3) == 0)
                {
                    (previous, previousKnown) = (value, known);
                    (value, known) = (i, random.Next(5) != 0);
                    history.Add(Op(KeyAction.Write, call, ret, value, (ulong)value, outcome: known ? KeyOutcome.Ok : KeyOutcome.Unknown));
                }
                else
                {
                    history.Add(Op(KeyAction.Read, call, ret, value, (ulong)value));
                }
            }

            Assert.Null(LinearizabilityChecker.Check(history));
            // A write of unknown outcome may still take effect after the last read; a known one may not.
            if (previous > 0 && previousKnown)
            {
                history.Add(Op(KeyAction.Read, 990, 991, value, (ulong)value));
                history.Add(Op(KeyAction.Read, 995, 996, previous, (ulong)previous));
                Assert.NotNull(LinearizabilityChecker.Check(history));
            }
        }
    }
}
