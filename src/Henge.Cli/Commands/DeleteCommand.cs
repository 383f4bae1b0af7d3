using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;

namespace Henge.Cli.Commands;

/// <summary><c>henge delete KEY</c>.</summary>
internal static class DeleteCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Argument<string> key = new("key") { Description = "The key." };
        DataOptions data = new();
        Option<ulong?> ifVersion = new("--if-version") { Description = "Delete only if the key is at this version.", HelpName = "version" };
        Option<bool> previous = new("--previous") { Description = "Also print what was there before." };
        Command command = new("delete", "Delete a key.") { key, ifVersion, previous, data.Encoding, data.KeyEncoding, data.KeyEncoding };
        command.Aliases.Add("del");
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            ByteEncoding encoding = data.EncodingOf(parse);
            byte[] keyBytes = TextForm.ToBytes(parse.GetRequiredValue(key), data.KeyEncodingOf(parse));
            DeleteOptions options = new()
            {
                IfVersion = parse.GetValue(ifVersion) is { } version ? new Core.Version(version) : null,
                ReturnPrevious = parse.GetValue(previous),
            };
            using HengeClient client = globals.Connect(parse);
            DeleteResult result = await client.DeleteAsync(keyBytes, options, cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json =>
                {
                    json.WriteBoolean("deleted", result.Deleted);
                    if (result.ConditionFailed)
                    {
                        json.WriteBoolean("condition_failed", true);
                    }

                    json.WriteNumber("version", result.Version.Value);
                    json.WritePrevious(result.Previous);
                });
            }
            else
            {
                context.Output.WriteLine(result.Deleted ? "Deleted"
                    : result.ConditionFailed ? $"Not deleted: the key is at version {result.Version}"
                    : "Key not found");
                PutCommand.WritePreviousText(context, result.Previous, encoding);
            }

            return result.Deleted ? ExitCode.Ok : ExitCode.No;
        });
        return command.WithExamples("henge delete user:1001", "henge delete lock:job --if-version 3812345678901248");
    }
}
