using Henge.Core;

namespace Henge.Raft.Tests;

public sealed class MembershipLogTests
{
    private static readonly Membership First = new([new(1)]), Second = new([new(1), new(2)]), Third = new([new(2), new(3)]);

    private static MembershipLog Three()
    {
        MembershipLog log = new(First, LogIndex.Zero);
        log.Append(new(5), Second);
        log.Append(new(9), Third);
        return log;
    }

    [Fact]
    public void The_last_is_in_force_and_each_was_until_the_next()
    {
        MembershipLog log = Three();
        Assert.Equal((Third, new LogIndex(9), Second), (log.Current, log.CurrentIndex, log.Previous));
        foreach ((ulong index, Membership expected) in (IEnumerable<(ulong, Membership)>)
            [(0, First), (4, First), (5, Second), (8, Second), (9, Third), (99, Third)])
        {
            Assert.Same(expected, log.At(new(index)));
        }
    }

    [Fact]
    public void Cutting_the_log_brings_back_the_one_before_but_never_takes_the_first()
    {
        MembershipLog log = Three();
        Assert.False(log.TruncateFrom(new(10)));
        Assert.Same(Third, log.Current);
        Assert.True(log.TruncateFrom(new(9)));
        Assert.Equal((Second, First), (log.Current, log.Previous));
        Assert.True(log.TruncateFrom(new(1)));
        Assert.Equal((First, null), (log.Current, log.Previous));
        Assert.False(log.TruncateFrom(LogIndex.Zero));
        Assert.Same(First, log.Current);
    }

    [Fact]
    public void Compacting_forgets_those_before_the_one_in_force_there()
    {
        MembershipLog log = Three();
        log.CompactThrough(new(4));
        Assert.Same(First, log.At(new(4)));
        log.CompactThrough(new(5));
        Assert.Same(Second, log.At(new(4)));
        Assert.Same(Second, log.Previous);
        log.CompactThrough(new(20));
        Assert.Equal((Third, null), (log.Current, log.Previous));
    }

    [Fact]
    public void A_membership_that_is_cut_off_with_the_log_is_told_as_a_change()
    {
        Lab lab = new([1, 2, 3], [4]);
        lab.Elect(1);
        lab.Change(1, [1, 2, 3]);
        Assert.Equal(3, lab[1].Membership.Members.Count);
        // Nobody has heard of it, and another leader has another entry there.
        lab.DropAll(1);
        RaftGroup group = lab[1];
        group.Receive(new AppendEntries
        {
            From = new(2),
            To = new(1),
            Term = new(2),
            PrevIndex = new(1),
            PrevTerm = new(1),
            Entries = new[] { new Entry(new(2), new(2), EntryKind.Empty, default) },
        });
        Assert.Equal(4, Assert.IsType<Membership>(group.TakeReady().Membership).Members.Count);
    }
}
