using System.Globalization;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>What the files of the engine's directory are called. Pure functions.</summary>
internal static class BitcaskFiles
{
    public const string Manifest = EngineFiles.BitcaskManifest;
    public const string ManifestTemporary = Manifest + ".tmp";
    public const string Lock = EngineFiles.Lock;
    private const string SegmentSuffix = ".seg";
    private const string HintSuffix = ".hint";
    private const int Digits = 10;

    public static string Segment(uint id) => id.ToString("D10", CultureInfo.InvariantCulture) + SegmentSuffix;

    public static string Hint(uint id) => id.ToString("D10", CultureInfo.InvariantCulture) + HintSuffix;

    public static bool IsSegment(string name, out uint id) => TryParse(name, SegmentSuffix, out id);

    public static bool IsHint(string name, out uint id) => TryParse(name, HintSuffix, out id);

    private static bool TryParse(string name, string suffix, out uint id)
    {
        id = 0;
        return name.Length == Digits + suffix.Length
            && name.EndsWith(suffix, StringComparison.Ordinal)
            && uint.TryParse(name.AsSpan(0, Digits), NumberStyles.None, CultureInfo.InvariantCulture, out id)
            && id != 0;
    }
}
