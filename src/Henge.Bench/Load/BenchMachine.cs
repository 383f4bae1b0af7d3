using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Henge.Bench.Load;

/// <summary>What a figure was measured by and on, without which it says little.</summary>
public static class BenchMachine
{
    private const string ProcessorFile = "/proc/cpuinfo";

    /// <summary>The version of this build, with its commit where the build knew it: <c>0.1.0+227d8a9</c>.</summary>
    public static string Version { get; } = ShortVersion(
        typeof(BenchMachine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown");

    /// <summary>Processor, cores, memory, system and runtime of this machine.</summary>
    public static string Description { get; } =
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Processor()}, {Environment.ProcessorCount} cores, "
                + $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (1024.0 * 1024 * 1024):0.#} GiB, {RuntimeInformation.OSDescription}, "
                + $"{RuntimeInformation.FrameworkDescription}");

    private static string ShortVersion(string version) =>
        version.IndexOf('+', StringComparison.Ordinal) is > 0 and int plus && version.Length > plus + 9 ? version[..(plus + 9)] : version;

    private static string Processor()
    {
        try
        {
            return
                File.Exists(ProcessorFile)
                && File.ReadLines(ProcessorFile).FirstOrDefault(static l => l.StartsWith("model name", StringComparison.Ordinal))
                    is { } line
                ? line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim()
                : RuntimeInformation.ProcessArchitecture.ToString();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return RuntimeInformation.ProcessArchitecture.ToString();
        }
    }
}
