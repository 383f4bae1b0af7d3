using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary>Asks for a change of users, of roles, or of whether access is checked, and says that it is done.</summary>
internal static class AccessChangeRun
{
    /// <summary>Runs it.</summary>
    /// <param name="context">The streams.</param>
    /// <param name="globals">The options of all commands.</param>
    /// <param name="parse">The command line.</param>
    /// <param name="change">What is wanted.</param>
    /// <param name="done">What is said when it is done.</param>
    /// <param name="cancellationToken">The end.</param>
    /// <param name="password">Gives the new password, where there is one: asked for after that of the user that calls.</param>
    public static async Task<int> RunAsync(
        CliContext context,
        GlobalOptions globals,
        ParseResult parse,
        Wire.AccessChangeRequest change,
        string done,
        CancellationToken cancellationToken,
        Func<string>? password = null)
    {
        using HengeClient client = globals.Connect(parse);
        change.Password = password?.Invoke() ?? "";
        await client.ChangeAccessAsync(change, cancellationToken).ConfigureAwait(false);
        if (globals.IsJson(parse))
        {
            JsonForm.WriteLine(context.Output, static json => json.WriteBoolean("done", true));
        }
        else
        {
            context.Output.WriteLine(done);
        }

        return ExitCode.Ok;
    }
}
