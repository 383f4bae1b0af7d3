using System.Diagnostics;
using System.Reflection;

namespace Henge.Mutation;

/// <summary>
/// All tests once without a mutant: how long each takes, and whose code it runs. Kept in a file beside the assemblies, for the workers that
/// come after the first.
/// </summary>
internal static class Baseline
{
    /// <summary>The tests that pass, the shortest first. What fails is told.</summary>
    public static List<TestCase> Of(string folder, IEnumerable<TestCase> tests, FieldInfo reached, int limit, TextWriter output)
    {
        string file = Path.Combine(folder, "baseline.bin");
        List<TestCase> good = File.Exists(file) ? Read(file, tests, limit) : Measure(tests, reached, limit, output);
        good.Sort(static (a, b) => a.Time.CompareTo(b.Time));
        if (!File.Exists(file))
        {
            Write(file, good);
        }

        return good;
    }

    private static List<TestCase> Measure(IEnumerable<TestCase> tests, FieldInfo reached, int limit, TextWriter output)
    {
        List<TestCase> good = [];
        foreach (TestCase test in tests)
        {
            test.Reached = new bool[limit];
            reached.SetValue(null, test.Reached);
            long start = Stopwatch.GetTimestamp();
            try
            {
                test.Run();
                test.Time = Stopwatch.GetElapsedTime(start);
                good.Add(test);
            }
            catch (Exception e)
            {
                // Without a mutant it says nothing about mutants. (The switch itself allocates nothing, but takes time.)
                output.WriteLine($"left out {test.Name}: {e.Message.ReplaceLineEndings(" ")}");
            }
        }

        return good;
    }

    private static void Write(string file, List<TestCase> tests)
    {
        using BinaryWriter writer = new(File.Create(file));
        foreach (TestCase test in tests)
        {
            writer.Write(test.Name);
            writer.Write(test.Time.Ticks);
            foreach (bool reached in test.Reached)
            {
                writer.Write(reached);
            }
        }
    }

    private static List<TestCase> Read(string file, IEnumerable<TestCase> tests, int limit)
    {
        Dictionary<string, TestCase> byName = [];
        foreach (TestCase test in tests)
        {
            byName[test.Name] = test;
        }

        List<TestCase> good = [];
        using BinaryReader reader = new(File.OpenRead(file));
        while (reader.BaseStream.Position < reader.BaseStream.Length)
        {
            TestCase test = byName[reader.ReadString()];
            test.Time = new TimeSpan(reader.ReadInt64());
            test.Reached = [.. reader.ReadBytes(limit).Select(static b => b != 0)];
            good.Add(test);
        }

        return good;
    }
}
