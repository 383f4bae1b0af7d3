using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Moves;

namespace Henge.Node.Tests.Moves;

public sealed class DeparturesTests
{
    private readonly Departures _departures = new();
    private readonly ShardReports _reports = new(2);

    [Fact]
    public void Who_is_leaving_can_go_when_no_placement_and_no_shard_names_it()
    {
        Report(0, "123");
        Report(1, "123");
        Assert.Equal("", Find("123", "123", generation: 5));
        Assert.Equal("", Find("124", "123", generation: 5));
        Assert.Equal("", Find("124", "124", generation: 6));
        Report(0, "124", generation: 6);
        Assert.Equal("", Find("124", "124", generation: 6));

        // A leader that follows an older placement may take it in again, and a configuration that is not final may still need it.
        Report(1, "124", generation: 5);
        Assert.Equal("", Find("124", "124", generation: 6));
        Report(1, "124", generation: 6, settled: false);
        Assert.Equal("", Find("124", "124", generation: 6));
        Report(1, "124", "3", generation: 6);
        Assert.Equal("", Find("124", "124", generation: 6));
        Report(1, "124", generation: 6);
        Assert.Equal("3", Find("124", "124", generation: 6));
        Assert.Equal("3", Find("124", "124", generation: 9));
        _departures.Clear();
        Assert.Equal("", Find("124", "124", generation: 9));
    }

    [Fact]
    public void Who_stays_does_not_go()
    {
        Report(0, "124", generation: 6);
        Report(1, "124", generation: 6);
        Assert.Equal("", Find("124", "124", generation: 6, MemberState.Up));
        Assert.Equal("", Find("124", "124", generation: 6, MemberState.Draining));
    }

    [Fact]
    public void Reports_of_earlier_terms_and_placements_do_not_take_the_place_of_later_ones()
    {
        Report(0, "12", term: 3, generation: 4);
        Report(0, "13", term: 2, generation: 9);
        Report(0, "14", term: 3, generation: 3);
        Assert.Equal(Ids("12"), _reports.Of(new ShardId(0))!.Voters);
        Report(0, "13", term: 3, generation: 4);
        Assert.Equal(Ids("13"), _reports.Of(new ShardId(0))!.Voters);
        Assert.Null(_reports.Of(new ShardId(1)));
        Assert.Null(_reports.Of(new ShardId(7)));
        Report(7, "12");
    }

    private static NodeId[] Ids(string digits) => [.. digits.Select(static c => new NodeId((ulong)(c - '0')))];

    private void Report(
        uint shard,
        string voters,
        string learners = "",
        ulong term = 1,
        ulong generation = 0,
        bool settled = true) => _reports.Take(new ShardReport
        {
            Shard = new ShardId(shard),
            Term = new Term(term),
            Generation = generation,
            IsSettled = settled,
            Voters = Ids(voters),
            Learners = Ids(learners),
        });

    private string Find(string goal, string followed, ulong generation, MemberState state = MemberState.Leaving) =>
        string.Join(' ', _departures.Find(
            new PlacementState
            {
                Inputs = "",
                Members =
                [
                    .. Ids("1234").Select(id => new PlanMember
                    {
                        Id = id,
                        Name = $"node{id.Value}",
                        State = id.Value == 3 ? state : MemberState.Up,
                    }),
                ],
                ReplicationFactor = 3,
                Goal = TargetPlacement.From(generation, 3, [Ids(goal), Ids(goal)]),
                Followed = TargetPlacement.From(generation, 3, [Ids(followed), Ids(followed)]),
            },
            _reports.Of).Select(static id => id.Value));
}
