using System.Runtime.InteropServices;
using SharpFuzz;
using SharpFuzz.Common;

namespace Henge.Fuzz.Driving;

/// <summary>Runs targets in assemblies that the tool "sharpfuzz" has instrumented.</summary>
internal static unsafe class Instrumented
{
    /// <summary>Gives the instrumented code memory to count in, which nobody looks at.</summary>
    public static void WithoutFuzzer() => Trace.SharedMem = (byte*)NativeMemory.AllocZeroed(1 << 16);

    /// <summary>Serves afl-fuzz, which started this process: one input after another, until it says that it is enough.</summary>
    public static void RunForAfl(FuzzTarget target) => Fuzzer.OutOfProcess.Run(stream =>
    {
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        FuzzCheck.Run(target, memory.GetBuffer().AsSpan(0, (int)memory.Length));
    });
}
