using Henge.Core;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Hosting;

/// <summary>
/// What a data directory must be before anything in it is opened: nobody but the node's user may put files into it, and what is in it is
/// in it (docs/decisions/0211).
/// </summary>
internal static class DataDirectory
{
    private const UnixFileMode Others = UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    /// <summary>
    /// Refuses a directory that every user of the machine can write to, and one that holds links: who can put a link there lets the node
    /// write where it leads. The directory itself may be reached by links. Warns when others can read it. One that is not there yet is
    /// good: it is made for its owner alone. Throws <see cref="HengeException"/> (Misconfigured).
    /// </summary>
    public static void Check(string directory, ILogger logger)
    {
        if (OperatingSystem.IsWindows() || !Directory.Exists(directory))
        {
            return;
        }

        try
        {
            // Of what a link leads to: the modes of links say nothing.
            string target = Directory.ResolveLinkTarget(directory, returnFinalTarget: true)?.FullName ?? directory;
            CheckLinks(target);
            UnixFileMode mode = File.GetUnixFileMode(target);
            if ((mode & UnixFileMode.OtherWrite) != 0)
            {
                throw new HengeException(
                    ErrorCode.Misconfigured,
                    $"The data directory {directory} can be written to by every user of this machine. Make it its owner's alone: "
                        + $"chmod 700 {directory}");
            }

            if ((mode & Others) == Others)
            {
                ServerEvents.Node.DataDirectoryReadable(logger, directory);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new HengeException(ErrorCode.Misconfigured, $"The data directory {directory} cannot be looked at: {e.Message}", e);
        }
    }

    private static void CheckLinks(string directory)
    {
        // What the node cannot look into it cannot use: "lost+found", where the directory is a file system of its own.
        EnumerationOptions all = new() { AttributesToSkip = FileAttributes.None, IgnoreInaccessible = true };
        Stack<string> left = new([directory]);
        while (left.TryPop(out string? at))
        {
            foreach (FileSystemInfo entry in new DirectoryInfo(at).EnumerateFileSystemInfos("*", all))
            {
                if (entry.LinkTarget is not null)
                {
                    throw new HengeException(
                        ErrorCode.Misconfigured,
                        $"{entry.FullName} in the data directory is a symbolic link, to {entry.LinkTarget}. A data directory holds its "
                            + "files itself. Put the file in the link's place, or mount the other file system there; the data "
                            + "directory itself may be a link.");
                }

                if (entry is DirectoryInfo)
                {
                    left.Push(entry.FullName);
                }
            }
        }
    }
}
