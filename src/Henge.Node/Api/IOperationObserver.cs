namespace Henge.Node.Api;

/// <summary>Is told of operations as they end (<see cref="Operation.Observer"/>).</summary>
public interface IOperationObserver
{
    /// <summary>
    /// An operation ends: its outcome is there, and its request still is. Called once for each submission, on any thread, before whoever
    /// submitted it is told. Must be quick, must not throw, and must not keep the operation or its memory.
    /// </summary>
    void OnCompleting(Operation operation);
}
