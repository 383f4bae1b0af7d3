namespace Henge.Server.Hosting;

/// <summary>Whether the server serves. Thread-safe.</summary>
/// <param name="onChanged">Called with each change, one at a time: true when the server serves.</param>
internal sealed class HealthState(Action<bool> onChanged)
{
    private readonly Lock _lock = new();
    private string? _problem = "The node is starting.";
    private bool _isSet;

    /// <summary>Why the server does not serve; null when it does.</summary>
    public string? Problem => Volatile.Read(ref _problem);

    /// <summary>Sets the state.</summary>
    public void Set(string? problem) => Set(problem, always: true);

    /// <summary>Sets the state if it has not been set yet.</summary>
    public void SetIfUnset(string? problem) => Set(problem, always: false);

    private void Set(string? problem, bool always)
    {
        lock (_lock)
        {
            if (_isSet && !always)
            {
                return;
            }

            _isSet = true;
            bool changed = (problem is null) != (_problem is null);
            _problem = problem;
            if (changed)
            {
                onChanged(problem is null);
            }
        }
    }
}
