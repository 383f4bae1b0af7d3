using Henge.Cluster.Steps;
using Henge.Core;

namespace Henge.Cluster.Tests.Steps;

/// <summary>
/// One Raft group, told as who has how much of one log. A leader is elected by majorities and has the longest log of those it can see; a
/// configuration is in force when it is appended, and joint ones are left when they are committed.
/// </summary>
internal sealed class ModelShard
{
    private readonly Random _random;
    private readonly Dictionary<NodeId, ulong> _has = [];
    private ulong _configurationAt;

    public ModelShard(Random random, IEnumerable<NodeId> voters)
    {
        _random = random;
        Voters = [.. voters];
        Leader = Voters[0];
    }

    public HashSet<NodeId> Down { get; } = [];

    public NodeId[] Voters { get; private set; }

    public NodeId[] Outgoing { get; private set; } = [];

    public NodeId[] Learners { get; private set; } = [];

    public NodeId Leader { get; private set; }

    public ulong Last { get; private set; }

    public ulong Commit { get; private set; }

    public IEnumerable<NodeId> Members => Voters.Union(Outgoing).Union(Learners);

    public bool HasLeader => !Leader.IsNone && !Down.Contains(Leader) && LiveMajority();

    public bool LiveMajority() => Majority(Voters, IsUp) && (Outgoing.Length == 0 || Majority(Outgoing, IsUp));

    public bool IsUp(NodeId id) => !Down.Contains(id);

    /// <summary>Everything committed is on a majority, whole.</summary>
    public bool IsSafe() =>
        Majority(Voters, id => Has(id) >= Commit) || (Outgoing.Length > 0 && Majority(Outgoing, id => Has(id) >= Commit));

    /// <summary>Somebody writes, members catch up a little or much, elections happen.</summary>
    public void Run()
    {
        if (Leader.IsNone || Down.Contains(Leader))
        {
            Elect();
        }

        if (!HasLeader)
        {
            return;
        }

        Append((ulong)_random.Next(5));
        foreach (NodeId id in Members.Where(IsUp))
        {
            _has[id] = Math.Min(Last, Has(id) + (ulong)_random.Next(_random.Next(4) == 0 ? 400 : 8));
        }

        _has[Leader] = Last;
        Advance();
    }

    public ShardConfiguration Look(IReadOnlyCollection<NodeId> down) => new()
    {
        Leader = Leader,
        Voters = Voters,
        Learners = Learners,
        IsSettled = Outgoing.Length == 0 && Commit >= _configurationAt,
        Last = new LogIndex(Last),
        Commit = new LogIndex(Commit),
        Down = down,
        Replicas = [.. Members.Select(id => new ReplicaProgress(id, new LogIndex(Has(id)), IsUp(id), true))],
    };

    public void Do(ShardStep step)
    {
        switch (step.Kind)
        {
            case ShardStepKind.TransferLeader:
                Assert.Contains(step.To, Voters);
                Leader = step.To;
                _has[Leader] = Last;
                break;
            case ShardStepKind.AddLearners or ShardStepKind.RemoveLearners:
                Assert.True(Voters.ToHashSet().SetEquals(step.Voters));
                Configure(Voters, [], step.Learners);
                break;
            case ShardStepKind.ChangeVoters:
                // What Raft would refuse.
                Assert.All(step.Voters.Except(Voters), id => Assert.Contains(id, Learners));
                Assert.All(step.Voters.Except(Voters), id => Assert.True(Has(id) + 100 >= Commit && IsUp(id)));
                Assert.True(Majority([.. step.Voters], id => IsUp(id) && Has(id) + 100 >= Commit));
                Configure(step.Voters, Voters, step.Learners);
                Assert.True(LiveMajority());
                break;
        }
    }

    private void Configure(IEnumerable<NodeId> voters, NodeId[] outgoing, IEnumerable<NodeId> learners)
    {
        Assert.True(Outgoing.Length == 0 && Commit >= _configurationAt);
        (Voters, Outgoing, Learners) = ([.. voters], outgoing, [.. learners]);
        Forget();
        Append(1);
        _configurationAt = Last;
        _has[Leader] = Last;
    }

    private void Advance()
    {
        ulong reached = Math.Min(Reached(Voters), Outgoing.Length == 0 ? ulong.MaxValue : Reached(Outgoing));
        Commit = Math.Max(Commit, reached);
        if (Commit >= _configurationAt && Outgoing.Length > 0)
        {
            Outgoing = [];
            Append(1);
            _configurationAt = Last;
        }

        if (Outgoing.Length == 0 && Commit >= _configurationAt)
        {
            Forget();
            if (!Voters.Contains(Leader))
            {
                Leader = NodeId.None;
            }
        }
    }

    // Who is no member any more drops what it has.
    private void Forget()
    {
        foreach (NodeId id in _has.Keys.Except(Members).Except([Leader]).ToArray())
        {
            _has.Remove(id);
        }
    }

    // The longest log that is in touch has all that is committed, as long as a majority has.
    private void Elect()
    {
        Leader = NodeId.None;
        if (LiveMajority())
        {
            NodeId longest = Voters.Union(Outgoing).Where(IsUp).MaxBy(Has);
            Assert.True(Has(longest) >= Commit);
            Leader = longest;
            Last = Math.Max(Has(longest), _configurationAt);
            _has[longest] = Last;
        }
    }

    private void Append(ulong count) => Last += count;

    private ulong Has(NodeId id) => _has.GetValueOrDefault(id);

    private ulong Reached(NodeId[] voters) => voters.Select(Has).OrderDescending().ElementAt(voters.Length / 2);

    private static bool Majority(NodeId[] voters, Func<NodeId, bool> which) => voters.Count(which) > voters.Length / 2;
}
