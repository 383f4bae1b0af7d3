using System.Buffers;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.StateMachine;

/// <summary>How a command ended. The numbers are on the wire.</summary>
public enum CommandStatus : byte
{
    /// <summary>It was done.</summary>
    Ok = 0,
    /// <summary>
    /// Its condition did not hold: nothing was done. <see cref="CommandResult.Version"/> is the version that the key is at.
    /// </summary>
    ConditionFailed = 1,
    /// <summary>It could not be done: <see cref="CommandResult.Problem"/> says why. Nothing was done.</summary>
    Failed = 2,
}
