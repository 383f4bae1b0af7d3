using Henge.Node.Context;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// Times the elections that one replica wins, and keeps those that it begins within the budget of its worker. Belongs to its worker.
/// </summary>
internal sealed class ElectionTimer(NodeContext node, ElectionBudget budget, RaftGroup group)
{
    private RaftRole _role;
    private ulong _begun;
    private long _beganAt = -1;
    private long _preVoteSince;
    private long _candidateSince;

    /// <summary>Ticks pass for the group, the last of which is this one by the clock.</summary>
    public void Tick(long tick, int ticks)
    {
        budget.PassTo(tick);
        group.HoldsElections = !budget.HasRoom;
        group.Tick(ticks);
        NoteBegun(tick);
    }

    /// <summary>The group shall stand for election, if it hears no leader.</summary>
    public void Stand(long tick)
    {
        budget.PassTo(tick);
        group.HoldsElections = !budget.HasRoom;
        group.Campaign();
        NoteBegun(tick);
    }

    private void NoteBegun(long tick)
    {
        if (group.ElectionsBegun != _begun)
        {
            _begun = group.ElectionsBegun;
            NoteEnd();
            budget.Begin(tick);
            _beganAt = tick;
        }
    }

    private void NoteEnd()
    {
        if (_beganAt >= 0)
        {
            budget.End(_beganAt);
            _beganAt = -1;
        }
    }

    /// <summary>The replica's role may have changed.</summary>
    public void OnRole(RaftRole role)
    {
        if (role == _role)
        {
            return;
        }

        if (role is RaftRole.Leader or RaftRole.Follower)
        {
            NoteEnd();
        }

        TimeProvider time = node.Environment.Time;
        long now = time.GetTimestamp();
        switch (role)
        {
            case RaftRole.PreCandidate:
                _preVoteSince = now;
                break;
            case RaftRole.Candidate:
                // A transfer, or a group of one, begins here.
                _preVoteSince = _role == RaftRole.PreCandidate ? _preVoteSince : now;
                _candidateSince = now;
                break;
            case RaftRole.Leader when _role == RaftRole.Candidate:
                node.Elections.Add(new(time.GetElapsedTime(_candidateSince, now), time.GetElapsedTime(_preVoteSince, now)));
                break;
        }

        _role = role;
    }
}
