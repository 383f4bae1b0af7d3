using System.Diagnostics;
using System.Runtime.InteropServices;
using Trace = SharpFuzz.Common.Trace;

namespace Henge.Fuzz.Driving;

/// <summary>
/// A small coverage-guided fuzzer in this process: changes inputs, keeps those that reach an edge, or a number of times over an edge, that
/// none has reached before. Sees coverage only in assemblies that the tool "sharpfuzz" has instrumented; in others, it changes the seeds at
/// random. Fast, since no process is started or asked for each input; where AFL++ runs, eng/fuzz.sh takes that for long runs.
/// </summary>
internal static unsafe class CoverageDriver
{
    // SharpFuzz's numbers of edges are 16 bits.
    private const int MapBytes = 1 << 16;
    private const int SlowestMs = 10_000;

    /// <summary>
    /// Fuzzes a target as long as the budget says. Writes an input that fails into its corpus; tells how far it came.
    /// </summary>
    public static FuzzResult Run(FuzzTarget target, FuzzBudget budget, int seed, TextWriter output)
    {
        byte* map = (byte*)NativeMemory.AllocZeroed(MapBytes);
        Trace.SharedMem = map;
        byte[] seen = new byte[MapBytes];
        var mutator = new Mutator(seed);
        var random = new Random(seed);
        List<byte[]> kept = [.. FuzzCorpus.Read(target).Select(static input => input.Bytes), .. target.Seeds(), []];
        long started = Stopwatch.GetTimestamp(), runs = 0;
        byte[] current = [];
        long began = long.MaxValue;
        using var watchdog = new Timer(
            _ =>
            {
                long since = Volatile.Read(ref began);
                if (since != long.MaxValue && Stopwatch.GetElapsedTime(since).TotalMilliseconds > SlowestMs)
                {
                    Save(target, current, $"it has not ended after {SlowestMs} ms", output);
                    output.Flush();
                    Environment.Exit(2);
                }
            },
            null,
            1000,
            1000);
        for (int i = 0; i < kept.Count; i++)
        {
            if (!Try(kept[i]))
            {
                return Result(isGood: false);
            }
        }

        while (runs < budget.Runs && Stopwatch.GetElapsedTime(started) < budget.Time)
        {
            byte[] from = kept[random.Next(kept.Count)], other = kept[random.Next(kept.Count)];
            byte[] changed = mutator.Change(from, other, target.LongestInput);
            if (!Try(changed))
            {
                return Result(isGood: false);
            }

            if (TakeNew(map, seen))
            {
                kept.Add(changed);
            }
        }

        FuzzResult done = Result(isGood: true);
        output.WriteLine($"{target.Name}: {done.Runs} inputs, {done.Kept} kept, {done.Edges} edges");
        return done;

        FuzzResult Result(bool isGood) => new(
            target.Name, isGood, runs, Stopwatch.GetElapsedTime(started), kept.Count, seen.Count(static s => s != 0));

        bool Try(byte[] input)
        {
            runs++;
            current = input;
            new Span<byte>(map, MapBytes).Clear();
            Trace.PrevLocation = 0;
            Volatile.Write(ref began, Stopwatch.GetTimestamp());
            try
            {
                FuzzCheck.Run(target, input);
                return true;
            }
            catch (FuzzFailureException e)
            {
                Save(target, input, e.ToString(), output);
                return false;
            }
            finally
            {
                Volatile.Write(ref began, long.MaxValue);
            }
        }
    }

    private static void Save(FuzzTarget target, byte[] input, string why, TextWriter output)
    {
        string folder = Path.Combine(FuzzCorpus.Folder, target.Name);
        Directory.CreateDirectory(folder);
        string file = Path.Combine(folder,
            "found-" + Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(input).AsSpan(0, 6)));
        File.WriteAllBytes(file, input);
        output.WriteLine($"{target.Name}: FAILED, {file}: {why}");
    }

    // As AFL counts: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128 and more times over an edge are different things.
    private static bool TakeNew(byte* map, byte[] seen)
    {
        bool isNew = false;
        for (int i = 0; i < MapBytes; i += sizeof(ulong))
        {
            if (*(ulong*)(map + i) == 0)
            {
                continue;
            }

            for (int j = i; j < i + sizeof(ulong); j++)
            {
                byte bucket = map[j] switch { 0 => 0, 1 => 1, 2 => 2, 3 => 4, < 8 => 8, < 16 => 16, < 32 => 32, < 128 => 64, _ => 128 };
                isNew |= (bucket & ~seen[j]) != 0;
                seen[j] |= bucket;
            }
        }

        return isNew;
    }
}
