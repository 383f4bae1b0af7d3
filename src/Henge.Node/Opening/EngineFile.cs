using System.Text;
using Henge.Core;
using Henge.Node.Context;
using Henge.Storage.Files;

namespace Henge.Node.Opening;

/// <summary>
/// The file that says which engine made a data directory (docs/formats.md, "Data directory"): another one would not find its data, and
/// begin with nothing where the node's log has been shortened because the first one had it.
/// </summary>
internal static class EngineFile
{
    /// <summary>Its name in the data directory.</summary>
    public const string Name = "ENGINE";

    private const string FirstLine = "henge-engine 1\n";
    private const int MostBytes = 128;

    /// <summary>
    /// Says that the directory is an engine's, or that it is already; durable when it returns. Throws <see cref="HengeException"/>
    /// (Misconfigured) when it is another one's, and nothing has been changed then.
    /// </summary>
    /// <param name="files">The disk.</param>
    /// <param name="dataDirectory">The node's directory.</param>
    /// <param name="engineDirectory">The engine's part of it.</param>
    /// <param name="engine">The engine's name.</param>
    public static void Claim(IFileSystem files, string dataDirectory, string engineDirectory, string engine)
    {
        string? made = Read(files, dataDirectory) ?? Guess(files, engineDirectory);
        if (made is not null && made != engine)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The data directory '{dataDirectory}' was made with the engine {made}, and this start says {engine}. Start the node with "
                    + $"--engine {made}. To have its data in another engine, remove the node from the cluster, and let it join again with an "
                    + $"empty directory and --engine {engine}: it gets its data from the others.");
        }

        if (!files.FileExists(Path.Combine(dataDirectory, Name)))
        {
            DurableFile.Replace(files, dataDirectory, Name, Encoding.UTF8.GetBytes(FirstLine + engine + "\n"));
        }
    }

    private static string? Read(IFileSystem files, string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, Name);
        if (!files.FileExists(path))
        {
            return null;
        }

        using IFile file = files.Open(path, FileOpenMode.Read);
        byte[] bytes = new byte[MostBytes + 1];
        string text = Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes)));
        if (text.Length > MostBytes || text.Length < FirstLine.Length + 2
            || !text.StartsWith(FirstLine, StringComparison.Ordinal) || !text.EndsWith('\n')
            || text[FirstLine.Length..^1] is not { Length: > 0 } name || name.Contains('\n', StringComparison.Ordinal))
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The file '{path}' does not say which engine the data directory was made with. Restore it from a copy, or write it anew: "
                    + $"'{FirstLine.TrimEnd()}' and, on a second line, the engine's name.");
        }

        return name;
    }

    // Builds before the file wrote directories for the LSM engine, which has this file from its first moment on.
    private static string? Guess(IFileSystem files, string engineDirectory) =>
        files.DirectoryExists(engineDirectory) && files.FileExists(Path.Combine(engineDirectory, "CURRENT")) ? "lsm" : null;
}
