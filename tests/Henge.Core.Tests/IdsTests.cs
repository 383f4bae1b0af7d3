namespace Henge.Core.Tests;

public sealed class IdsTests
{
    [Fact]
    public void Ids_print_so_that_kinds_can_be_told_apart()
    {
        Assert.Equal("n7", new NodeId(7).ToString());
        Assert.Equal("-", NodeId.None.ToString());
        Assert.Equal("s3", new ShardId(3).ToString());
        Assert.Equal("catalog", ShardId.Catalog.ToString());
        Assert.Equal("12", new Term(12).ToString());
        Assert.Equal("9", new LogIndex(9).ToString());
    }

    [Fact]
    public void Ids_order_by_number()
    {
        Assert.Equal([1u, 2, 10], new[] { new ShardId(10), new ShardId(1), new ShardId(2) }.Order().Select(static s => s.Value));
        Assert.True(new Term(1) < new Term(2) && new Term(2) > Term.Zero && Term.Zero <= new Term(0) && Term.Zero.Next >= new Term(1));
        Assert.True(
            new LogIndex(1) < new LogIndex(2)
                && new LogIndex(2) > LogIndex.Zero
                && LogIndex.Zero <= new LogIndex(0)
                && LogIndex.Zero.Next >= new LogIndex(1));
        Assert.True(NodeId.None.CompareTo(new NodeId(1)) < 0);
        Assert.True(NodeId.None.IsNone && !new NodeId(1).IsNone);
        Assert.True(ShardId.Catalog.IsCatalog && !new ShardId(0).IsCatalog);
    }

    [Fact]
    public void Numbers_on_the_wire_do_not_change()
    {
        // Clients of other versions know these by number.
        string[] names = Enum.GetNames<ErrorCode>();
        Assert.Equal(
            "None=0 InvalidArgument=1 TooLarge=2 HistoryGone=3 NotLeader=4 Unavailable=5 UnknownOutcome=6 DeadlineExceeded=7 "
                + "ResourceExhausted=8 CrossShard=9 "
                + "Corruption=10 UnsupportedFormat=11 Locked=12 Misconfigured=13 Cancelled=14 Stopping=15 Internal=16 SessionExpired=17 "
                + "DiskFull=18 WrongType=19 Unauthenticated=20 PermissionDenied=21",
            string.Join(' ', names.Take(22).Select(static n => $"{n}={(int)Enum.Parse<ErrorCode>(n)}")));
    }

    [Fact]
    public void An_error_carries_code_message_and_cause()
    {
        var cause = new IOException("cause");
        var error = new HengeException(ErrorCode.DiskFull, "full", cause);
        Assert.Equal((ErrorCode.DiskFull, "full", cause), (error.Code, error.Message, error.InnerException));
    }
}
