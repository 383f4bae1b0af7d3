namespace Henge.Storage.Logs;

/// <summary>What a check of a log found.</summary>
/// <param name="Segments">Segment files looked at.</param>
/// <param name="Records">Good records, the log's own marks not counted.</param>
/// <param name="RecordBytes">Bytes of these, framing included.</param>
/// <param name="Damage">All damage; empty if the log is good.</param>
/// <param name="TornTail">Where the next open will cut a tail that a crash left, and why; null if there is none. Not damage.</param>
public sealed record LogVerifyReport(int Segments, long Records, long RecordBytes, IReadOnlyList<LogDamage> Damage, string? TornTail)
{
    /// <summary>True if nothing is damaged.</summary>
    public bool IsGood => Damage.Count == 0;
}
