using System.CommandLine;
using Henge.Cli.Context;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary>The commands of <c>henge user</c> that change something.</summary>
internal static class UserChangeCommands
{
    public static Command Add(CliContext context, GlobalOptions globals) =>
        WithPassword(
                context,
                globals,
                Kind.AddUser,
                "add",
                "Add a user, which may do nothing yet.",
                static name => $"User {name} is added.")
            .WithExamples(
                "henge user add alice",
                "henge user add batch-job --new-password-file batch-job.secret",
                "henge user add bob --no-password   # has a certificate: henge cert create-client bob");

    public static Command Passwd(CliContext context, GlobalOptions globals) =>
        WithPassword(
                context,
                globals,
                Kind.SetPassword,
                "passwd",
                "Set a user's password: one's own, or with the permission admin any. The user's connections and tokens end.",
                static name => $"The password of {name} is set.")
            .WithExamples("henge user passwd alice", "henge user passwd alice --user alice --password-file old --new-password-file new");

    public static Command Delete(CliContext context, GlobalOptions globals) =>
        Plain(context, globals, Kind.DeleteUser, "delete", "Delete a user.", static name => $"User {name} is deleted.")
            .WithExamples("henge user delete alice");

    public static Command RevokeTokens(CliContext context, GlobalOptions globals) =>
        Plain(
                context,
                globals,
                Kind.RevokeTokens,
                "revoke-tokens",
                "End all tokens of a user, and its connections that were opened with a password or a token.",
                static name => $"The tokens of {name} are over.")
            .WithExamples("henge user revoke-tokens alice");

    public static Command Grant(CliContext context, GlobalOptions globals) =>
        WithRole(context, globals, Kind.GrantRole, "grant", "Give a user a role.", static (name, role) => $"{name} has the role {role}.")
            .WithExamples("henge user grant alice reader");

    public static Command Revoke(CliContext context, GlobalOptions globals) =>
        WithRole(
                context,
                globals,
                Kind.RevokeRole,
                "revoke",
                "Take a role from a user.",
                static (name, role) => $"{name} does not have the role {role}.")
            .WithExamples("henge user revoke alice reader");

    private static Command Plain(
        CliContext context,
        GlobalOptions globals,
        Kind kind,
        string word,
        string description,
        Func<string, string> done)
    {
        Argument<string> name = NameArgument();
        Command command = new(word, description) { name };
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string user = parse.GetRequiredValue(name);
            Wire.AccessChangeRequest change = new() { Kind = kind, Name = user };
            return AccessChangeRun.RunAsync(context, globals, parse, change, done(user), cancellationToken);
        });
        return command;
    }

    private static Command WithPassword(
        CliContext context,
        GlobalOptions globals,
        Kind kind,
        string word,
        string description,
        Func<string, string> done)
    {
        Argument<string> name = NameArgument();
        NewPasswordOptions password = new();
        Command command = new(word, description) { name };
        password.AddTo(command);
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string user = parse.GetRequiredValue(name);
            Wire.AccessChangeRequest change = new() { Kind = kind, Name = user };
            return AccessChangeRun.RunAsync(
                context,
                globals,
                parse,
                change,
                done(user),
                cancellationToken,
                () => password.Of(parse, context, user));
        });
        return command;
    }

    private static Command WithRole(
        CliContext context,
        GlobalOptions globals,
        Kind kind,
        string word,
        string description,
        Func<string, string, string> done)
    {
        Argument<string> name = NameArgument();
        Argument<string> role = new("role") { Description = "The role.", HelpName = "role" };
        Command command = new(word, description) { name, role };
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string user = parse.GetRequiredValue(name), given = parse.GetRequiredValue(role);
            Wire.AccessChangeRequest change = new() { Kind = kind, Name = user, Role = given };
            return AccessChangeRun.RunAsync(context, globals, parse, change, done(user, given), cancellationToken);
        });
        return command;
    }

    private static Argument<string> NameArgument() => new("name") { Description = "The user.", HelpName = "name" };
}
