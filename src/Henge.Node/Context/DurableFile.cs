using Henge.Storage.Files;

namespace Henge.Node.Context;

/// <summary>Writes small files so that a crash leaves either the old one or the new one, whole.</summary>
internal static class DurableFile
{
    /// <summary>Writes a file of a directory, in place of one that may be there; durable when it returns.</summary>
    public static void Replace(IFileSystem files, string directory, string name, ReadOnlySpan<byte> bytes)
    {
        string path = Path.Combine(directory, name);
        string temporary = path + ".new";
        if (files.FileExists(temporary))
        {
            files.Delete(temporary);
        }

        using (IFile file = files.Open(temporary, FileOpenMode.CreateNew))
        {
            file.Write(0, bytes);
            file.Sync();
        }

        files.Rename(temporary, path);
        files.SyncDirectory(directory);
    }
}
