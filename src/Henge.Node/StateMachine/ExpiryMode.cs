namespace Henge.Node.StateMachine;

/// <summary>How an expiry is given. The numbers are in the log.</summary>
public enum ExpiryMode : byte
{
    /// <summary>The key does not expire.</summary>
    Never = 0,
    /// <summary>So many milliseconds after the version at which the command is applied.</summary>
    After = 1,
    /// <summary>At a moment, in milliseconds since the epoch of versions.</summary>
    At = 2,
}
