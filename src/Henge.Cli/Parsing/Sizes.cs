using System.Globalization;
using Henge.Cli.Outcome;

namespace Henge.Cli.Parsing;

/// <summary>Counts of bytes as people write them.</summary>
internal static class Sizes
{
    private static readonly (string Unit, long Bytes)[] Units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("B", 1), ("", 1),
    ];

    /// <summary>Reads <c>64MiB</c>, <c>512KiB</c>, <c>1GiB</c>; a number alone is bytes. Throws <see cref="UsageException"/>.</summary>
    public static long Parse(string text)
    {
        (string unit, long bytes) = Units.First(u => text.EndsWith(u.Unit, StringComparison.OrdinalIgnoreCase));
        return long.TryParse(
                text.AsSpan(0, text.Length - unit.Length).TrimEnd(),
                NumberStyles.None,
                CultureInfo.InvariantCulture,
                out long number)
            && number <= long.MaxValue / bytes
            ? number * bytes
            : throw new UsageException($"\"{text}\" is not a number of bytes. Write 512KiB, 64MiB, 1GiB or a number.");
    }
}
