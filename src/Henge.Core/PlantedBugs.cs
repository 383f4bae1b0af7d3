using System.Diagnostics.CodeAnalysis;

namespace Henge.Core;

/// <summary>
/// Whether this process may run with bugs on purpose, which the simulator switches on to prove that it would find them. Only processes
/// whose runtime configuration has <see cref="SwitchName"/> may (the tests' and the simulator's). In all others the predicates that ask for
/// a bug are constant: the compiler that runs with the process takes a <c>static readonly</c> for a constant, and the one ahead of time
/// puts <c>false</c> in its place, so that the branches go (decision 0179).
/// </summary>
public static class PlantedBugs
{
    /// <summary>The switch in the runtime configuration.</summary>
    public const string SwitchName = "Henge.PlantedBugs";

    /// <summary>True in the simulator and in tests alone. Thread-safe.</summary>
    [FeatureSwitchDefinition(SwitchName)]
    public static bool AreAllowed { get; } = AppContext.TryGetSwitch(SwitchName, out bool isOn) && isOn;
}
