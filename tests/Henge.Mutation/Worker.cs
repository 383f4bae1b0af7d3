using System.Globalization;
using System.Reflection;
using System.Runtime.Loader;

namespace Henge.Mutation;

/// <summary>
/// The process in which tests run, one mutant after the other: <c>ID</c> on standard input, then <c>ID survived</c>, <c>ID killed TEST</c>
/// <c>ID not-reached</c> or <c>ID timed-out TEST</c> on standard output. After a mutant that does not end it ends itself.
/// </summary>
internal static class Worker
{
    /// <summary>What a test may take at least, however short it is without a mutant.</summary>
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(4);

    public static int Run(string binFolder, string project, int limit, IReadOnlyList<string> withoutClasses)
    {
        TextWriter output = Console.Out;
        Console.SetOut(TextWriter.Null);
        TestLoadContext context = new(binFolder);
        Assembly tests = context.LoadFromAssemblyPath(Path.Combine(binFolder, project + ".Tests.dll"));
        Type mutants = context.LoadFromAssemblyPath(Path.Combine(binFolder, project + ".dll")).GetType(MutantSwitch.TypeName)!;
        FieldInfo active = mutants.GetField("Active")!, reached = mutants.GetField("Reached")!;

        List<TestCase> cases = Baseline.Of(binFolder, TestCase.FindAll(tests, withoutClasses), reached, limit, output);
        reached.SetValue(null, System.Array.Empty<bool>());
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ready {cases.Count}"));
        while (Console.In.ReadLine() is { } line)
        {
            int id = int.Parse(line, CultureInfo.InvariantCulture);
            active.SetValue(null, id);
            string fate = "not-reached";
            foreach (TestCase test in cases.Where(test => test.Reached[id]))
            {
                fate = "survived";
                // A test that goes on and on cannot be stopped: this process is of no use any more.
                Task<string?> run = Task.Run(() => Failure(test));
                if (!run.Wait(Least + (10 * test.Time)))
                {
                    output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{id} timed-out {test.Name}"));
                    return 1;
                }

                if (run.Result is { } failure)
                {
                    fate = $"killed {test.Name} {failure}";
                    break;
                }
            }

            active.SetValue(null, 0);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{id} {fate.ReplaceLineEndings(" ")}"));
        }

        return 0;
    }

    /// <summary>The kind of exception by which a test fails; null when it passes.</summary>
    private static string? Failure(TestCase test)
    {
        try
        {
            test.Run();
            return null;
        }
        catch (Exception e)
        {
            return e.GetType().Name;
        }
    }

    /// <summary>Takes from a folder what is there, and the rest from the framework.</summary>
    private sealed class TestLoadContext(string folder) : AssemblyLoadContext
    {
        protected override Assembly? Load(AssemblyName assemblyName)
        {
            string file = Path.Combine(folder, assemblyName.Name + ".dll");
            return File.Exists(file) ? LoadFromAssemblyPath(file) : null;
        }
    }
}
