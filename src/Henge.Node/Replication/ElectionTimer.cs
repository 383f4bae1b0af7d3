using Henge.Node.Context;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>Times the elections that one replica wins. Belongs to its worker.</summary>
internal sealed class ElectionTimer(NodeContext node)
{
    private RaftRole _role;
    private long _preVoteSince;
    private long _candidateSince;

    /// <summary>The replica's role may have changed.</summary>
    public void OnRole(RaftRole role)
    {
        if (role == _role)
        {
            return;
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
