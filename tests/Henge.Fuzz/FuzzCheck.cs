using System.Diagnostics.CodeAnalysis;

namespace Henge.Fuzz;

/// <summary>Runs a target on an input, and checks what is true of all targets.</summary>
internal static class FuzzCheck
{
    /// <summary>
    /// Runs a target. Throws <see cref="FuzzFailureException"/> when an error escapes that the decoder does not document, or when more is
    /// allocated on this thread than the target may. Memory outside of the collected heap does not count: a guard page behind it finds
    /// reads that go too far.
    /// </summary>
    public static void Run(FuzzTarget target, ReadOnlySpan<byte> input)
    {
        long most = target.AllocatedAlways + ((long)target.AllocatedPerByte * input.Length);
        long allocated = Once(target, input);

        // What the runtime allocates on the thread that comes first (types, tables, compiled code) is not there the second time.
        if (allocated > most && (allocated = Once(target, input)) > most)
        {
            throw new FuzzFailureException(
                $"{target.Name}: an input of {input.Length} bytes made it allocate {allocated} bytes; {most} are the most.");
        }
    }

    /// <summary>Fails unless something holds.</summary>
    public static void That([DoesNotReturnIf(false)] bool holds, string what)
    {
        if (!holds)
        {
            throw new FuzzFailureException(what);
        }
    }

    /// <summary>Fails unless two runs of bytes are the same.</summary>
    public static void Same(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> found, string what)
    {
        if (!expected.SequenceEqual(found))
        {
            throw new FuzzFailureException($"{what}: {Convert.ToHexString(expected)} became {Convert.ToHexString(found)}");
        }
    }

    private static long Once(FuzzTarget target, ReadOnlySpan<byte> input)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            target.Run(input);
        }
        catch (Exception e) when (e is not FuzzFailureException)
        {
            throw new FuzzFailureException($"{target.Name}: {e.GetType().Name} escaped, which the decoder does not document: {e.Message}",
                e);
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
