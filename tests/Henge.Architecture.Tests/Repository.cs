namespace Henge.Architecture.Tests;

/// <summary>Where the sources are.</summary>
internal static class Repository
{
    /// <summary>The directory that holds <c>Henge.slnx</c>.</summary>
    public static string Root { get; } = Find();

    private static string Find()
    {
        DirectoryInfo? directory = new(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Henge.slnx")))
        {
            directory = directory.Parent;
        }

        return directory?.FullName ?? throw new InvalidOperationException($"No directory above {AppContext.BaseDirectory} has Henge.slnx.");
    }
}
