using System.Runtime.InteropServices;

namespace Henge.Storage.Files;

/// <summary>Turns what the system says into errors that name the file, what was tried, and the cause.</summary>
internal static class FileErrors
{
    private const int WindowsHandleDiskFull = unchecked((int)0x8007_0027);
    private const int WindowsDiskFull = unchecked((int)0x8007_0070);
    private const int MacQuota = 69;

    // ERROR_CRC, ERROR_SECTOR_NOT_FOUND and ERROR_IO_DEVICE.
    private const int WindowsCrc = unchecked((int)0x8007_0017);
    private const int WindowsSectorNotFound = unchecked((int)0x8007_001B);
    private const int WindowsIoDevice = unchecked((int)0x8007_045D);

    // EIO everywhere. What Linux makes of a sector that a disk says it cannot read (ENODATA) or that fails its own check (EILSEQ), and of
    // metadata of a file system that does (EBADMSG, EUCLEAN).
    private const int ErrorIo = 5;
    private const int LinuxNoData = 61;
    private const int LinuxBadMessage = 74;
    private const int LinuxIllegalSequence = 84;
    private const int LinuxNeedsCleaning = 117;

    /// <summary>The error for an errno.</summary>
    internal static IOException FromErrno(string what, string path, int errno)
    {
        string message = $"Cannot {what} '{path}': {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).";
        return errno switch
        {
            LibC.ErrorNoSpace or LibC.ErrorQuota => new DiskFullException(
                message + " Free some space; nothing that was acknowledged is lost."),
            LibC.ErrorNoEntry => new FileNotFoundException(message, path),
            LibC.ErrorNotDirectory => new DirectoryNotFoundException(message),
            _ => new IOException(message, errno),
        };
    }

    /// <summary>The error for an exception of the BCL. Exceptions that say "not found" keep their type.</summary>
    internal static IOException FromException(string what, string path, Exception cause)
    {
        string message = $"Cannot {what} '{path}': {cause.Message}";
        return cause switch
        {
            DiskFullException full => full,
            FileNotFoundException => new FileNotFoundException(message, path, cause),
            DirectoryNotFoundException => new DirectoryNotFoundException(message, cause),
            UnauthorizedAccessException => new IOException(
                message + " Check the owner and the permissions of the file and its directory.",
                cause),
            _ when IsDiskFull(cause.HResult) => new DiskFullException(
                message + " Free some space; nothing that was acknowledged is lost.",
                cause),
            _ => new IOException(message, cause),
        };
    }

    /// <summary>True for what the BCL throws when the system refuses a file operation.</summary>
    internal static bool IsFileError(Exception e) => e is IOException or UnauthorizedAccessException or NotSupportedException;

    /// <summary>
    /// True when the disk cannot give back what was written to it: not for what goes by when the system has more of something, nor for
    /// what a caller has done wrong.
    /// </summary>
    internal static bool IsUnreadable(IOException e) =>
        IsUnreadable(e.HResult) || (e.InnerException is { } cause && IsUnreadable(cause.HResult));

    private static bool IsUnreadable(int code) => OperatingSystem.IsWindows()
        ? code is WindowsCrc or WindowsSectorNotFound or WindowsIoDevice
        : code == ErrorIo
            || (OperatingSystem.IsLinux() && code is LinuxNoData or LinuxBadMessage or LinuxIllegalSequence or LinuxNeedsCleaning);

    // On Unix the BCL leaves the raw errno in HResult.
    private static bool IsDiskFull(int code) => OperatingSystem.IsWindows()
        ? code is WindowsDiskFull or WindowsHandleDiskFull
        : code == LibC.ErrorNoSpace || code == (OperatingSystem.IsMacOS() ? MacQuota : LibC.ErrorQuota);
}
