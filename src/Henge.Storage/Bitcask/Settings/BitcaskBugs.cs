using Henge.Core;

namespace Henge.Storage.Bitcask.Settings;

/// <summary>
/// Deliberate bugs of the engine, for its tests to prove that they would find them. Never set outside of them.
/// </summary>
[Flags]
internal enum BitcaskBugs
{
    /// <summary>No planted bug.</summary>
    None = 0,
    /// <summary>A merge drops a tombstone although an older value of its key lies in a segment that stays.</summary>
    DropTombstonesTooEarly = 1 << 0,
    /// <summary>A merge lets an entry go for a newer one that is not durable yet.</summary>
    TrustUnsyncedEntries = 1 << 1,
    /// <summary>A merged segment is deleted at once, whoever still reads in it.</summary>
    DeleteUnderReaders = 1 << 2,
    /// <summary>Segments that a merge wrote count as written after drops that came meanwhile.</summary>
    OutputsForgetLaterDrops = 1 << 3,
}

/// <summary>
/// The bugs by names that the rules can say. False outside of the simulator and of tests (<see cref="PlantedBugs.AreAllowed"/>).
/// </summary>
internal static class BitcaskBugPredicates
{
    extension(BitcaskBugs bugs)
    {
        /// <summary>A tombstone goes although an older value stays.</summary>
        public bool DropsTombstonesTooEarly => Has(bugs, BitcaskBugs.DropTombstonesTooEarly);

        /// <summary>Newer entries count although they are not durable.</summary>
        public bool TrustsUnsyncedEntries => Has(bugs, BitcaskBugs.TrustUnsyncedEntries);

        /// <summary>Files are deleted under their readers.</summary>
        public bool DeletesUnderReaders => Has(bugs, BitcaskBugs.DeleteUnderReaders);

        /// <summary>Drops that come during a merge are forgotten.</summary>
        public bool ForgetsLaterDrops => Has(bugs, BitcaskBugs.OutputsForgetLaterDrops);
    }

    private static bool Has(BitcaskBugs bugs, BitcaskBugs bug) => PlantedBugs.AreAllowed && (bugs & bug) != 0;
}
