using Henge.Core;

namespace Henge.Storage.Lsm.Settings;

/// <summary>
/// The engine's bugs on purpose, each with a name that the rules can say. False outside of the simulator and of tests
/// (<see cref="PlantedBugs.AreAllowed"/>).
/// </summary>
internal static class StorageBugPredicates
{
    extension(StorageBugs bugs)
    {
        /// <summary>An edit is written to the manifest without looking whether it still fits.</summary>
        public bool WritesUncheckedEdits => Has(bugs, StorageBugs.WriteUncheckedEdits);

        /// <summary>The output of a compaction counts as written after drops that came while it was being written.</summary>
        public bool ForgetsLaterDrops => Has(bugs, StorageBugs.OutputsForgetLaterDrops);
    }

    private static bool Has(StorageBugs bugs, StorageBugs bug) => PlantedBugs.AreAllowed && (bugs & bug) != 0;
}
