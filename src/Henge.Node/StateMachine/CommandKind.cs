namespace Henge.Node.StateMachine;

/// <summary>
/// What a command does. The numbers are in the log and on the wire: never change one (docs/formats.md, "Commands and entries").
/// </summary>
public enum CommandKind : byte
{
    /// <summary>Write one key, maybe on a condition.</summary>
    Put = 1,
    /// <summary>Delete one key, maybe on a condition.</summary>
    Delete = 2,
    /// <summary>Compare, then do the one list of commands or the other, at one version.</summary>
    Txn = 3,
    /// <summary>Read one key; useful inside of a transaction.</summary>
    Get = 4,
    /// <summary>Add to a value that is a 64-bit integer in decimal text.</summary>
    Increment = 5,
    /// <summary>Add to a value that is a number in decimal text.</summary>
    IncrementFloat = 6,
    /// <summary>Add bytes at the end of a value.</summary>
    Append = 7,
    /// <summary>Set, or take away, the expiry of a key that exists.</summary>
    SetExpiry = 8,
    /// <summary>Write several keys at one version.</summary>
    MultiPut = 9,
    /// <summary>Delete several keys at one version.</summary>
    MultiDelete = 10,
    /// <summary>The node's own: delete a key whose time has come.</summary>
    DeleteExpired = 11,
    /// <summary>Set fields of a hash.</summary>
    HashSet = 12,
    /// <summary>Delete fields of a hash; a hash without fields is gone.</summary>
    HashDelete = 13,
    /// <summary>Add to a field that is a 64-bit integer in decimal text.</summary>
    HashIncrement = 14,
    /// <summary>Add to a field that is a number in decimal text.</summary>
    HashIncrementFloat = 15,
    /// <summary>Write over a part of a value.</summary>
    SetRange = 16,
    /// <summary>Set one bit of a value.</summary>
    SetBit = 17,
    /// <summary>Give an entry, with its type and expiry, to another key of the shard.</summary>
    Move = 18,
    /// <summary>As <see cref="Put"/>, and the value is a whole hash.</summary>
    PutHash = 19,
}
