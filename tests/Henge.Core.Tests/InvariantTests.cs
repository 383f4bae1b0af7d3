namespace Henge.Core.Tests;

public sealed class InvariantTests
{
    [Fact]
    public void A_broken_invariant_names_the_expression_and_does_not_return()
    {
        Action<string> before = Invariant.Failed;
        string? said = null;
        try
        {
            Invariant.Failed = message => said = message;
            int one = 1;
            Invariant.Check(one == 1);
            Assert.Null(said);
            Assert.Throws<InvalidOperationException>(() => Invariant.Check(one == 2, "detail"));
        }
        finally
        {
            Invariant.Failed = before;
        }

        Assert.Contains("one == 2", said, StringComparison.Ordinal);
        Assert.Contains("detail", said, StringComparison.Ordinal);
        Assert.Contains(nameof(A_broken_invariant_names_the_expression_and_does_not_return), said, StringComparison.Ordinal);
    }
}
