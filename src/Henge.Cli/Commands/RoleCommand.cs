using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge role</c>: what users may do.</summary>
internal static class RoleCommand
{
    public static Command Create(CliContext context, GlobalOptions globals) =>
        new("role", "Look after roles: what the users that have them may do.")
        {
            Change(context, globals, Kind.AddRole, "add", "Add a role, which allows nothing yet.", static name => $"Role {name} is added."),
            Change(
                context,
                globals,
                Kind.DeleteRole,
                "delete",
                "Delete a role. Who has it may do no more what only it allowed.",
                static name => $"Role {name} is deleted."),
            List(context, globals),
            Show(context, globals),
            RoleGrantCommands.Grant(context, globals),
            RoleGrantCommands.Revoke(context, globals),
        };

    private static Command Change(
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
            string role = parse.GetRequiredValue(name);
            Wire.AccessChangeRequest change = new() { Kind = kind, Name = role };
            return AccessChangeRun.RunAsync(context, globals, parse, change, done(role), cancellationToken);
        });
        return command.WithExamples($"henge role {word} reader");
    }

    private static Command List(CliContext context, GlobalOptions globals)
    {
        Command command = new("list", "Show all roles and what they allow.");
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            using HengeClient client = globals.Connect(parse);
            Wire.AccessReadResponse access = await AccessView.ReadAllAsync(context, client, cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json => json.WriteObjects(
                    "roles",
                    access.Roles,
                    role => json.Write(role, AccessForm.UsersOf(access, role.Name))));
            }
            else
            {
                context.Output.Write(AccessForm.Table(access.Roles));
            }

            return ExitCode.Ok;
        });
        return command.WithExamples("henge role list", "henge role list --output json");
    }

    private static Command Show(CliContext context, GlobalOptions globals)
    {
        Argument<string> name = NameArgument();
        Command command = new("show", "Show what a role allows, and who has it.") { name };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            string wanted = parse.GetRequiredValue(name);
            using HengeClient client = globals.Connect(parse);
            Wire.AccessReadResponse access = await client.AccessAsync(cancellationToken).ConfigureAwait(false);
            if (access.Roles.FirstOrDefault(r => r.Name == wanted) is not { } role)
            {
                context.Error.WriteLine(AccessView.NotFound(access, "role", wanted));
                return ExitCode.No;
            }

            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json => json.Write(role, AccessForm.UsersOf(access, role.Name)));
            }
            else
            {
                context.Output.Write(AccessForm.Table([role]));
                context.Output.WriteLine();
                context.Output.WriteLine($"Users: {AccessForm.OrDash(AccessForm.UsersOf(access, role.Name))}");
            }

            return ExitCode.Ok;
        });
        return command.WithExamples("henge role show reader");
    }

    private static Argument<string> NameArgument() => new("name") { Description = "The role.", HelpName = "name" };
}
