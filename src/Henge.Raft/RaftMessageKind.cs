using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>Kinds of message. The numbers are on the wire: never change one.</summary>
public enum RaftMessageKind : byte
{
    /// <summary><see cref="Raft.RequestVote"/>.</summary>
    RequestVote = 1,
    /// <summary><see cref="Raft.RequestVoteResponse"/>.</summary>
    RequestVoteResponse = 2,
    /// <summary><see cref="Raft.AppendEntries"/>.</summary>
    AppendEntries = 3,
    /// <summary><see cref="Raft.AppendEntriesResponse"/>.</summary>
    AppendEntriesResponse = 4,
    /// <summary><see cref="Raft.Heartbeat"/>.</summary>
    Heartbeat = 5,
    /// <summary><see cref="Raft.HeartbeatResponse"/>.</summary>
    HeartbeatResponse = 6,
    /// <summary><see cref="Raft.InstallSnapshot"/>.</summary>
    InstallSnapshot = 7,
    /// <summary><see cref="Raft.ReadIndexRequest"/>.</summary>
    ReadIndexRequest = 8,
    /// <summary><see cref="Raft.ReadIndexResponse"/>.</summary>
    ReadIndexResponse = 9,
    /// <summary><see cref="Raft.TimeoutNow"/>.</summary>
    TimeoutNow = 10,
}
