using System.Globalization;
using Henge.Core;
using Henge.Fuzz;
using Henge.Fuzz.Driving;

// Before anything that may be instrumented runs.
Instrumented.WithoutFuzzer();
Invariant.Failed = static message => throw new InvalidOperationException(message);

// henge-fuzz list | seeds | replay TARGET FILE... | run TARGET|PREFIX*|all SECONDS|RUNSx [SEED] | afl TARGET
switch (args)
{
    case ["list"]:
        foreach (FuzzTarget target in FuzzTargets.All)
        {
            Console.WriteLine(target.Name);
        }

        return 0;
    case ["seeds"]:
        FuzzCorpus.WriteSeeds();
        return 0;
    case ["replay", var name, .. var files]:
        foreach (string file in files)
        {
            FuzzCheck.Run(FuzzTargets.Named(name), File.ReadAllBytes(file));
            Console.WriteLine($"{file}: good");
        }

        return 0;
    case ["run", var name, var budget, .. var rest]:
        List<FuzzResult> results = [];
        foreach (FuzzTarget target in FuzzTargets.Matching(name))
        {
            results.Add(CoverageDriver.Run(
                target, FuzzBudget.Parse(budget), rest.Length > 0 ? int.Parse(rest[0], CultureInfo.InvariantCulture) : 1, Console.Out));
        }

        FuzzResult.Write(results, Console.Out);
        return results.TrueForAll(static r => r.IsGood) ? 0 : 1;
    case ["afl", var name]:
        Instrumented.RunForAfl(FuzzTargets.Named(name));
        return 0;
    default:
        Console.Error.WriteLine("henge-fuzz list | seeds | replay TARGET FILE... | run TARGET|PREFIX*|all SECONDS|RUNSx [SEED] | afl TARGET");
        return 2;
}
