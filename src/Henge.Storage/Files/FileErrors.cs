using System.Runtime.InteropServices;

namespace Henge.Storage.Files;

/// <summary>Turns what the system says into errors that name the file, what was tried, and the cause.</summary>
internal static class FileErrors
{
    private const int WindowsHandleDiskFull = unchecked((int)0x8007_0027);
    private const int WindowsDiskFull = unchecked((int)0x8007_0070);
    private const int MacQuota = 69;

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

    // On Unix the BCL leaves the raw errno in HResult.
    private static bool IsDiskFull(int code) => OperatingSystem.IsWindows()
        ? code is WindowsDiskFull or WindowsHandleDiskFull
        : code == LibC.ErrorNoSpace || code == (OperatingSystem.IsMacOS() ? MacQuota : LibC.ErrorQuota);
}
