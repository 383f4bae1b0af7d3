namespace Henge.Storage.Logs;

/// <summary>What opening a log found.</summary>
/// <param name="Records">Records read.</param>
/// <param name="Segments">Segments read.</param>
/// <param name="End">Where the good records end.</param>
/// <param name="CutTail">What was cut off and why, for the log of the process; null if the log ended cleanly.</param>
public sealed record LogRecoveryReport(long Records, int Segments, LogPosition End, string? CutTail);
