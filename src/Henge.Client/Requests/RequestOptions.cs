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

/// <summary>What reads can say.</summary>
public abstract record ReadOptions : RequestOptions
{
    /// <summary>How the read is made sure of.</summary>
    public ReadConsistency Consistency { get; init; }

    /// <summary>Read as of this version; zero means now. Only one of this and <see cref="AtTime"/> may be given.</summary>
    public Core.Version AtVersion { get; init; }

    /// <summary>Read as of this moment (to the millisecond, by versions' clock); null means now.</summary>
    public DateTimeOffset? AtTime { get; init; }
}

/// <summary>What a get can say.</summary>
public sealed record GetOptions : ReadOptions
{
    /// <summary>A get of now, at the client's consistency.</summary>
    public static GetOptions Default { get; } = new();
}

/// <summary>What a put can say.</summary>
public sealed record PutOptions : RequestOptions
{
    private readonly TimeSpan? _timeToLive;

    /// <summary>An unconditional put without expiry.</summary>
    public static PutOptions Default { get; } = new();

    /// <summary>After this time the value is gone; null means never. At least a millisecond.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Less than a millisecond.</exception>
    public TimeSpan? TimeToLive
    {
        get => _timeToLive;
        init
        {
            if (value is { } given && given < TimeSpan.FromMilliseconds(1))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(value),
                    given,
                    "A time to live is at least a millisecond; leave it null for none.");
            }

            _timeToLive = value;
        }
    }

    /// <summary>Keep the expiry that the key has.</summary>
    public bool KeepTimeToLive { get; init; }

    /// <summary>Write only if the key is at this version; zero: only if it does not exist. Null: always.</summary>
    public Core.Version? IfVersion { get; init; }

    /// <summary>Answer with the value that was there before. Refused (WrongType) when that is a hash.</summary>
    public bool ReturnPrevious { get; init; }

    /// <summary>
    /// What the value is. Of a hash, the value is what <see cref="HashValue.Encode"/> makes; bytes that are no hash are refused.
    /// </summary>
    public DataType Type { get; init; }
}

/// <summary>What a delete can say.</summary>
public sealed record DeleteOptions : RequestOptions
{
    /// <summary>An unconditional delete.</summary>
    public static DeleteOptions Default { get; } = new();

    /// <summary>Delete only if the key is at this version. Null: always.</summary>
    public Core.Version? IfVersion { get; init; }

    /// <summary>Answer with the value that was there before.</summary>
    public bool ReturnPrevious { get; init; }
}

/// <summary>What a request for a key's history can say.</summary>
public sealed record HistoryOptions : RequestOptions
{
    /// <summary>The whole retained history.</summary>
    public static HistoryOptions Default { get; } = new();

    /// <summary>Most versions to give; 0: all that is kept.</summary>
    public int Limit { get; init; }

    /// <summary>Only versions at or below this one; zero: from the newest.</summary>
    public Core.Version MaxVersion { get; init; }

    /// <summary>How the read is made sure of.</summary>
    public ReadConsistency Consistency { get; init; }
}
