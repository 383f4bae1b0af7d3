using System.CommandLine;
using Henge.Cli.Outcome;
using Henge.Client;

namespace Henge.Cli.Context;

/// <summary>
/// The options that say who calls. Secrets come from files, the environment or the terminal, and never from the command line, which other
/// users see in lists of processes, and shells keep.
/// </summary>
internal sealed class SignInOptions(CliContext context)
{
    private (string User, string Password)? _typed;

    /// <summary>The environment variables that they read.</summary>
    public static IReadOnlyList<string> Variables { get; } = ["HENGE_USER", "HENGE_PASSWORD", "HENGE_TOKEN"];

    public Option<string?> User { get; } = new("--user")
    {
        Description = "The user that calls (or set HENGE_USER). Its password is asked for, or in --password-file, or in HENGE_PASSWORD.",
        HelpName = "name",
        Recursive = true,
    };

    public Option<string?> PasswordFile { get; } = new("--password-file")
    {
        Description = "A file whose first line is the password of --user. Other users must not be able to read it.",
        HelpName = "file",
        Recursive = true,
    };

    public Option<string?> TokenFile { get; } = new("--token-file")
    {
        Description = "A file whose first line is a token that says who calls, in place of --user (or set HENGE_TOKEN to a token).",
        HelpName = "file",
        Recursive = true,
    };

    /// <summary>Adds them to the root, from where all commands inherit them.</summary>
    public void AddTo(Command root)
    {
        root.Add(User);
        root.Add(PasswordFile);
        root.Add(TokenFile);
    }

    /// <summary>Sets who calls; nothing when nobody is named. May ask for a password. Throws <see cref="UsageException"/>.</summary>
    public void Apply(ParseResult parse, HengeClientOptions options)
    {
        string? user = parse.GetValue(User), passwordFile = parse.GetValue(PasswordFile), tokenFile = parse.GetValue(TokenFile);
        if (tokenFile is not null)
        {
            if (user is not null || passwordFile is not null)
            {
                throw new UsageException("Give either --token-file or --user, not both.");
            }

            options.Token = SecretFile.Read(tokenFile, TokenFile.Name);
            return;
        }

        // The command line wins over the environment as a whole, so that one command can be run as somebody else.
        string? token = user is null && passwordFile is null ? Variable("HENGE_TOKEN") : null;
        string? known = Variable("HENGE_USER");
        if (token is not null)
        {
            options.Token = known is null
                ? token
                : throw new UsageException("HENGE_TOKEN and HENGE_USER are both set; a call says in one way who calls. Unset one.");
            return;
        }

        string? name = user ?? known;
        if (name is null)
        {
            // A password of nobody in the environment may be meant for other programs; one that was asked for may not.
            if (passwordFile is not null)
            {
                throw new UsageException("--password-file is given, and no user that it is of. Add --user NAME.");
            }

            return;
        }

        options.User = name;
        options.Password =
            passwordFile is not null ? SecretFile.Read(passwordFile, PasswordFile.Name)
            : (user is null || known is null || user == known ? Variable("HENGE_PASSWORD") : null) ?? Ask(name);
    }

    private string Ask(string user)
    {
        if (_typed is { } typed && typed.User == user)
        {
            // A command that connects twice asks once.
            return typed.Password;
        }

        if (context.ReadSecret is not { } read)
        {
            throw new UsageException(
                $"There is no password for user {user}, and no terminal to ask for it. Name a file with --password-file, or set "
                    + "HENGE_PASSWORD.");
        }

        string password = read($"Password of {user}: ");
        if (password.Length == 0)
        {
            throw new UsageException("The password is empty.");
        }

        _typed = (user, password);
        return password;
    }

    private string? Variable(string name) => context.Environment(name) is { Length: > 0 } value ? value : null;
}
