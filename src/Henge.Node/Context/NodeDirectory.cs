using Henge.Storage.Files;

namespace Henge.Node.Context;

/// <summary>What can be seen of a node's data directory without opening it. Thread-safe.</summary>
public static class NodeDirectory
{
    private const long LimitBytes = 1024 * 1024;

    /// <summary>
    /// The names of the members that the directory's cluster was made of; null when the directory is not there or has no file IDENTITY that
    /// can be understood. For messages only: nothing is verified, the node checks the file when it starts.
    /// </summary>
    public static IReadOnlyList<string>? TryReadMembers(IFileSystem files, string directory)
    {
        string path = Path.Combine(directory, IdentityFile.Name);
        if (!files.FileExists(path))
        {
            return null;
        }

        using IFile file = files.Open(path, FileOpenMode.Read);
        if (file.Length > LimitBytes)
        {
            return null;
        }

        byte[] bytes = new byte[file.Length];
        string[] lines = System.Text.Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes))).Split('\n');
        string[] names =
        [
            .. lines.Where(static l => l.StartsWith("member ", StringComparison.Ordinal)).Select(static l => l.Split(' ', '=')[1]),
        ];
        return names.Length > 0 ? names : null;
    }
}
