using System.Globalization;
using System.Text;
using Henge.Simulation.World;

namespace Henge.Simulation.Clients;

/// <summary>Values that say which write made them: a number, a bar, and padding. Pure functions.</summary>
internal static class SimValue
{
    public static byte[] Create(long number, SimRandom random) =>
        Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture) + "|" + new string('v', random.PerMille(50) ? random.Next(1500) : random.Next(60)));

    public static long NumberOf(ReadOnlySpan<byte> value)
    {
        int bar = value.IndexOf((byte)'|');
        return bar > 0 && long.TryParse(value[..bar], NumberStyles.None, CultureInfo.InvariantCulture, out long number) && value[(bar + 1)..].IndexOfAnyExcept((byte)'v') < 0
            ? number
            : throw new SimulationException($"A value came back that nobody wrote: '{Encoding.ASCII.GetString(value[..Math.Min(value.Length, 60)])}'.");
    }
}
