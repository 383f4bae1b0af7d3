using System.CommandLine;
using System.Globalization;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge auth</c>: whether access is checked, and the key of tokens.</summary>
internal static class AuthCommand
{
    public static Command Create(CliContext context, GlobalOptions globals) =>
        new("auth", "Have the cluster check who may do what, or not.")
        {
            Change(
                context,
                globals,
                Kind.Enable,
                "enable",
                "Have every call checked from now on. Takes a user root that may do everything.",
                "Access is checked now."),
            Change(context, globals, Kind.Disable, "disable", "Have no call checked from now on.", "Access is not checked any more."),
            Status(context, globals),
            Change(
                context,
                globals,
                Kind.RotateKey,
                "rotate-key",
                "Make a new key that signs tokens. All tokens that there are end.",
                "Tokens are signed with a new key; those from before are over."),
        };

    private static Command Change(
        CliContext context,
        GlobalOptions globals,
        Kind kind,
        string word,
        string description,
        string done)
    {
        Command command = new(word, description);
        command.Do(context, globals, (parse, cancellationToken) => AccessChangeRun.RunAsync(
            context,
            globals,
            parse,
            new Wire.AccessChangeRequest { Kind = kind },
            done,
            cancellationToken));
        return command.WithExamples($"henge auth {word}", $"henge auth {word} --user root");
    }

    private static Command Status(CliContext context, GlobalOptions globals)
    {
        Command command = new("status", "Show whether access is checked, and who the cluster says that you are.");
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            using HengeClient client = globals.Connect(parse);
            Wire.AccessReadResponse access = await client.AccessAsync(cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json =>
                {
                    json.WriteBoolean("enabled", access.Enabled);
                    json.WriteString("you", access.You);
                    json.WriteBoolean("admin", access.Complete);
                    json.WriteNumber("revision", access.Revision);
                    if (access.Complete)
                    {
                        json.WriteNumber("users", access.Users.Count);
                        json.WriteNumber("roles", access.Roles.Count);
                    }
                });
                return ExitCode.Ok;
            }

            context.Output.WriteLine($"Access:   {(access.Enabled ? "checked" : "not checked: everybody may do everything")}");
            context.Output.WriteLine($"You:      {(access.You.Length > 0 ? access.You : "nobody")}{(access.Complete ? ", admin" : "")}");
            if (access.Complete)
            {
                context.Output.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Users:    {access.Users.Count}\nRoles:    {access.Roles.Count}"));
            }

            context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Revision: {access.Revision}"));
            return ExitCode.Ok;
        });
        return command.WithExamples("henge auth status", "henge auth status --user alice");
    }
}
