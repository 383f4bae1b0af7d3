namespace Henge.Storage.Tests;

/// <summary>Salts of segments from a seed.</summary>
internal sealed class SeededSalt(int seed)
{
    private readonly Random _random = new(seed);

    public ulong Next() => (ulong)_random.NextInt64();
}
