using System.Globalization;

namespace Henge.Storage.Lsm.Keys;

/// <summary>What the files of an engine's directory are called. Pure functions.</summary>
internal static class EngineFiles
{
    public const string Current = "CURRENT";
    public const string CurrentTemporary = "CURRENT.tmp";
    public const string Lock = "LOCK";
    public const string LogDirectory = "log";

    /// <summary>The file by which the directory of the bitcask engine is known; this engine has none of that name.</summary>
    public const string BitcaskManifest = "BITCASK";
    private const string TableSuffix = ".sst";
    private const string ManifestPrefix = "MANIFEST-";

    public static string Table(ulong number) => number.ToString("D9", CultureInfo.InvariantCulture) + TableSuffix;

    public static string Manifest(ulong number) => ManifestPrefix + number.ToString("D9", CultureInfo.InvariantCulture);

    public static bool IsTable(string name, out ulong number)
    {
        number = 0;
        return name.EndsWith(TableSuffix, StringComparison.Ordinal)
            && TryParse(name.AsSpan(0, name.Length - TableSuffix.Length), out number);
    }

    public static bool IsManifest(string name, out ulong number)
    {
        number = 0;
        return name.StartsWith(ManifestPrefix, StringComparison.Ordinal) && TryParse(name.AsSpan(ManifestPrefix.Length), out number);
    }

    private static bool TryParse(ReadOnlySpan<char> digits, out ulong number) =>
        ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
