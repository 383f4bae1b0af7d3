namespace Henge.Testing;

/// <summary>Measures what code allocates on the thread that runs it.</summary>
public static class Allocations
{
    private const int MostAttempts = 20;

    /// <summary>
    /// Bytes allocated by the attempt that allocates least, of up to 20; stops at the first that allocates nothing. What an operation
    /// allocates each time shows in every attempt; what the runtime does once on the thread of whoever comes first (compiling and replacing
    /// methods, loading types) does not.
    /// </summary>
    public static long Fewest(Action attempt)
    {
        long fewest = long.MaxValue;
        for (int i = 0; i < MostAttempts && fewest > 0; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            attempt();
            fewest = Math.Min(fewest, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return fewest;
    }
}
