namespace Henge.Bench.Load;

/// <summary>
/// Looks at the cluster under load every second, beside the load, and notes what has changed. One caller at a time.
/// </summary>
internal sealed class ClusterChanges(ILoadTarget target)
{
    private const int MostChanges = 1000;
    private readonly List<ClusterChange> _changes = [];
    private ClusterView? _last;
    private Task<ClusterView?>? _look;
    private double _lookedAt = double.NegativeInfinity;

    /// <summary>What was noted.</summary>
    public IReadOnlyList<ClusterChange> Noted => _changes;

    /// <summary>To be called often; takes in the last look when it has ended, and begins the next when it is time.</summary>
    public void Look(double seconds, CancellationToken cancellationToken)
    {
        if (_look is { IsCompleted: true } ended)
        {
            _look = null;
            TakeIn(ended, seconds);
        }

        if (_look is null && seconds - _lookedAt >= 1)
        {
            _lookedAt = seconds;
            _look = target.ViewAsync(cancellationToken);
        }
    }

    /// <summary>Looks a last time.</summary>
    public async Task EndAsync(double seconds, CancellationToken cancellationToken)
    {
        Task<ClusterView?> last = target.ViewAsync(cancellationToken);
        await Task.WhenAny(last);
        TakeIn(last, seconds);
    }

    private void TakeIn(Task<ClusterView?> look, double seconds)
    {
        // A look that failed is no change: the load says what goes wrong.
        if (!look.IsCompletedSuccessfully || look.Result is not { } view)
        {
            _ = look.Exception;
            return;
        }

        view = _last?.With(view) ?? view;
        foreach (string text in _last?.ChangesTo(view) ?? [])
        {
            if (_changes.Count < MostChanges)
            {
                _changes.Add(new ClusterChange(seconds, text));
            }
        }

        _last = view;
    }
}
