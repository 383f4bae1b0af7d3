using System.Globalization;

namespace Henge.Fuzz.Driving;

/// <summary>How much a target is fuzzed: for so long, or with so many inputs.</summary>
/// <param name="Time">For how long.</param>
/// <param name="Runs">With how many inputs at most.</param>
internal readonly record struct FuzzBudget(TimeSpan Time, long Runs)
{
    /// <summary>Seconds (<c>60</c>), or a number of inputs (<c>100000x</c>). Throws <see cref="FormatException"/>.</summary>
    public static FuzzBudget Parse(string text) => text.EndsWith('x')
        ? new FuzzBudget(TimeSpan.MaxValue, long.Parse(text[..^1], CultureInfo.InvariantCulture))
        : new FuzzBudget(TimeSpan.FromSeconds(double.Parse(text, CultureInfo.InvariantCulture)), long.MaxValue);
}

/// <summary>How far the fuzzing of a target came.</summary>
/// <param name="Target">The target's name.</param>
/// <param name="IsGood">Nothing failed.</param>
/// <param name="Runs">Inputs.</param>
/// <param name="Time">How long they took.</param>
/// <param name="Kept">Inputs that reached something new.</param>
/// <param name="Edges">Edges that were reached.</param>
internal sealed record FuzzResult(string Target, bool IsGood, long Runs, TimeSpan Time, int Kept, int Edges)
{
    private const double Many = 1e8;

    /// <summary>Writes a table of results.</summary>
    public static void Write(IReadOnlyList<FuzzResult> results, TextWriter output)
    {
        output.WriteLine();
        output.WriteLine("| Target | Executions | Seconds | A second | Kept | Edges | Hours for 10^8 | |");
        output.WriteLine("|---|--:|--:|--:|--:|--:|--:|---|");
        foreach (FuzzResult result in results)
        {
            double rate = result.Runs / Math.Max(result.Time.TotalSeconds, 1e-3);
            output.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {result.Target} | {result.Runs} | {result.Time.TotalSeconds:0} | {rate:0} | {result.Kept} | {result.Edges} | "
                        + $"{Many / rate / 3600:0.0} | {(result.IsGood ? "" : "failed")} |"));
        }
    }
}
