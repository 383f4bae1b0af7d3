namespace Henge.Raft;

/// <summary>
/// Where a group takes its random numbers from: election timeouts and the start of its read numbers. Seeded, so that runs replay.
/// </summary>
public interface IRandomSource
{
    /// <summary>The next 64 random bits.</summary>
    ulong NextUInt64();
}

/// <summary>
/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): small and fast, and every seed is a good one.
/// Not for secrets. Not thread-safe.
/// </summary>
public sealed class SplitMix64Random(ulong seed) : IRandomSource
{
    private ulong _state = seed;

    /// <inheritdoc/>
    public ulong NextUInt64()
    {
        _state += 0x9E3779B97F4A7C15UL;
        ulong z = _state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }
}
