using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Tests.Peers;

/// <summary>Where shards are, as a node knows it, and the record that tells it.</summary>
public sealed class ShardNewsTests
{
    private static readonly NodeId[][] Founding = [[new(1), new(2), new(3)], [new(3), new(4), new(5)]];
    private readonly ShardDirectory _directory = new(new NodeId(9), Founding);
    private readonly List<ShardId> _changed = [];

    public ShardNewsTests() => _directory.Changed += _changed.Add;

    [Fact]
    public void What_is_told_by_a_later_term_or_of_a_later_index_counts()
    {
        Assert.Equal(Founding[1], _directory.PlaceOf(new ShardId(1)).Voters);
        Assert.True(_directory.PlaceOf(new ShardId(1)).Leader.IsNone);
        Assert.True(_directory.Learn(Place(term: 5, leader: 4, index: 0)));
        Assert.Equal(new NodeId(4), _directory.PlaceOf(new ShardId(1)).Leader);

        // An older leader's word, and a node's that knows of none.
        Assert.False(_directory.Learn(Place(term: 4, leader: 3, index: 0)));
        Assert.False(_directory.Learn(Place(term: 6, leader: 0, index: 0)));
        Assert.Equal(new NodeId(4), _directory.PlaceOf(new ShardId(1)).Leader);

        Assert.True(_directory.Learn(Place(term: 5, leader: 4, index: 10, 4, 5, 6)));
        Assert.False(_directory.Learn(Place(term: 5, leader: 4, index: 9, 3, 4, 5)));
        Assert.Equal([new NodeId(4), new NodeId(5), new NodeId(6)], _directory.PlaceOf(new ShardId(1)).Voters);

        // The change was lost with its leader; the next one's list stands at a lower index.
        Assert.True(_directory.Learn(Place(term: 7, leader: 5, index: 3, 3, 4, 5)));
        Assert.Equal([new NodeId(3), new NodeId(4), new NodeId(5)], _directory.PlaceOf(new ShardId(1)).Voters);
        Assert.Equal([new ShardId(1), new ShardId(1), new ShardId(1)], _changed);
        Assert.Equal(4UL, _directory.Generation);
    }

    [Fact]
    public void A_node_forgets_a_leader_that_its_own_replica_has_lost()
    {
        _directory.Learn(Place(term: 5, leader: 4, index: 0));
        _directory.Publish(Place(term: 5, leader: 0, index: 0));
        Assert.True(_directory.PlaceOf(new ShardId(1)).Leader.IsNone);
        Assert.True(_directory.Learn(Place(term: 5, leader: 4, index: 0)));
    }

    [Fact]
    public void A_leader_that_cannot_be_reached_is_asked_for_again_unless_a_replica_of_the_node_tells()
    {
        _directory.Learn(Place(term: 5, leader: 4, index: 0));
        _directory.OnDisconnected(new NodeId(5));
        Assert.Equal(new NodeId(4), _directory.PlaceOf(new ShardId(1)).Leader);
        _directory.OnDisconnected(new NodeId(4));
        Assert.True(_directory.PlaceOf(new ShardId(1)).Leader.IsNone);
        _directory.Learn(Place(term: 6, leader: 4, index: 1, 4, 5, 9));
        _directory.OnDisconnected(new NodeId(4));
        Assert.Equal(new NodeId(4), _directory.PlaceOf(new ShardId(1)).Leader);
    }

    [Fact]
    public void Changes_of_shards_that_the_node_leads_are_kept_for_others()
    {
        _directory.Publish(Place(term: 5, leader: 4, index: 0));
        Assert.False(_directory.TryTakeLedChange(out _));
        _directory.Publish(Place(term: 6, leader: 9, index: 0));
        Assert.True(_directory.TryTakeLedChange(out ShardId shard));
        Assert.Equal(new ShardId(1), shard);
        Assert.False(_directory.TryTakeLedChange(out _));
    }

    [Fact]
    public void Shards_that_do_not_exist_are_passed_over()
    {
        Assert.False(_directory.Learn(Place(term: 5, leader: 4, index: 0) with { Shard = new ShardId(2) }));
        Assert.False(_directory.Learn(Place(term: 5, leader: 4, index: 0) with { Shard = ShardId.Catalog }));
        Assert.Empty(_changed);
    }

    [Fact]
    public void The_leader_is_asked_first_and_then_the_others_by_turns()
    {
        ShardPlace place = Place(term: 5, leader: 4, index: 0);
        Assert.Equal([4UL, 5, 3, 4], Enumerable.Range(0, 4).Select(i => place.LeaderOrVoter(i, new NodeId(9)).Value));
        Assert.Equal([4UL, 5, 4, 4], Enumerable.Range(0, 4).Select(i => place.LeaderOrVoter(i, new NodeId(3)).Value));
        Assert.True((place with { Voters = [new NodeId(3)], Leader = default }).LeaderOrVoter(1, new NodeId(3)).IsNone);
        Assert.Equal(3, Enumerable.Range(0, 3).Select(i => place.AnyReplica(i, new NodeId(9))).Distinct().Count());
    }

    [Fact]
    public void A_record_comes_back_as_it_was_written_and_a_cut_one_ends_the_walk()
    {
        var frame = new PeerFrameBuilder(new PeerSender(1, new NodeId(2), 3), new NodeId(4));
        frame.BeginRecord(PeerRecordKind.ShardNews, ShardId.Catalog);
        ShardPlace[] places =
        [
            Place(term: 5, leader: 4, index: 10, 4, 5, 6) with { Learners = [new NodeId(7)] },
            Place(term: 6, leader: 0, index: 0),
        ];
        foreach (ShardPlace place in places)
        {
            ShardNews.Append(frame, place);
        }

        frame.EndRecord();
        PeerRecordReader records = PeerFrame.ReadChecked(frame.Complete(0));
        Assert.True(records.MoveNext());
        byte[] body = records.Body.ToArray();
        ReadOnlySpan<byte> rest = body;
        foreach (ShardPlace place in places)
        {
            Assert.True(ShardNews.TryRead(ref rest, out ShardPlace read));
            Assert.True(read.HasSameNodes(place));
            Assert.Equal(
                (place.Shard, place.Term, place.Leader, place.MembershipTerm, place.MembershipIndex),
                (read.Shard, read.Term, read.Leader, read.MembershipTerm, read.MembershipIndex));
        }

        Assert.False(ShardNews.TryRead(ref rest, out _));
        for (int length = 0; length < body.Length; length++)
        {
            rest = body.AsSpan(0, length);
            int count = 0;
            while (ShardNews.TryRead(ref rest, out _))
            {
                count++;
            }

            Assert.True(count < 2);
        }
    }

    private static ShardPlace Place(ulong term, ulong leader, ulong index, params ulong[] voters) =>
        new()
        {
            Shard = new ShardId(1),
            Term = new Term(term),
            Leader = new NodeId(leader),
            MembershipTerm = new Term(leader == 0 ? 0 : term),
            MembershipIndex = new LogIndex(index),
            Voters = voters.Length == 0 ? Founding[1] : [.. voters.Select(static v => new NodeId(v))],
        };
}
