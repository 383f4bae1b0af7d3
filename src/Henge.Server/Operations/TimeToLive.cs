using Henge.Node.Api;

namespace Henge.Server.Operations;

/// <summary>What is left until something expires. Pure functions.</summary>
internal static class TimeToLive
{
    /// <summary>Milliseconds until an expiry, at least 1, seen from the version that was read at (zero: from now); 0 for never.</summary>
    public static long Remaining(long expiresAtMs, Core.Version readVersion, IHengeNode node) => expiresAtMs == 0
        ? 0
        : Math.Max(1, expiresAtMs - (readVersion.IsZero ? node.Now : readVersion).Milliseconds);
}
