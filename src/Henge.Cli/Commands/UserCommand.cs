using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge user</c>: who there is, and how it says so.</summary>
internal static class UserCommand
{
    public static Command Create(CliContext context, GlobalOptions globals) =>
        new("user", "Look after users.")
        {
            UserChangeCommands.Add(context, globals),
            UserChangeCommands.Passwd(context, globals),
            UserChangeCommands.Delete(context, globals),
            List(context, globals),
            Show(context, globals),
            UserChangeCommands.Grant(context, globals),
            UserChangeCommands.Revoke(context, globals),
            Token(context, globals),
            UserChangeCommands.RevokeTokens(context, globals),
        };

    private static Command List(CliContext context, GlobalOptions globals)
    {
        Command command = new("list", "Show all users and their roles.");
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            using HengeClient client = globals.Connect(parse);
            Wire.AccessReadResponse access = await AccessView.ReadAllAsync(context, client, cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json => json.WriteObjects("users", access.Users, json.Write));
                return ExitCode.Ok;
            }

            Table table = new("USER", "PASSWORD", "ROLES");
            foreach (Wire.AccessUser user in access.Users)
            {
                table.Add(user.Name, user.HasPassword ? "yes" : "no", AccessForm.OrDash(user.Roles));
            }

            context.Output.Write(table.ToString());
            return ExitCode.Ok;
        });
        return command.WithExamples("henge user list", "henge user list --output json");
    }

    private static Command Show(CliContext context, GlobalOptions globals)
    {
        Argument<string> name = new("name") { Description = "The user.", HelpName = "name" };
        Command command = new("show", "Show a user, its roles, and what it may do by them.") { name };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            string wanted = parse.GetRequiredValue(name);
            using HengeClient client = globals.Connect(parse);
            Wire.AccessReadResponse access = await client.AccessAsync(cancellationToken).ConfigureAwait(false);
            if (access.Users.FirstOrDefault(u => u.Name == wanted) is not { } user)
            {
                context.Error.WriteLine(AccessView.NotFound(access, "user", wanted));
                return ExitCode.No;
            }

            Wire.AccessRole[] roles = [.. access.Roles.Where(r => user.Roles.Contains(r.Name))];
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json =>
                {
                    json.Write(user);
                    json.WriteObjects("grants_of_roles", roles, role => json.Write(role, AccessForm.UsersOf(access, role.Name)));
                });
                return ExitCode.Ok;
            }

            context.Output.WriteLine($"User:     {user.Name}");
            context.Output.WriteLine($"Password: {(user.HasPassword ? "yes" : "no")}");
            context.Output.WriteLine($"Roles:    {AccessForm.OrDash(user.Roles)}");
            if (roles.Length > 0)
            {
                context.Output.WriteLine();
                context.Output.Write(AccessForm.Table(roles));
            }

            return ExitCode.Ok;
        });
        return command.WithExamples("henge user show alice");
    }

    private static Command Token(CliContext context, GlobalOptions globals)
    {
        Argument<string?> name = new("name")
        {
            Description = "Whose; default: that of the user that calls.",
            HelpName = "name",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<string?> ttl = new("--ttl")
        {
            Description = "How long it is good, as 15m or 8h; at most 366 days. [default: 1h]",
            HelpName = "time",
        };
        Command command = new("token", "Make a token by which its bearer is a user for a while, and print it.") { name, ttl };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            TimeSpan? time = parse.GetValue(ttl) is { } text ? Durations.Parse(text) : null;
            using HengeClient client = globals.Connect(parse);
            Wire.CreateTokenResponse made = await client.CreateTokenAsync(parse.GetValue(name), time, cancellationToken)
                .ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json =>
                {
                    json.WriteString("token", made.Token);
                    json.WriteString("expires", TextForm.OfTime(DateTimeOffset.FromUnixTimeMilliseconds(made.ExpiresAtUnixMs)));
                });
            }
            else
            {
                context.Output.WriteLine(made.Token);
            }

            return ExitCode.Ok;
        });
        return command.WithExamples(
            "henge user token --ttl 8h",
            "export HENGE_TOKEN=$(henge user token --user alice)",
            "henge user token batch-job --ttl 15m --output json");
    }
}
