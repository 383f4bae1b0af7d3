namespace Henge.Node.Access;

/// <summary>Where in a command a key stands.</summary>
public enum CommandPart
{
    /// <summary>In a command that is no transaction.</summary>
    Whole,
    /// <summary>In a comparison of a transaction.</summary>
    Compare,
    /// <summary>In what a transaction does when its comparisons hold.</summary>
    Then,
    /// <summary>In what a transaction does when they do not.</summary>
    Otherwise,
}
