namespace Henge.Simulation;

/// <summary>Looks for a deliberate bug.</summary>
internal static class CanaryHunt
{
    /// <summary>The first seed that finds it, within its budget; -1 when none does.</summary>
    public static int Find(Canary canary, out string? how)
    {
        for (int seed = 1; seed <= canary.Budget(); seed++)
        {
            SimResult result = SimRun.Run((ulong)seed, canary);
            // What fails without the bug as well has not found the bug.
            if (result.Failure is not null && SimRun.Run((ulong)seed, canary, isReference: true).Failure is null)
            {
                how = result.Failure.Split('\n')[0];
                how = how.Length > 120 ? how[..120] + "…" : how;
                return seed;
            }
        }

        how = null;
        return -1;
    }
}
