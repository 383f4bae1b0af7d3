namespace Henge.Server.Access;

/// <summary>What a call takes, once access is checked. Metadata of every endpoint: one without it is for nobody.</summary>
internal enum AccessRule
{
    /// <summary>Nothing: health, and what the service looks like.</summary>
    Open,
    /// <summary>What the operation on keys says (<see cref="Henge.Node.Access.AccessCheck"/>).</summary>
    Keys,
    /// <summary>To be a user: it is of no key, and changes nothing.</summary>
    Known,
    /// <summary>The permission admin.</summary>
    Admin,
    /// <summary>To be a node of the cluster.</summary>
    Node,
    /// <summary>To be a node that may become one of the cluster.</summary>
    Join,
    /// <summary>What the call says of itself: some of it is for everybody who is a user.</summary>
    Own,
}
