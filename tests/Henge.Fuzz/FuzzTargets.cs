using Henge.Fuzz.Targets;

namespace Henge.Fuzz;

/// <summary>All targets: one for each decoder of bytes that come from outside or from disk. A new decoder gets a line here.</summary>
internal static class FuzzTargets
{
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        .. DoorTargets.All,
        .. RespCommandTargets.All,
        .. ThriftTargets.All,
        .. RestTargets.All,
        .. AccessTargets.All,
        .. GuardedTargets.All,
        .. MessageTargets.All,
        .. TransferTargets.All,
        .. PeerTargets.All,
        .. PeerNodeTargets.All,
        .. CommandTargets.All,
        .. NodeFileTargets.All,
        .. LogTargets.All,
        .. TableTargets.All,
        .. BitcaskTargets.All,
    ];

    /// <summary>
    /// All of them (<c>all</c>), those whose names begin so (<c>guarded-*</c>), or one. Throws <see cref="ArgumentException"/> when there
    /// is none.
    /// </summary>
    public static IReadOnlyList<FuzzTarget> Matching(string name) =>
        name == "all" ? All
        : name.EndsWith('*') && All.Any(t => t.Name.StartsWith(name[..^1], StringComparison.Ordinal))
            ? [.. All.Where(t => t.Name.StartsWith(name[..^1], StringComparison.Ordinal))]
        : [Named(name)];

    /// <summary>The target of a name. Throws <see cref="ArgumentException"/> when there is none.</summary>
    public static FuzzTarget Named(string name) =>
        All.FirstOrDefault(target => target.Name == name) ?? throw new ArgumentException(
            $"There is no target '{name}'; there are: {string.Join(", ", All.Select(static t => t.Name))}.");
}
