namespace Henge.Cluster.Planning;

/// <summary>
/// What each member shall carry: by weight, but at most one replica of each shard, and each zone as much as its part of every shard is.
/// Pure functions.
/// </summary>
internal static class FairShares
{
    // Sums of fractions come out a little beside whole numbers.
    private const double Slack = 1e-6;

    // Each halves the interval; a double has no more bits.
    private const int Halvings = 64;

    /// <summary>The fair shares of members in zones, which add up to the total as far as limits allow.</summary>
    /// <param name="total">How many replicas there are.</param>
    /// <param name="weights">Of each member.</param>
    /// <param name="limits">The most that each member can carry.</param>
    /// <param name="zones">The zone of each member.</param>
    /// <param name="least">The fewest that each zone shall carry.</param>
    /// <param name="most">The most that each zone shall carry.</param>
    /// <param name="shares">Receives the share of each member.</param>
    /// <param name="zoneShares">Receives the share of each zone.</param>
    public static void Of(
        double total,
        ReadOnlySpan<double> weights,
        ReadOnlySpan<double> limits,
        ReadOnlySpan<int> zones,
        ReadOnlySpan<double> least,
        ReadOnlySpan<double> most,
        Span<double> shares,
        Span<double> zoneShares)
    {
        double high = HighestLevel(weights, limits);
        double low = 0;
        for (int i = 0; i < Halvings; i++)
        {
            double level = (low + high) / 2;
            double sum = 0;
            SumByZone(level, weights, limits, zones, zoneShares);
            for (int z = 0; z < zoneShares.Length; z++)
            {
                sum += Clamp(zoneShares[z], least[z], most[z]);
            }

            (low, high) = sum < total ? (level, high) : (low, level);
        }

        SumByZone(high, weights, limits, zones, zoneShares);
        for (int z = 0; z < zoneShares.Length; z++)
        {
            zoneShares[z] = Clamp(zoneShares[z], least[z], most[z]);
        }

        Within(zoneShares, weights, limits, zones, shares);
    }

    /// <summary>Shares out what each zone has among its members by weight.</summary>
    public static void Within(
        ReadOnlySpan<double> zoneShares,
        ReadOnlySpan<double> weights,
        ReadOnlySpan<double> limits,
        ReadOnlySpan<int> zones,
        Span<double> shares)
    {
        var low = new double[zoneShares.Length];
        var high = new double[zoneShares.Length];
        var sums = new double[zoneShares.Length];
        Array.Fill(high, HighestLevel(weights, limits));
        for (int i = 0; i < Halvings; i++)
        {
            Array.Clear(sums);
            for (int m = 0; m < weights.Length; m++)
            {
                sums[zones[m]] += Math.Min(limits[m], weights[m] * (low[zones[m]] + high[zones[m]]) / 2);
            }

            for (int z = 0; z < sums.Length; z++)
            {
                double level = (low[z] + high[z]) / 2;
                (low[z], high[z]) = sums[z] < zoneShares[z] ? (level, high[z]) : (low[z], level);
            }
        }

        for (int m = 0; m < weights.Length; m++)
        {
            shares[m] = Math.Min(limits[m], weights[m] * high[zones[m]]);
        }
    }

    /// <summary>
    /// Whole numbers that add up to the total, each its share rounded down or up. Up first where that much is there already, so that
    /// nothing needs to move for the sake of rounding.
    /// </summary>
    public static int[] Round(ReadOnlySpan<double> shares, int total, ReadOnlySpan<int> loads)
    {
        var whole = new int[shares.Length];
        var order = new (bool Whole, bool Lower, double Part, int Index)[shares.Length];
        int rest = total;
        for (int i = 0; i < shares.Length; i++)
        {
            whole[i] = (int)Math.Floor(shares[i] + Slack);
            rest -= whole[i];
            double part = shares[i] - whole[i];
            order[i] = (part <= Slack, loads[i] <= whole[i], -part, i);
        }

        Array.Sort(order);
        for (int i = 0; i < order.Length && rest > 0; i++, rest--)
        {
            whole[order[i].Index]++;
        }

        return whole;
    }

    private static void SumByZone(
        double level, ReadOnlySpan<double> weights, ReadOnlySpan<double> limits, ReadOnlySpan<int> zones, Span<double> sums)
    {
        sums.Clear();
        for (int m = 0; m < weights.Length; m++)
        {
            sums[zones[m]] += Math.Min(limits[m], weights[m] * level);
        }
    }

    // At this level everybody is at the limit.
    private static double HighestLevel(ReadOnlySpan<double> weights, ReadOnlySpan<double> limits)
    {
        double high = 0;
        for (int m = 0; m < weights.Length; m++)
        {
            high = Math.Max(high, limits[m] / weights[m]);
        }

        return high;
    }

    // A zone whose members cannot carry what it shall carry at least carries what they can; Within sees to that.
    private static double Clamp(double value, double least, double most) => Math.Max(least, Math.Min(value, most));
}
