namespace Henge.Client.Ordering;

/// <summary>A turn that has come, and is kept although its operation has ended: see <see cref="Retry.WriteVoider"/>.</summary>
internal sealed class HeldTurn : TurnTaker
{
    /// <inheritdoc/>
    public override void OnTurn() => throw new InvalidOperationException("A turn that is held has come before.");

    /// <inheritdoc/>
    public override bool IsLate(long now) => false;
}
