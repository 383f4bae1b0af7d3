using Henge.Core;

namespace Henge.Node.Context;

/// <summary>Who sends a frame. Every frame says it, so that no frame of another cluster is accepted, whatever the transport does.</summary>
/// <param name="Cluster">A hash of what the sender's cluster was made with (<see cref="FoundingSettings.ComputeDigest"/>).</param>
/// <param name="Node">The sender.</param>
/// <param name="Incarnation">The number that the sender's data directory was given when it was made.</param>
internal readonly record struct PeerSender(ulong Cluster, NodeId Node, ulong Incarnation);
