using Henge.Node.Api;

namespace Henge.Server.Operations;

/// <summary>What a request asks of a scan, as its door has read it. Nothing is checked yet.</summary>
internal readonly record struct ScanTerms
{
    /// <summary>The beginning that keys have; empty: any. Not with <see cref="Start"/> or <see cref="End"/>.</summary>
    public ReadOnlyMemory<byte> Prefix { get; init; }

    /// <summary>First key, inclusive.</summary>
    public ReadOnlyMemory<byte> Start { get; init; }

    /// <summary>Last key, exclusive; empty: no end.</summary>
    public ReadOnlyMemory<byte> End { get; init; }

    /// <summary>Most entries of all pages together; 0: no limit.</summary>
    public uint Limit { get; init; }

    /// <summary>From the last key to the first.</summary>
    public bool Reverse { get; init; }

    /// <summary>Values come empty.</summary>
    public bool KeysOnly { get; init; }

    /// <summary>The version to read at, checked; zero: now.</summary>
    public Core.Version Version { get; init; }

    /// <summary>How the read is made sure of.</summary>
    public ReadConsistency Consistency { get; init; }

    /// <summary>Where an earlier scan of the same range ended, as it said; empty: from the beginning.</summary>
    public ReadOnlyMemory<byte> Continuation { get; init; }
}
