using Henge.Core;

namespace Henge.Raft;

/// <summary>How replication to a peer stands.</summary>
public enum PeerState : byte
{
    /// <summary>The leader looks for the point where the logs agree: one append at a time.</summary>
    Probe = 0,

    /// <summary>Appends are sent optimistically, as many as the window holds.</summary>
    Replicate = 1,

    /// <summary>A snapshot is on its way; nothing else is sent.</summary>
    Snapshot = 2,
}
