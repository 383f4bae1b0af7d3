using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>How far a follower is, as its leader knows it.</summary>
public readonly record struct PeerProgress(NodeId Node, LogIndex Match, string State, bool Learner, bool Active, bool Damaged = false);
