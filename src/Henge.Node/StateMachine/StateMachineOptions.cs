using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.StateMachine;

/// <summary>How a state machine works. The same on all replicas, except in tests.</summary>
internal sealed record StateMachineOptions
{
    public static StateMachineOptions Default { get; } = new();

    /// <summary>Bounds of the session table.</summary>
    public SessionLimits Sessions { get; init; } = SessionLimits.Default;

    /// <summary>Deliberate bugs, for the simulator only.</summary>
    public NodeBugs Bugs { get; init; }
}
