using System.Globalization;
using System.IO.Hashing;
using System.Text;
using Henge.Core;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Clients;

/// <summary>Values that say which write made them: a number, a bar, and padding. Pure functions.</summary>
internal static class SimValue
{
    public static byte[] Create(long number, SimRandom random) =>
        Encoding.ASCII.GetBytes(
            number.ToString(CultureInfo.InvariantCulture) + "|" + new string('v', random.PerMille(50) ? random.Next(1500) : random.Next(60))
        );

    /// <summary>The same for any type: a hash is told by all of it, since many writes make it.</summary>
    public static long NumberOf(ReadOnlySpan<byte> value, DataType type) =>
        type == DataType.Bytes ? NumberOf(value) : (long)(XxHash64.HashToUInt64(value) >> 1) | 1;

    /// <summary>What a stored value of a kind is: there is no other type with a kind of its own than the hash.</summary>
    public static DataType TypeOf(EntryKind kind) => kind == EntryKind.PutTyped ? DataType.Hash : DataType.Bytes;

    public static long NumberOf(ReadOnlySpan<byte> value)
    {
        int bar = value.IndexOf((byte)'|');
        return
            bar > 0
            && long.TryParse(value[..bar], NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            && value[(bar + 1)..].IndexOfAnyExcept((byte)'v') < 0
            ? number
            : throw new SimulationException(
                $"A value came back that nobody wrote: '{Encoding.ASCII.GetString(value[..Math.Min(value.Length, 60)])}'.");
    }
}
