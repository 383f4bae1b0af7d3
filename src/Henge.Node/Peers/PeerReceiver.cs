using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>Whom a frame is for.</summary>
/// <param name="Node">The receiver.</param>
/// <param name="Incarnation">The data directory that the sender takes it to run with; 0 when it does not know.</param>
internal readonly record struct PeerReceiver(NodeId Node, ulong Incarnation);
