using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>Hears what applied commands came to.</summary>
internal interface IApplyObserver
{
    /// <summary>
    /// One command's result, while its entry is being applied. It may be told to anybody only after the batch has been committed to the
    /// engine.
    /// </summary>
    /// <param name="index">The entry.</param>
    /// <param name="command">Which command of the entry, from 0.</param>
    /// <param name="result">What it came to.</param>
    /// <param name="payload">The result's payload, valid during the call only; encode with <see cref="CommandResult.ToMemory"/>.</param>
    void OnResult(LogIndex index, int command, in CommandResult result, ReadOnlySpan<byte> payload);
}
