using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>A node as the catalog has it.</summary>
public readonly record struct NodeEntry(NodeId Id, string Name, string Address);
