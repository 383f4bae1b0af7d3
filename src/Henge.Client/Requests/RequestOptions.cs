namespace Henge.Client;

/// <summary>What all requests can say. Immutable, so safe to share between threads.</summary>
public abstract record RequestOptions
{
    private readonly TimeSpan? _deadline;

    /// <summary>How long the request may take with all its retries; null means <see cref="HengeClientOptions.DefaultDeadline"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not more than zero.</exception>
    public TimeSpan? Deadline
    {
        get => _deadline;
        init
        {
            if (value is { } given && given <= TimeSpan.Zero)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(value),
                    given,
                    "A deadline is more than zero; leave it null for the client's default.");
            }

            _deadline = value;
        }
    }
}
