using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;

namespace Henge.Node.Tests.Members;

public sealed class MemberTableTests
{
    [Fact]
    public void Members_come_change_and_leave_and_a_number_never_belongs_to_another_name()
    {
        var told = new List<MemberInfo>();
        var table = new MemberTable([Member(1, "a"), Member(2, "b")]) { Changed = told.Add };
        Assert.Equal(["a", "b"], table.Current.Select(static m => m.Name));
        Assert.False(table.Set(Member(2, "b")));
        Assert.True(table.Set(Member(7, "c")));
        Assert.Equal([1UL, 2, 7], table.Current.Select(static m => m.Id.Value));
        Assert.False(table.Contains(new NodeId(5)));
        Assert.Throws<HengeException>(() => table.Set(Member(7, "d")));
        Assert.True(table.Set(Member(2, "b") with { State = MemberState.Left }));
        Assert.False(table.Contains(new NodeId(2)));
        Assert.True(table.HasLeft(new NodeId(2)));
        Assert.False(table.Set(Member(2, "b")), "one that has left came back");
        Assert.Equal(2, table.Count);
        Assert.Equal(7UL, table.HighestId);
        Assert.Equal([7UL, 2], told.Select(static m => m.Id.Value));
    }

    [Fact]
    public void There_is_a_highest_number()
    {
        var table = new MemberTable([]);
        Assert.True(table.Set(Member(MemberTable.MostIds, "last")));
        Assert.Throws<HengeException>(() => table.Set(Member(MemberTable.MostIds + 1, "beyond")));
        Assert.Throws<HengeException>(() => table.Set(Member(0, "none")));
        Assert.False(table.Contains(new NodeId(ulong.MaxValue)));
    }

    [Fact]
    public void A_map_gives_each_number_a_place_that_does_not_move()
    {
        var map = new MemberMap<int>();
        ref int first = ref map[new NodeId(1)];
        for (ulong id = 1; id <= MemberTable.MostIds; id++)
        {
            map[new NodeId(id)] += (int)id;
        }

        Assert.Equal(1, first);
        Assert.Equal(MemberTable.MostIds, map[new NodeId(MemberTable.MostIds)]);
        Assert.Throws<HengeException>(() => map[new NodeId(MemberTable.MostIds + 1)] = 1);
    }

    private static MemberInfo Member(ulong id, string name) => new(new NodeId(id), name, $"{name}:1");
}
