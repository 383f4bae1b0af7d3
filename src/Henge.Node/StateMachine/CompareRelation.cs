namespace Henge.Node.StateMachine;

/// <summary>How two things are compared. The numbers are in the log.</summary>
public enum CompareRelation : byte
{
    /// <summary>Left equals right.</summary>
    Equal = 0,
    /// <summary>Left does not equal right.</summary>
    NotEqual = 1,
    /// <summary>Left is less than right.</summary>
    Less = 2,
    /// <summary>Left is greater than right.</summary>
    Greater = 3,
}
