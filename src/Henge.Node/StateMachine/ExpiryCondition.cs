namespace Henge.Node.StateMachine;

/// <summary>What <see cref="CommandKind.SetExpiry"/> asks of the expiry that the key has. The numbers are in the log.</summary>
public enum ExpiryCondition : byte
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>The key has no expiry.</summary>
    IfNone = 1,
    /// <summary>The key has an expiry.</summary>
    IfSome = 2,
    /// <summary>The new expiry is later; no expiry counts as the latest.</summary>
    IfLater = 3,
    /// <summary>The new expiry is earlier; no expiry counts as the latest.</summary>
    IfEarlier = 4,
}
