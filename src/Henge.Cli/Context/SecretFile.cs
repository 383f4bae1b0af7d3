using System.Text;
using Henge.Cli.Outcome;
using Henge.Core;

namespace Henge.Cli.Context;

/// <summary>Files that hold a password or a token in their first line.</summary>
internal static class SecretFile
{
    private const int MostCharacters = 64 * 1024;

    /// <summary>
    /// The first line. Throws <see cref="UsageException"/> when it is empty, or when every user of the machine can read or replace the
    /// file.
    /// </summary>
    public static string Read(string file, string option)
    {
        try
        {
            // A pipe, as of <(pass show henge), has no file that a link leads to, and belongs to the two processes at its ends.
            if ((File.ResolveLinkTarget(file, returnFinalTarget: true)?.Exists ?? true) && File.Exists(file))
            {
                KeyFile.CheckMode(file, "secret");
            }
        }
        catch (HengeException e)
        {
            throw new UsageException(e.Message);
        }

        using StreamReader reader = new(file, new UTF8Encoding(false, throwOnInvalidBytes: false));
        StringBuilder line = new();
        for (int c; (c = reader.Read()) is >= 0 and not '\n' && line.Length <= MostCharacters;)
        {
            line.Append((char)c);
        }

        string secret = line.ToString().TrimEnd('\r');
        return secret.Length > 0 ? secret : throw new UsageException($"{option} {file}: its first line is empty.");
    }
}
