namespace Henge.Simulation.World;

/// <summary>
/// The one source of chance in a simulated world (SplitMix64, Steele et al. 2014): the same on every machine and runtime.
/// </summary>
public sealed class SimRandom(ulong seed)
{
    private ulong _state = seed;

    /// <summary>64 random bits.</summary>
    public ulong NextUInt64()
    {
        ulong z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>A number from 0 to below the bound.</summary>
    public int Next(int bound) => (int)(NextUInt64() % (ulong)bound);

    /// <summary>A number from least to most, both included.</summary>
    public long Between(long least, long most) => least + (long)(NextUInt64() % (ulong)(most - least + 1));

    /// <summary>True with a probability of so many in a thousand.</summary>
    public bool PerMille(int share) => Next(1000) < share;

    /// <summary>One of some things.</summary>
    public T Pick<T>(IReadOnlyList<T> things) => things[Next(things.Count)];

    /// <summary>A source of its own for a part of the world, so that parts do not disturb each other's draws.</summary>
    public SimRandom Fork() => new(NextUInt64());
}
