using System.Globalization;
using Henge.Mutation;

// henge-mutation PROJECT BIN-FOLDER [--only PART]... [--without TEST-CLASS]... [--again FILE]: mutates src/PROJECT in a copy of the folder
// of its built tests, runs them for each mutant, and prints what survives and a line for each file. With --again, only what had survived
// by an earlier output is tried. It is started by eng/mutate.sh.
if (args is ["--worker", var bin, var tested, var limit, .. var classes])
{
    return Worker.Run(bin, tested, int.Parse(limit, CultureInfo.InvariantCulture), classes);
}

string project = args[0], folder = Path.GetFullPath(args[1]);
List<string> only = [], without = [];
HashSet<string>? again = null;
for (int i = 2; i + 1 < args.Length; i += 2)
{
    switch (args[i])
    {
        case "--only":
            only.Add(args[i + 1]);
            break;
        case "--again":
            IEnumerable<string[]> rows = File.ReadLines(args[i + 1]).Select(static line => line.Split('\t'));
            again = [.. rows.Where(static row => row.Length > 1).Select(static row => row[1])];
            break;
        case "--without":
            without.Add(args[i + 1]);
            break;
        default:
            Console.Error.WriteLine($"There is no option {args[i]}.");
            return 2;
    }
}

MutantBook book = MutatedAssembly.Write(Path.GetFullPath(Path.Combine("src", project)), folder, only);
Mutant[] mutants =
[
    .. book.Mutants.Where(m => again?.Contains(Line(m)) ?? true)
        .OrderBy(static m => m.File, StringComparer.Ordinal).ThenBy(static m => m.Line).ThenBy(static m => m.Id),
];
Console.WriteLine($"{mutants.Length} mutants; {book.Dropped} more do not compile");
Dictionary<int, Fate> fates = [];
using (WorkerProcess worker = new(
    ["--worker", folder, project, book.Limit.ToString(CultureInfo.InvariantCulture), .. without]))
{
    foreach (Mutant mutant in mutants)
    {
        (Fate fate, string by) = worker.Try(mutant.Id);
        if (fates.Count == 0)
        {
            Console.WriteLine($"{worker.Tests} tests");
            worker.LeftOut.ForEach(Console.WriteLine);
        }

        fates.Add(mutant.Id, fate);
        if (fate is Fate.Survived or Fate.NotReached || Environment.GetEnvironmentVariable("MUTATE_VERBOSE") == "1")
        {
            Console.WriteLine($"{fate,-10}\t{Line(mutant)}\t{by}");
        }
    }
}

Console.WriteLine();
foreach (var file in mutants.GroupBy(static m => m.File).Append(null))
{
    Fate[] all = [.. (file ?? mutants.AsEnumerable()).Select(m => fates[m.Id])];
    int dead = all.Count(static f => f is Fate.Killed or Fate.TimedOut);
    Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{(all.Length == 0 ? 0 : 100.0 * dead / all.Length),5:F1} %  {dead} of {all.Length} killed ({all.Count(static f => f == Fate.TimedOut)} by "
            + $"not ending), {all.Count(static f => f == Fate.NotReached)} reached by no test  {file?.Key ?? "all"}"));
}

return 0;

static string Line(Mutant mutant)
{
    string after = mutant.After.Length == 0 ? "(nothing)" : OneLine(mutant.After);
    return $"{mutant.File}:{mutant.Line}: {OneLine(mutant.Before)}  =>  {after}";
}

static string OneLine(string code) => code.ReplaceLineEndings(" ").Replace('\t', ' ');
