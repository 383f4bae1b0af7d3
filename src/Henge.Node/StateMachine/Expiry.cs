namespace Henge.Node.StateMachine;

/// <summary>When a value ends.</summary>
/// <param name="Mode">How it is given.</param>
/// <param name="Milliseconds">Milliseconds, by mode; 0 for <see cref="ExpiryMode.Never"/>.</param>
public readonly record struct Expiry(ExpiryMode Mode, long Milliseconds)
{
    /// <summary>No expiry.</summary>
    public static Expiry Never => default;

    /// <summary>So many milliseconds (more than 0) after the version of the write.</summary>
    public static Expiry After(long milliseconds) => new(ExpiryMode.After, milliseconds);

    /// <summary>At a moment in milliseconds since the epoch of versions; one that has passed makes the write a deletion.</summary>
    public static Expiry At(long milliseconds) => new(ExpiryMode.At, Math.Max(1, milliseconds));

    /// <summary>The moment in milliseconds since the epoch of versions when written at a version; 0 for never.</summary>
    internal long Resolve(Core.Version version) => Mode switch
    {
        ExpiryMode.After => Math.Min(version.Milliseconds + Math.Min(Milliseconds, CommandLimits.MaxExpiryMs), CommandLimits.MaxExpiryMs),
        ExpiryMode.At => Math.Min(Milliseconds, CommandLimits.MaxExpiryMs),
        _ => 0,
    };
}
