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

    /// <summary>Where an engine has its files, in a directory that was never converted.</summary>
    public const string FirstDirectory = "engine";

    private const string FirstLine = "henge-engine 1";
    private const int MostBytes = 256;

    /// <summary>
    /// Says that the directory is an engine's, or that it is already; durable when it returns. Throws <see cref="HengeException"/>
    /// (Misconfigured) when it is another one's, and nothing has been changed then.
    /// </summary>
    /// <param name="files">The disk.</param>
    /// <param name="dataDirectory">The node's directory.</param>
    /// <param name="engine">The engine's name.</param>
    /// <returns>Where the engine's files are.</returns>
    public static string Claim(IFileSystem files, string dataDirectory, string engine)
    {
        (string Engine, string Directory)? made = Read(files, dataDirectory);
        if (made is { } other && other.Engine != engine)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The data directory '{dataDirectory}' was made with the engine {other.Engine}, and this start says {engine}. Start the node "
                    + $"with --engine {other.Engine}. To have its data in another engine: henge storage convert --from {other.Engine} --to "
                    + $"{engine} {dataDirectory}");
        }

        if (!files.FileExists(Path.Combine(dataDirectory, Name)))
        {
            Write(files, dataDirectory, engine, FirstDirectory);
        }

        return Path.Combine(dataDirectory, made?.Directory ?? FirstDirectory);
    }

    /// <summary>Which engine made a directory, and the name of the directory in it that has its files; null when none has.</summary>
    public static (string Engine, string Directory)? Read(IFileSystem files, string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, Name);
        if (!files.FileExists(path))
        {
            // Builds before the file wrote directories for the LSM engine, which has this file from its first moment on.
            return files.DirectoryExists(Path.Combine(dataDirectory, FirstDirectory))
                && files.FileExists(Path.Combine(dataDirectory, FirstDirectory, "CURRENT"))
                    ? ("lsm", FirstDirectory)
                    : null;
        }

        using IFile file = files.Open(path, FileOpenMode.Read);
        byte[] bytes = new byte[MostBytes + 1];
        string text = Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes)));
        string[] lines = text.Split('\n');
        if (text.Length > MostBytes || lines.Length != 4 || lines[0] != FirstLine || lines[1].Length == 0 || lines[3].Length > 0
            || lines[2].Length == 0 || lines[2] is "." or ".." || Path.GetFileName(lines[2]) != lines[2])
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The file '{path}' does not say which engine the data directory was made with. Restore it from a copy, or write it anew, in "
                    + $"three lines: '{FirstLine}', the engine's name, and the name of the directory beside it that has the engine's files.");
        }

        return (lines[1], lines[2]);
    }

    /// <summary>Says whose the directory is from now on; durable when it returns.</summary>
    public static void Write(IFileSystem files, string dataDirectory, string engine, string directory) =>
        DurableFile.Replace(files, dataDirectory, Name, Encoding.UTF8.GetBytes($"{FirstLine}\n{engine}\n{directory}\n"));
}
