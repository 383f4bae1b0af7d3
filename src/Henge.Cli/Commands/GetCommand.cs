using System.CommandLine;
using System.Text.Json;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;

namespace Henge.Cli.Commands;

/// <summary><c>henge get KEY</c>.</summary>
internal static class GetCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Argument<string> key = new("key") { Description = "The key." };
        DataOptions data = new();
        Command command = new("get", "Read a key's value, now or as it was.") { key, data.AtVersion, data.AtTime, data.Consistency,
            data.Encoding, data.KeyEncoding, data.KeyEncoding };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            ByteEncoding encoding = data.EncodingOf(parse);
            byte[] keyBytes = TextForm.ToBytes(parse.GetRequiredValue(key), data.KeyEncodingOf(parse));
            GetOptions options = new()
            {
                AtVersion = data.VersionOf(parse),
                AtTime = data.TimeOf(parse, context),
                Consistency = data.ConsistencyOf(parse),
            };
            using HengeClient client = globals.Connect(parse);
            GetResult result = await client.GetAsync(keyBytes, options, cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                WriteJson(context, keyBytes, result);
            }
            else if (!result.Found)
            {
                // Not on standard output, where a script would take it for a value.
                context.Error.WriteLine("(nil)");
            }
            else if (result.Type == DataType.Hash)
            {
                foreach (HashField field in HashValue.Read(result.Value))
                {
                    context.Output.WriteLine(TextForm.OfField(field, encoding));
                }
            }
            else if (encoding == ByteEncoding.Text)
            {
                // The value's own bytes and nothing else, so that a file that was put comes back as it was; only on a terminal a line end
                // keeps the prompt tidy.
                context.Output.Write(result.Value.Span);
                if (context.OutputIsTerminal)
                {
                    context.Output.Write("\n"u8);
                }
            }
            else
            {
                context.Output.WriteLine(TextForm.OfBytes(result.Value.Span, encoding));
            }

            return result.Found ? ExitCode.Ok : ExitCode.No;
        });
        return command.WithExamples(
            "henge get user:1001",
            "henge get user:1001 --at 5m            # as it was five minutes ago",
            "henge get logo.png > logo.png          # binary values come out as they went in");
    }

    private static void WriteJson(CliContext context, byte[] key, GetResult result) => JsonForm.WriteLine(context.Output, json =>
    {
        json.WriteBytes("key", key);
        json.WriteBoolean("found", result.Found);
        if (result.Found)
        {
            json.WriteValue("value", "hash", result.Value, result.Type);
            json.WriteNumber("version", result.Version.Value);
            json.WriteTtl(result.TimeToLive);
        }
    });

    /// <summary>The remaining time of a value, where it has one.</summary>
    internal static void WriteTtl(this Utf8JsonWriter json, TimeSpan? timeToLive)
    {
        if (timeToLive is { } left)
        {
            json.WriteNumber("ttl_ms", (long)left.TotalMilliseconds);
        }
    }
}
