namespace Henge.Node.StateMachine;

/// <summary>What of a key a transaction compares. The numbers are in the log.</summary>
public enum CompareTarget : byte
{
    /// <summary>The version that wrote the key; 0 when it does not exist.</summary>
    Version = 0,
    /// <summary>The value, bytewise; a key that does not exist, or holds a hash, is only NotEqual to any value.</summary>
    Value = 1,
    /// <summary>Whether the key exists: Equal to 1 or to 0.</summary>
    Existence = 2,
    /// <summary>
    /// Whether the key was written to or deleted after a version, even if nothing of that is left; only Equal, which says that it was not
    /// (docs/decisions/0185).
    /// </summary>
    Unwritten = 3,
}
