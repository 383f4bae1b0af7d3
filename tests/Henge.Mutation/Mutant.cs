namespace Henge.Mutation;

/// <summary>One small change of the code.</summary>
/// <param name="Id">What the switch compares with.</param>
/// <param name="File">The file's name within its project.</param>
/// <param name="Line">The line, from 1.</param>
/// <param name="Before">What stands there.</param>
/// <param name="After">What is there in its place.</param>
internal sealed record Mutant(int Id, string File, int Line, string Before, string After);

/// <summary>What became of a mutant.</summary>
internal enum Fate
{
    /// <summary>No test runs the code.</summary>
    NotReached,

    /// <summary>All tests pass.</summary>
    Survived,

    /// <summary>A test fails.</summary>
    Killed,

    /// <summary>A test does not end.</summary>
    TimedOut,
}
