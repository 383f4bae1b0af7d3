using Henge.Client.Errors;

namespace Henge.Client.Ordering;

/// <summary>The turn of an operation that is a call of its own: a task to wait for.</summary>
internal sealed class TaskTurn : TurnTaker
{
    private readonly TaskCompletionSource _turn = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Waits for its turn. Throws <see cref="DeadlineExceededException"/> and <see cref="OperationCanceledException"/>; then it has given
    /// up, and there is nothing to leave.
    /// </summary>
    public async ValueTask WaitAsync(TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            await _turn.Task.WaitAsync(timeout, time, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            if (!KeyTurns.TryGiveUp(this))
            {
                // Its turn came at the same moment.
                return;
            }

            cancellationToken.ThrowIfCancellationRequested();
            throw ErrorFactory.NotSentInTime();
        }
    }

    /// <inheritdoc/>
    public override void OnTurn() => _turn.TrySetResult();

    /// <inheritdoc/>
    public override bool IsLate(long now) => false;
}
