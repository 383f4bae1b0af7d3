using Henge.Node.StateMachine;

namespace Henge.Node.Access;

/// <summary>Takes the keys of a command (<see cref="CommandKeys"/>).</summary>
public interface ICommandKeyReceiver
{
    /// <summary>Takes a key.</summary>
    /// <param name="part">Where it stands.</param>
    /// <param name="kind">What is done with it; for a comparison, <see cref="CommandKind.Get"/>.</param>
    /// <param name="needed">What that takes.</param>
    /// <param name="key">The key; good during the call only.</param>
    /// <returns>False: no more keys are wanted.</returns>
    bool OnKey(CommandPart part, CommandKind kind, Permissions needed, ReadOnlySpan<byte> key);
}
