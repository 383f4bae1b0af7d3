namespace Henge.Bench.Load;

/// <summary>Where an axis has its marks: at numbers that people read at a glance.</summary>
internal static class AxisTicks
{
    /// <summary>
    /// Marks from 0 to the first one at or above <paramref name="max"/>, a step of 1, 2 or 5 times a power of ten apart, about
    /// <paramref name="count"/> of them.
    /// </summary>
    public static IReadOnlyList<double> Linear(double max, int count)
    {
        double rough = Math.Max(max, 1e-9) / count, power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = power * ((rough / power) switch
        {
            <= 1 => 1,
            <= 2 => 2,
            <= 5 => 5,
            _ => 10,
        });
        return [.. Enumerable.Range(0, (int)Math.Ceiling((max / step) - 1e-9) + 1).Select(i => i * step)];
    }

    /// <summary>
    /// Marks at 1, 2 and 5 times powers of ten, from the last at or below <paramref name="min"/> to the first at or above
    /// <paramref name="max"/>.
    /// </summary>
    public static IReadOnlyList<double> Logarithmic(double min, double max)
    {
        List<double> ticks = [];
        for (double power = Math.Pow(10, Math.Floor(Math.Log10(min))); ticks.Count == 0 || ticks[^1] < max; power *= 10)
        {
            foreach (double digit in (ReadOnlySpan<double>)[1, 2, 5])
            {
                double next = digit * power;
                if (ticks.Count > 0 && next <= min * (1 + 1e-9))
                {
                    ticks.Clear();
                }

                if (ticks.Count == 0 || ticks[^1] < max * (1 - 1e-9))
                {
                    ticks.Add(next);
                }
            }
        }

        return ticks;
    }
}
