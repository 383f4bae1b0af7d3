using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;

namespace Henge.Cli.Commands;

/// <summary>Where a user's new password comes from: a file, or the terminal, where it is typed twice.</summary>
internal sealed class NewPasswordOptions
{
    private readonly Option<string?> _file = new("--new-password-file")
    {
        Description = "A file whose first line is the new password. [default: it is asked for]",
        HelpName = "file",
    };

    private readonly Option<bool> _none = new("--no-password")
    {
        Description = "No password is right: the user has a certificate, or tokens.",
    };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_file);
        command.Add(_none);
    }

    /// <summary>The password; empty: none is right. Throws <see cref="UsageException"/>.</summary>
    public string Of(ParseResult parse, CliContext context, string user)
    {
        string? file = parse.GetValue(_file);
        if (parse.GetValue(_none))
        {
            return file is null ? "" : throw new UsageException("Give either --new-password-file or --no-password, not both.");
        }

        if (file is not null)
        {
            return SecretFile.Read(file, _file.Name);
        }

        if (context.ReadSecret is not { } read)
        {
            throw new UsageException(
                "There is no terminal to ask for the new password. Name a file with --new-password-file, or give --no-password.");
        }

        string password = read($"New password of {user}: ");
        return password.Length == 0 ? throw new UsageException("The password is empty. For a user without one, give --no-password.")
            : read("The same again: ") == password ? password
            : throw new UsageException("The two are not the same. Nothing was changed.");
    }
}
