namespace Henge.Node.Api;

/// <summary>
/// Where a member stands between joining and having left. Whether it can be reached now is no state of it.
/// </summary>
public enum MemberState
{
    /// <summary>It has a number, and takes part in nothing yet.</summary>
    Joining,
    /// <summary>It takes part.</summary>
    Up,
    /// <summary>It takes part, and gives its leaders away for maintenance.</summary>
    Draining,
    /// <summary>It takes part until others have what it has.</summary>
    Leaving,
    /// <summary>It has left for ever: nobody listens to it, and its number is not used again.</summary>
    Left,
}
