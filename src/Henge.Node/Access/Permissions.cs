namespace Henge.Node.Access;

/// <summary>What somebody may do with keys, or with the cluster. The numbers are in the catalog: never change one.</summary>
[Flags]
public enum Permissions
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>See values, keys, versions, expiries and history.</summary>
    Read = 1,
    /// <summary>Change and delete.</summary>
    Write = 2,
    /// <summary>Be told of changes as they happen.</summary>
    Watch = 4,
    /// <summary>Change the cluster, its users and its roles. Of no key: it says nothing of what is stored.</summary>
    Admin = 8,
}
