namespace Henge.Node.StateMachine;

/// <summary>What a put asks of the key before it writes. The numbers are in the log.</summary>
public enum PutCondition : byte
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>The key is at a version; version 0 means that it does not exist.</summary>
    IfVersion = 1,
    /// <summary>The key does not exist.</summary>
    IfAbsent = 2,
    /// <summary>The key exists.</summary>
    IfPresent = 3,
    /// <summary>The key exists and its value equals some bytes.</summary>
    IfValue = 4,
    /// <summary>The key does not exist, or its value does not equal some bytes.</summary>
    IfNotValue = 5,
    /// <summary>The key exists and its value has a digest (<see cref="ValueDigest"/>).</summary>
    IfDigest = 6,
    /// <summary>The key does not exist, or its value does not have a digest.</summary>
    IfNotDigest = 7,
}
