namespace Henge.Storage.Lsm.Settings;

/// <summary>
/// Deliberate bugs of the engine, for the simulator and the storage tests to prove that they would find them. Never set outside of them.
/// </summary>
[Flags]
internal enum StorageBugs
{
    /// <summary>No planted bug.</summary>
    None = 0,
    /// <summary>An edit is written to the manifest without looking whether it still fits, as builds before decision 0130 did.</summary>
    WriteUncheckedEdits = 1 << 0,
    /// <summary>
    /// The output of a compaction counts as written after drops that came while it was being written, so that what they dropped comes back.
    /// </summary>
    OutputsForgetLaterDrops = 1 << 1,
}
