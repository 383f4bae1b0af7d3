using Henge.Cluster.Steps;
using Henge.Core;
using Henge.Node.Moves;

namespace Henge.Node.Tests.Moves;

public sealed class ShardMoverTests : IMovableShard
{
    private readonly List<string> _done = [];
    private readonly ShardMover _mover;
    private ShardConfiguration? _seen;
    private bool _refuses;
    private ulong _looked;
    private NodeId[] _down = [];
    private int _looks;
    private long _nowMs;

    public ShardMoverTests() => _mover = new ShardMover(this);

    public ShardId Shard => new(3);

    public (LogIndex Configuration, Term Term) Standing => (new LogIndex((ulong)_done.Count + _looked), new Term(1));

    public ShardConfiguration? Look()
    {
        _looks++;
        return _seen is { } seen ? seen with { Down = _down } : null;
    }

    public bool TryChange(IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners)
    {
        _done.Add($"{Digits(voters)}+{Digits(learners)}");
        if (!_refuses)
        {
            _seen = Seen(Digits(voters), Digits(learners));
        }

        return !_refuses;
    }

    public bool TryTransfer(NodeId to)
    {
        _done.Add($">{to.Value}");
        return true;
    }

    private static NodeId[] Ids(string digits) => [.. digits.Select(static c => new NodeId((ulong)(c - '0')))];

    private static string Digits(IEnumerable<NodeId> ids) => string.Concat(ids.Select(static id => id.Value).Order());

    private static ShardConfiguration Seen(string voters, string learners = "", ulong match = 500, long bytes = 0) => new()
    {
        Leader = new NodeId(1),
        Voters = Ids(voters),
        Learners = Ids(learners),
        Last = new LogIndex(500),
        Commit = new LogIndex(500),
        Replicas =
        [
            .. Ids(voters).Select(static id => new ReplicaProgress(id, new LogIndex(500), true, true)),
            .. Ids(learners).Select(id => new ReplicaProgress(id, new LogIndex(match), true, bytes == 0, false, bytes)),
        ],
    };

    private void Tick(string target, int times = 1, string down = "")
    {
        _down = Ids(down);
        for (int i = 0; i < times; i++, _nowMs += ShardMover.IntervalMs)
        {
            _mover.Tick(_nowMs, Ids(target));
        }
    }

    [Fact]
    public void A_shard_is_brought_to_its_target_and_then_left_alone()
    {
        _seen = Seen("123");
        Tick("124");
        Assert.Equal(ShardStepKind.AddLearners, _mover.Move!.Step);
        Tick("124", 10);
        Assert.Equal(["123+4", "124+"], _done);
        Assert.Null(_mover.Move);
    }

    [Fact]
    public void Who_does_not_lead_does_nothing()
    {
        Tick("124", 10);
        Assert.Empty(_done);
        Assert.Null(_mover.Move);
    }

    /// <summary>It was told for ever of a move that another leader had ended.</summary>
    [Fact]
    public void Who_does_not_lead_any_more_tells_of_no_move()
    {
        _seen = Seen("123", "4", match: 10);
        Tick("124");
        Assert.NotNull(_mover.Move);
        _mover.OnLedElsewhere();
        Assert.Null(_mover.Move);

        // It begins anew when it leads again.
        Tick("124");
        Assert.NotNull(_mover.Move);
    }

    [Fact]
    public void Another_target_in_the_middle_takes_back_what_was_begun()
    {
        _seen = Seen("123", "4", match: 10);
        Tick("125", 2);
        Tick("123", 2);
        Assert.Equal(["123+5", "125+"], _done.Take(2));
        _done.Clear();
        _seen = Seen("123", "4", match: 10);
        Tick("123", 2);
        Assert.Equal(["123+"], _done);
        Assert.Null(_mover.Move);
    }

    [Fact]
    public void What_was_refused_is_tried_again_but_not_at_each_tick()
    {
        _refuses = true;
        _seen = Seen("123");
        for (int i = 0; i < 10; i++)
        {
            _mover.Tick(i * ShardMover.IntervalMs / 10, Ids("124"));
        }

        Assert.Single(_done);
        _nowMs = ShardMover.IntervalMs;
        Tick("124", 3);
        Assert.Equal(4, _done.Count);
    }

    [Fact]
    public void A_leader_that_goes_hands_over_and_one_that_stays_does_not()
    {
        _seen = Seen("123", "4");
        Tick("234", 5);
        Assert.Equal([">2"], _done);
        _done.Clear();
        _nowMs += 10_000;
        _seen = Seen("123");
        Tick("213", 5);
        Assert.Empty(_done);
        Assert.Null(_mover.Move);
    }

    [Fact]
    public void A_move_that_does_not_come_nearer_is_told()
    {
        for (long left = 1_000_000; left > 0; left -= 1_000)
        {
            _seen = Seen("123", "4", match: 0, bytes: left);
            Tick("124");
            Assert.False(_mover.Move!.IsStuck);
        }

        Assert.True(_nowMs > ShardMover.StuckMs);
        Tick("124", (int)(ShardMover.StuckMs / ShardMover.IntervalMs) - 1);
        Assert.False(_mover.Move!.IsStuck);
        Tick("124", 2);
        Assert.True(_mover.Move!.IsStuck);
        Assert.Equal((StepWait.CatchingUp, 1_000L, 500UL), (_mover.Move.Wait, _mover.Move.BytesLeft, _mover.Move.EntriesLeft));
        Assert.Equal(Ids("4"), _mover.Move.WaitsFor);
        _seen = Seen("123", "4", match: 200);
        Tick("124");
        Assert.False(_mover.Move!.IsStuck);
        Assert.Equal(300UL, _mover.Move.EntriesLeft);
    }

    [Fact]
    public void A_shard_at_rest_is_not_looked_at_before_something_changes()
    {
        NodeId[] target = Ids("123");
        void At(long nowMs) => _mover.Tick(nowMs, target);
        _seen = Seen("123");
        for (int i = 0; i < 100; i++)
        {
            At(i * ShardMover.IntervalMs);
        }

        Assert.Equal(1, _looks);
        _looked++;
        At(1_000 * ShardMover.IntervalMs);
        Assert.Equal(2, _looks);
        target = Ids("124");
        At(1_001 * ShardMover.IntervalMs);
        Assert.Equal(3, _looks);
        Assert.Equal(["123+4"], _done);
    }

    [Fact]
    public void Members_that_are_down_are_not_added()
    {
        _seen = Seen("123");
        Tick("124", 3, down: "4");
        Assert.Empty(_done);
        Assert.Equal(StepWait.TargetIsDown, _mover.Move!.Wait);
    }
}
