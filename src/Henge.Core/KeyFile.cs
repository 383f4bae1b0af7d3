namespace Henge.Core;

/// <summary>Rules for files that hold private keys and other secrets.</summary>
public static class KeyFile
{
    /// <summary>What a new key file may: its owner reads and writes it, and nobody else anything.</summary>
    public const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>
    /// Refuses a key that every user of the machine can read or replace. A group may read it, as where an orchestrator hands keys to a
    /// program by its group. Throws <see cref="HengeException"/> (Misconfigured) with the way out. Where files have no such modes nothing
    /// is checked.
    /// </summary>
    /// <param name="file">The file.</param>
    /// <param name="what">What it holds, for the error.</param>
    public static void CheckMode(string file, string what = "key")
    {
        const UnixFileMode tooMuch =
            UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.GroupWrite;
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        // Of what a link leads to: the modes of links say nothing.
        string target = File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file;
        if ((File.GetUnixFileMode(target) & tooMuch) != 0)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The {what} file {file} can be read or changed by other users of this machine. Make it its owner's alone: chmod 600 {file}");
        }
    }
}
