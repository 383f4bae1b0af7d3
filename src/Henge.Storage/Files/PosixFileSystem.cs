using System.Runtime.InteropServices;
using Henge.Core;
using Microsoft.Win32.SafeHandles;

namespace Henge.Storage.Files;

/// <summary>
/// The real disk. On Linux names and contents are made durable by libc's own calls (<c>fdatasync</c>, <c>fsync</c> of a directory), since
/// the BCL has neither and its flush hides some errors; elsewhere the BCL's nearest calls stand in (on Windows a directory cannot be
/// synced: NTFS journals names itself). Has no state: thread-safe.
/// </summary>
public sealed class PosixFileSystem : IFileSystem
{
    // rw-r--r--, less what the umask takes.
    private const int LockFilePermissions = 0x1A4;

    private const UnixFileMode OwnersAlone = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>The one there needs to be.</summary>
    public static PosixFileSystem Instance { get; } = new();

    /// <inheritdoc/>
    public IFile Open(string path, FileOpenMode mode) => OpenFile(path, mode);

    /// <inheritdoc/>
    public bool FileExists(string path) => File.Exists(path);

    /// <inheritdoc/>
    public bool DirectoryExists(string path) => Directory.Exists(path);

    /// <inheritdoc/>
    public void Delete(string path)
    {
        if (OperatingSystem.IsLinux())
        {
            Check(LibC.Unlink(path), "delete", path);
            return;
        }

        // File.Delete is silent about a file that is not there; the seam is not.
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"Cannot delete '{path}': there is no such file.", path);
        }

        Try("delete", path, File.Delete);
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        if (OperatingSystem.IsLinux())
        {
            // Not File.Move: between file systems that copies, and a copy is not atomic.
            Check(LibC.Rename(from, to), $"rename to '{to}' the file", from);
            return;
        }

        Try($"rename to '{to}' the file", from, path => File.Move(path, to, overwrite: true));
    }

    /// <inheritdoc/>
    public void Link(string existing, string newName)
    {
        if (OperatingSystem.IsLinux() || OperatingSystem.IsMacOS())
        {
            if (LibC.Link(existing, newName) == 0)
            {
                return;
            }

            int errno = Marshal.GetLastPInvokeError();
            bool hasNoLinks = errno is LibC.ErrorCrossDevice or LibC.ErrorNotPermitted or LibC.ErrorNotSupported
                or LibC.ErrorNotImplemented or LibC.ErrorTooManyLinks;
            if (!hasNoLinks)
            {
                throw FileErrors.FromErrno($"link as '{newName}' the file", existing, errno);
            }
        }

        using PosixFile source = OpenFile(existing, FileOpenMode.Read);
        using PosixFile copy = OpenFile(newName, FileOpenMode.CreateNew);
        source.CopyTo(copy);
        copy.Sync();
    }

    /// <inheritdoc/>
    /// <remarks>For its owner alone: what is in it is data, and whoever may make files in it is the node.</remarks>
    public void CreateDirectory(string path) => Try("create the directory", path, static p =>
        _ = OperatingSystem.IsWindows() ? Directory.CreateDirectory(p) : Directory.CreateDirectory(p, OwnersAlone));

    /// <inheritdoc/>
    public void DeleteDirectory(string path) => Try("delete the directory", path, static p => Directory.Delete(p, recursive: false));

    /// <inheritdoc/>
    public void SyncDirectory(string path)
    {
        if (OperatingSystem.IsLinux())
        {
            int descriptor = LibC.Open(path, LibC.OpenReadOnly | LibC.OpenCloseOnExec, 0);
            Check(descriptor, "open for a sync the directory", path);
            int result = LibC.FSync(descriptor);
            int errno = result == 0 ? 0 : Marshal.GetLastPInvokeError();
            _ = LibC.Close(descriptor);
            if (result != 0)
            {
                throw FileErrors.FromErrno("sync the directory", path, errno);
            }
        }
        else if (!Directory.Exists(path))
        {
            throw new DirectoryNotFoundException($"Cannot sync the directory '{path}': it does not exist.");
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string path)
    {
        var names = new List<string>();
        Try("list the directory", path, p =>
        {
            foreach (string entry in Directory.EnumerateFileSystemEntries(p))
            {
                names.Add(Path.GetFileName(entry));
            }
        });
        names.Sort(StringComparer.Ordinal);
        return names;
    }

    /// <inheritdoc/>
    public IDisposable Lock(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            try
            {
                return File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (e is not (FileNotFoundException or DirectoryNotFoundException))
            {
                throw Held(path);
            }
            catch (Exception e) when (FileErrors.IsFileError(e))
            {
                throw FileErrors.FromException("open the lock file", path, e);
            }
        }

        // The BCL's own lock can be switched off by an environment variable, does not tell "held" from other errors, and would be taken
        // shared first: two processes that start at once could then both fail.
        int descriptor = LibC.Open(path, LibC.OpenReadWrite | LibC.OpenCreate | LibC.OpenCloseOnExec, LockFilePermissions);
        Check(descriptor, "open the lock file", path);
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (LibC.FLock(handle, LibC.LockExclusive | LibC.LockNonBlocking) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            handle.Dispose();
            throw errno == LibC.ErrorAgain ? Held(path) : FileErrors.FromErrno("lock", path, errno);
        }

        return handle;
    }

    /// <inheritdoc/>
    public long AvailableBytes(string path)
    {
        try
        {
            string full = Path.GetFullPath(path);
            return new DriveInfo(OperatingSystem.IsWindows() ? Path.GetPathRoot(full)! : full).AvailableFreeSpace;
        }
        catch (Exception e) when (FileErrors.IsFileError(e) || e is ArgumentException)
        {
            throw FileErrors.FromException("read the free space at", path, e);
        }
    }

    private static PosixFile OpenFile(string path, FileOpenMode mode)
    {
        try
        {
            SafeFileHandle handle = File.OpenHandle(
                path,
                mode == FileOpenMode.CreateNew ? FileMode.CreateNew : FileMode.Open,
                mode == FileOpenMode.Read ? FileAccess.Read : FileAccess.ReadWrite,
                FileShare.ReadWrite | FileShare.Delete);
            return new PosixFile(handle, path);
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.FromException(mode == FileOpenMode.CreateNew ? "create" : "open", path, e);
        }
    }

    private static HengeException Held(string path) => new(
        ErrorCode.Locked,
        $"'{path}' is locked by another process (or by another user of it in this one). "
        + "Stop that process, or use another directory. Do not delete the file: the lock goes away with its holder.");

    private static void Check(int result, string what, string path)
    {
        if (result < 0)
        {
            throw FileErrors.FromErrno(what, path, Marshal.GetLastPInvokeError());
        }
    }

    private static void Try(string what, string path, Action<string> action)
    {
        try
        {
            action(path);
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.FromException(what, path, e);
        }
    }
}
