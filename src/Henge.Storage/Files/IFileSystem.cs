namespace Henge.Storage.Files;

/// <summary>
/// Everything that Henge asks of a disk. The real one is <c>PosixFileSystem</c>; tests use one that loses what was
/// not synced and fails on demand. Paths use '/' or the platform's separator. All members are thread-safe.
/// </summary>
/// <remarks>
/// A new, renamed or deleted name is durable only after <see cref="SyncDirectory"/> of its directory, and file contents
/// only after <see cref="IFile.Sync"/>. Errors are <see cref="IOException"/>s; a full disk is <see cref="DiskFullException"/>.
/// </remarks>
public interface IFileSystem
{
    /// <summary>Opens a file.</summary>
    IFile Open(string path, FileOpenMode mode);

    /// <summary>True if a file (not a directory) has this name.</summary>
    bool FileExists(string path);

    /// <summary>True if a directory has this name.</summary>
    bool DirectoryExists(string path);

    /// <summary>Deletes a file. Handles that are open stay usable.</summary>
    void Delete(string path);

    /// <summary>Renames a file, replacing what has the new name, atomically.</summary>
    void Rename(string from, string to);

    /// <summary>Makes a second name for a file (for checkpoints). Falls back to a synced copy where links are not possible.</summary>
    void Link(string existing, string newName);

    /// <summary>Makes a directory and its parents; nothing happens if it is there.</summary>
    void CreateDirectory(string path);

    /// <summary>Deletes an empty directory.</summary>
    void DeleteDirectory(string path);

    /// <summary>Makes names in a directory durable (fsync of the directory).</summary>
    void SyncDirectory(string path);

    /// <summary>Names (not paths) of files and directories in a directory, in ordinal order.</summary>
    IReadOnlyList<string> List(string path);

    /// <summary>
    /// Takes an exclusive lock on a file for as long as the result lives; the file is made when missing.
    /// Throws <see cref="Core.HengeException"/> with <see cref="Core.ErrorCode.Locked"/> when another holds it.
    /// </summary>
    IDisposable Lock(string path);

    /// <summary>Bytes that can still be written to the file system of this path.</summary>
    long AvailableBytes(string path);
}
