using Henge.Node.Context;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>Times the elections that one replica wins. Belongs to its worker.</summary>
internal sealed class ElectionTimer(NodeContext node)
{
    private RaftRole _role;
    private long _askedAt;
    private long _stoodAt;

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
                _askedAt = now;
                break;
            case RaftRole.Candidate:
                // A transfer, or a group of one, begins here.
                _askedAt = _role == RaftRole.PreCandidate ? _askedAt : now;
                _stoodAt = now;
                break;
            case RaftRole.Leader when _role == RaftRole.Candidate:
                node.Elections.Add(new(time.GetElapsedTime(_stoodAt, now), time.GetElapsedTime(_askedAt, now)));
                break;
        }

        _role = role;
    }
}
