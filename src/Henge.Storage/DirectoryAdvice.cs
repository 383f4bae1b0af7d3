namespace Henge.Storage;

/// <summary>
/// What an operator can do about a data directory that cannot be opened. Said in one place, so that it stays true: a node that comes back
/// with an empty directory under its old name is refused by the others (decision 0085), so no message may advise that.
/// </summary>
public static class DirectoryAdvice
{
    /// <summary>For files of an engine.</summary>
    public const string Engine = "Restore the directory from a checkpoint or another copy. " + Node;

    /// <summary>For files that only a node has.</summary>
    public const string Node =
        "A member of a cluster must not come back with an empty directory (it would have forgotten its votes, and the other members refuse "
            + "it): without a copy, leave it down. "
        + "The cluster serves on while a majority of its members is up.";
}
