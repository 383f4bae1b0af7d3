namespace Henge.Client;

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
