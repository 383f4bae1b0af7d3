namespace Henge.Storage.Files;

/// <summary>What is built from the seam's own calls.</summary>
public static class FileSystemExtensions
{
    /// <summary>
    /// Makes a directory and what is missing above it, durably. Also a directory that is there already may be one that the last process
    /// made and did not live to sync, so that a power loss would take it away with all that is put into it: it is synced as well.
    /// </summary>
    public static void CreateDirectoryDurably(this IFileSystem files, string path)
    {
        var missing = new Stack<string>();
        string? at = path;
        for (; !string.IsNullOrEmpty(at) && !files.DirectoryExists(at); at = Path.GetDirectoryName(at))
        {
            missing.Push(at);
        }

        if (!string.IsNullOrEmpty(at) && Path.GetDirectoryName(at) is not null)
        {
            try
            {
                files.SyncParent(at);
            }
            catch (IOException e) when (e.HResult == LibC.ErrorAccess)
            {
                // Without permission to open the parent this process cannot have made the directory in it: it was there before.
            }
        }

        // One by one: a directory that holds another is durable itself.
        foreach (string name in missing)
        {
            files.CreateDirectory(name);
            files.SyncParent(name);
        }
    }

    /// <summary>Makes the name of a file or directory durable: syncs the directory that it is in.</summary>
    public static void SyncParent(this IFileSystem files, string path)
    {
        string? parent = Path.GetDirectoryName(path);
        files.SyncDirectory(string.IsNullOrEmpty(parent) ? "." : parent);
    }

    /// <summary>Reads exactly the buffer's size.</summary>
    /// <exception cref="EndOfStreamException">The file ends before.</exception>
    public static void ReadExactly(this IFile file, long offset, Span<byte> buffer)
    {
        int read = file.Read(offset, buffer);
        if (read < buffer.Length)
        {
            throw new EndOfStreamException(
                $"'{file.Path}' ends at {offset + read}; {buffer.Length} bytes were expected at offset {offset}.");
        }
    }
}
