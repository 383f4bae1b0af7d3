using Henge.Core;
using Henge.Server.Rest;
using Version = Henge.Core.Version;

namespace Henge.Server.Tests.Rest;

/// <summary>RFC 9110, section 13, as a function of the fields and the version that a key is at (0: it does not exist).</summary>
public sealed class PreconditionsTests
{
    [Theory]
    [InlineData(null, null, 5, "Met")]
    [InlineData("*", null, 5, "Met")]
    [InlineData("*", null, 0, "NotMatched")]
    [InlineData("\"5\"", null, 5, "Met")]
    [InlineData("\"4\", \"5\"", null, 5, "Met")]
    [InlineData("\"4\",,\"6\"", null, 5, "NotMatched")]
    [InlineData("W/\"5\"", null, 5, "NotMatched")]
    [InlineData("\"0\"", null, 0, "NotMatched")]
    [InlineData("\"05\"", null, 5, "NotMatched")]
    [InlineData("\"else\"", null, 5, "NotMatched")]
    [InlineData(null, "*", 5, "Matched")]
    [InlineData(null, "*", 0, "Met")]
    [InlineData(null, "\"5\"", 5, "Matched")]
    [InlineData(null, "W/\"5\"", 5, "Matched")]
    [InlineData(null, "\"3\", W/\"5\"", 5, "Matched")]
    [InlineData(null, "\"3\"", 5, "Met")]
    [InlineData(null, "\"3\"", 0, "Met")]
    [InlineData("\"5\"", "\"5\"", 5, "Matched")]
    [InlineData("\"4\"", "\"5\"", 5, "NotMatched")]
    [InlineData("5", null, 5, null)]
    [InlineData("\"5", null, 5, null)]
    [InlineData("*, \"5\"", null, 5, null)]
    [InlineData(null, "soon", 5, null)]
    [InlineData("", null, 5, null)]
    public void Fields_are_judged_as_the_RFC_has_it(string? match, string? none, ulong current, string? expected)
    {
        Preconditions Parse() => Preconditions.Parse(match, none);
        if (expected is null)
        {
            Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<HengeException>(Parse).Code);
            return;
        }

        Assert.Equal(expected, Parse().Evaluate(new Version(current)).ToString());
    }

    [Fact]
    public void Fields_that_stand_there_twice_are_one_list() =>
        Assert.Equal(PreconditionResult.Met, Preconditions.Parse(new(["\"4\"", "\"5\""]), default).Evaluate(new Version(5)));

    [Theory]
    [InlineData(null, null, "None")]
    [InlineData("*", null, "IfPresent")]
    [InlineData("\"5\"", null, "IfVersion")]
    [InlineData(null, "*", "IfAbsent")]
    [InlineData("\"0\"", null, null)]
    [InlineData("\"05\"", null, null)]
    [InlineData("W/\"5\"", null, null)]
    [InlineData("\"5\", \"6\"", null, null)]
    [InlineData("*", "*", null)]
    [InlineData(null, "\"5\"", null)]
    public void What_one_command_can_say_needs_no_look_first(string? match, string? none, string? condition)
    {
        bool direct = Preconditions.Parse(match, none).TryToCondition(out Node.StateMachine.PutCondition found, out _);
        Assert.Equal(condition, direct ? found.ToString() : null);
    }
}
