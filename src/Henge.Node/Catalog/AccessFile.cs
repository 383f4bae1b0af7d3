using System.Text;
using Henge.Node.Context;
using Henge.Storage.Files;

namespace Henge.Node.Catalog;

/// <summary>
/// The file that says whether access was checked when this node knew it last (docs/formats.md, "Access"): whether it has to hear from the
/// catalog after a start before it lets anybody in. What the engine has may be older. A cluster that checks nothing must serve what it can
/// without its catalog; one that does must not go by permissions that may have been taken away.
/// </summary>
internal static class AccessFile
{
    /// <summary>Its name in the data directory.</summary>
    public const string Name = "ACCESS";

    private static readonly byte[] Open = Encoding.ASCII.GetBytes("henge-access 1\nopen\n");
    private static readonly byte[] Checked = Encoding.ASCII.GetBytes("henge-access 1\nchecked\n");

    /// <summary>
    /// Whether it was checked; null when that is not known: the file is not there yet, or is another one than this build writes.
    /// </summary>
    public static bool? Read(IFileSystem files, string directory)
    {
        string path = Path.Combine(directory, Name);
        if (!files.FileExists(path))
        {
            return null;
        }

        using IFile file = files.Open(path, FileOpenMode.Read);
        byte[] bytes = new byte[Checked.Length + 1];
        ReadOnlySpan<byte> found = bytes.AsSpan(0, file.Read(0, bytes));
        return found.SequenceEqual(Checked) ? true : found.SequenceEqual(Open) ? false : null;
    }

    /// <summary>Writes it; durable when it returns.</summary>
    public static void Write(IFileSystem files, string directory, bool isChecked) =>
        DurableFile.Replace(files, directory, Name, isChecked ? Checked : Open);
}
