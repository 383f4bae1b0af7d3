using Henge.Core;

namespace Henge.Client;

/// <summary>What a scan can say. A scan reads one consistent cut through all shards, as of one version.</summary>
public sealed record ScanOptions : ReadOptions
{
    private readonly long _limit;
    private readonly int _pageSize;

    /// <summary>Which keys; default: all.</summary>
    public KeyRange Range { get; init; }

    /// <summary>Short for a <see cref="Range"/> of the keys that begin with this text (UTF-8).</summary>
    public string Prefix
    {
        init => Range = KeyRange.Prefix(value);
    }

    /// <summary>From the last key to the first.</summary>
    public bool Reverse { get; init; }

    /// <summary>Values come back empty.</summary>
    public bool KeysOnly { get; init; }

    /// <summary>Most pairs to give; 0: all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    public long Limit
    {
        get => _limit;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _limit = value;
        }
    }

    /// <summary>
    /// Most pairs that the client asks for at once; 0: as many as the server's page allows. Bounds the client's memory, not the result.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Negative.</exception>
    public int PageSize
    {
        get => _pageSize;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _pageSize = value;
        }
    }
}
