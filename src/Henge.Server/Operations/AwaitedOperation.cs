using System.Threading.Tasks.Sources;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Server.Operations;

/// <summary>An operation that async code awaits: barriers of scans, and transactions. Used once.</summary>
internal sealed class AwaitedOperation : Operation, IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };

    /// <summary>What went wrong; null: nothing did.</summary>
    public HengeException? Problem =>
        Error == ErrorCode.None ? null : new NotLeaderException(Error, ErrorMessage ?? "The operation failed.", LeaderHint, LeaderTerm);

    /// <summary>Hands the operation to the node. Throws <see cref="HengeException"/> when it fails.</summary>
    public async ValueTask RunAsync(IHengeNode node)
    {
        node.Submit(this);
        await new ValueTask(this, _core.Version);
        if (Problem is { } problem)
        {
            throw problem;
        }
    }

    /// <summary>Hands several operations to the node together, and waits for all of them, whatever becomes of each.</summary>
    public static async ValueTask RunAllAsync(IHengeNode node, AwaitedOperation[] operations)
    {
        node.Submit(new ReadOnlySpan<Operation>(operations));
        foreach (AwaitedOperation operation in operations)
        {
            await new ValueTask(operation, operation._core.Version);
        }
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    protected override void OnCompleted() => _core.SetResult(true);
}
