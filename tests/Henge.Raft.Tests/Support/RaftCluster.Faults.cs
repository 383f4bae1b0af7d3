using Henge.Core;

namespace Henge.Raft.Tests;

// What goes wrong, and what callers do meanwhile.
internal sealed partial class RaftCluster
{
    private void DoSomething()
    {
        TestNode node = _nodes.Values.ElementAt(Next(_nodes.Count));
        if (!node.IsUp || node.BlockedUntilRound > _round)
        {
            return;
        }

        RaftGroup group = node.Group!;
        if (Chance(_faults.Sync))
        {
            foreach (TestNode other in _nodes.Values)
            {
                if (other.IsUp && other.HasUnsynced && other.BlockedUntilRound <= _round && Chance(0.7))
                {
                    Note($"sync {other.Id}");
                    other.Sync(1 + Next(other.UnsyncedCount));
                    Pump(other);
                }
            }
        }

        if (Chance(0.5))
        {
            TestNode? leader = _nodes.Values.FirstOrDefault(n =>
                n.IsUp && n.Group!.Role == RaftRole.Leader && n.BlockedUntilRound <= _round && Chance(0.7));
            if (leader is not null)
            {
                ProposeResult result = leader.Group!.Propose(new byte[8 + Next(60)]);
                Note($"propose {leader.Id} {result}");
                Pump(leader);
            }
        }

        if (Chance(group.Role == RaftRole.Leader ? Math.Max(0.3, _faults.ReadAtLeader) : 0.3))
        {
            Read(node);
        }

        if (Chance(_faults.Checkpoint))
        {
            node.Checkpoint(compact: true, keepEntries: (ulong)Next(8));
        }

        if (Chance(_faults.Campaign))
        {
            Note($"campaign {node.Id}");
            group.Campaign();
            Pump(node);
        }

        if (group.Role == RaftRole.Leader && Chance(_faults.Transfer * _nodes.Count))
        {
            NodeId target = group.Membership.Voters[Next(group.Membership.Voters.Count)];
            if (group.TransferLeadership(target) == TransferStatus.Started)
            {
                Note($"transfer {node.Id} to {target}");
                Transfers++;
                Pump(node);
            }
        }

        if (group.Role == RaftRole.Leader && Chance(_faults.MembershipChange * _nodes.Count))
        {
            ChangeMembership(node);
        }
    }

    private void Read(TestNode node)
    {
        // At this moment this much is certainly committed: a linearizable read that starts now must see it.
        ulong id = ++_nextRead;
        _reads.Add(id, CommittedNow());
        Note($"read {node.Id} {id}");
        node.Group!.RequestRead(id);
        Pump(node);
    }

    private void ChangeMembership(TestNode leader)
    {
        Membership now = leader.Group!.Membership;
        List<NodeId> voters = [.. now.Voters];
        List<NodeId> learners = [.. now.Learners];
        NodeId? added = null;
        switch (Next(5))
        {
            case 0 when _nodes.Count < 10:
                added = new NodeId(_nextId);
                learners.Add(added.Value);
                break;
            case 1 when learners.Count > 0:
                voters.Add(learners[0]);
                learners.RemoveAt(0);
                break;
            case 2 when voters.Count > 2:
                voters.RemoveAt(Next(voters.Count));
                break;
            case 3 when voters.Count > 1 && learners.Count > 0:
                voters[Next(voters.Count)] = learners[0];
                learners.RemoveAt(0);
                break;
            case 4 when learners.Count > 1:
                // Majorities of before and after need not meet here: the case that joint consensus is for.
                (voters, learners) = (learners, []);
                break;
            default:
                return;
        }

        MembershipResult result = leader.Group.ProposeMembership(voters, learners);
        if (result.IsAccepted)
        {
            Note($"membership {leader.Id} {leader.Group.Membership}");
            MembershipChanges++;
            if (added is { } id)
            {
                _nextId++;
                _nodes.Add(id, new TestNode(id, new Membership([]), OptionsOf, _random) { TicksAtStart = _round });
            }

            if (Chance(_faults.CutAtChange))
            {
                Cut([.. voters, leader.Id]);
            }

            Pump(leader);
        }
    }

    private void CrashAPromise()
    {
        if (_crashPromise.AtRound == _round && _nodes[_crashPromise.Voter] is { IsUp: true } voter)
        {
            Note($"crash {voter.Id} and start");
            voter.Crash(voter.UnsyncedCount);
            Crashes++;
            voter.Start();
            voter.TicksAtStart = _round;
            (voter.BlockedUntilRound, voter.LateTicks) = (0, 0);
            Cut([_crashPromise.Leader]);
        }
        else if (
            _crashPromise.AtRound < _round
            && Chance(_faults.CrashPromise)
            && _nodes.Values.FirstOrDefault(static n => n.IsUp && n.Group!.Role == RaftRole.Leader) is { } leader)
        {
            NodeId[] others = [.. _nodes.Keys.Where(id => id != leader.Id)];
            int voterAt = Next(others.Length);
            NodeId apart = others[(voterAt + 1) % others.Length];
            _crashPromise = (_round + 9 + (ulong)Next(14), leader.Id, others[voterAt]);
            _cut.Clear();
            _cut.Add((leader.Id, apart));
            _cut.Add((apart, leader.Id));
        }
    }

    private void CutSomething()
    {
        List<NodeId> ids = [.. _nodes.Keys];
        switch (Next(3))
        {
            case 0:
                // One node, both ways.
                NodeId alone = ids[Next(ids.Count)];
                foreach (NodeId id in ids)
                {
                    _cut.Add((alone, id));
                    _cut.Add((id, alone));
                }

                break;
            case 1:
                // Two sides.
                Cut([.. ids.Where(_ => Chance(0.5))]);
                break;
            default:
                // One way only.
                _cut.Add((ids[Next(ids.Count)], ids[Next(ids.Count)]));
                break;
        }

        Note($"cut {_cut.Count}");
    }

    private void Cut(HashSet<NodeId> side)
    {
        foreach (NodeId a in _nodes.Keys)
        {
            foreach (NodeId b in _nodes.Keys)
            {
                if (side.Contains(a) != side.Contains(b))
                {
                    _cut.Add((a, b));
                }
            }
        }
    }
}
