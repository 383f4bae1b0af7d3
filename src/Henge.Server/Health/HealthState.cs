namespace Henge.Server.Health;

/// <summary>Whether the server serves, and who wants to know of changes. Thread-safe.</summary>
internal sealed class HealthState
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _problem = "The node is starting.";
    private bool _told;

    /// <summary>Why the server does not serve; null when it does.</summary>
    public string? Problem => Volatile.Read(ref _problem);

    /// <summary>Ends at the next change. Take it before reading <see cref="Problem"/>, so that no change is missed.</summary>
    public Task Changed
    {
        get
        {
            lock (_lock)
            {
                return _changed.Task;
            }
        }
    }

    /// <summary>Sets the state.</summary>
    public void Set(string? problem) => Set(problem, always: true);

    /// <summary>Sets the state if nobody has set it yet.</summary>
    public void SetIfUntold(string? problem) => Set(problem, always: false);

    private void Set(string? problem, bool always)
    {
        TaskCompletionSource? changed = null;
        lock (_lock)
        {
            if (_told && !always)
            {
                return;
            }

            _told = true;
            if ((problem is null) != (_problem is null))
            {
                changed = _changed;
                _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            _problem = problem;
        }

        changed?.SetResult();
    }
}
