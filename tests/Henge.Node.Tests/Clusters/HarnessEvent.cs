namespace Henge.Node.Tests.Clusters;

/// <summary>An event that a node has told.</summary>
/// <param name="AtMs">When.</param>
/// <param name="Name">The name of the method of <see cref="Henge.Node.Context.INodeEvents"/>.</param>
/// <param name="Arguments">Its arguments.</param>
public readonly record struct HarnessEvent(long AtMs, string Name, object?[] Arguments)
{
    public override string ToString() => $"{AtMs} {Name}({string.Join(", ", Arguments)})";
}
