using Henge.Node.Api;

namespace Henge.Simulation.Clients;

/// <summary>An operation whose completion is a callback. Used once, so that a late completion finds nobody else's state.</summary>
internal sealed class SimOperation(Action<SimOperation> completed) : Operation
{
    private bool _done;

    /// <summary>True once it is completed.</summary>
    public bool IsDone => _done;

    protected override void OnCompleted()
    {
        if (_done)
        {
            throw new World.SimulationException("An operation was completed twice.");
        }

        _done = true;
        completed(this);
    }
}
