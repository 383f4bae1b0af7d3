namespace Henge.Storage;

/// <summary>
/// Where in history a read stands. <paramref name="At"/> hides all newer versions; <paramref name="NowMs"/> (milliseconds since
/// the epoch of versions) hides what has expired by then. Time travel uses <see cref="AsOf"/>, where both are one moment.
/// </summary>
public readonly record struct ReadPoint(Core.Version At, long NowMs)
{
    /// <summary>As it was at a version.</summary>
    public static ReadPoint AsOf(Core.Version version) => new(version, version.Milliseconds);
}
