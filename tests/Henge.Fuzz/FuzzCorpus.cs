using System.Runtime.CompilerServices;

namespace Henge.Fuzz;

/// <summary>
/// Inputs that are kept in the repository: <c>corpus/TARGET/seed-*</c>, made by the encoders, and <c>corpus/TARGET/found-*</c>, each of
/// which once made a decoder fail.
/// </summary>
internal static class FuzzCorpus
{
    /// <summary>The folder; that of the sources, so that what is found can be added to them.</summary>
    public static string Folder { get; } = Environment.GetEnvironmentVariable("HENGE_FUZZ_CORPUS") ?? Path.Combine(SourceFolder(),
        "corpus");

    /// <summary>The inputs kept for a target, by name.</summary>
    public static IReadOnlyList<(string Name, byte[] Bytes)> Read(FuzzTarget target)
    {
        string folder = Path.Combine(Folder, target.Name);
        return Directory.Exists(folder)
            ? [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(
                static file => (Path.GetFileName(file), File.ReadAllBytes(file)))]
            : [];
    }

    /// <summary>Writes the seeds of all targets, in place of those that are there.</summary>
    public static void WriteSeeds()
    {
        foreach (FuzzTarget target in FuzzTargets.All)
        {
            string folder = Path.Combine(Folder, target.Name);
            Directory.CreateDirectory(folder);
            foreach (string old in Directory.GetFiles(folder, "seed-*"))
            {
                File.Delete(old);
            }

            int number = 0;
            foreach (byte[] seed in target.Seeds())
            {
                File.WriteAllBytes(Path.Combine(folder, $"seed-{++number:D2}"), seed);
            }
        }
    }

    private static string SourceFolder([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;
}
