using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;
using Henge.Client;

namespace Henge.Cli.Commands;

/// <summary><c>henge put KEY VALUE</c>.</summary>
internal static class PutCommand
{
    // Above what any node takes; only keeps an endless pipe from filling memory.
    private const int LimitInputBytes = 256 * 1024 * 1024;

    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Argument<string> key = new("key") { Description = "The key." };
        Argument<string> value = new("value") { Description = "The value; - reads it from standard input, byte by byte." };
        DataOptions data = new();
        Option<string?> ttl = new("--ttl") { Description = "The value expires after this time: 30s, 5m, 1h30m, 7d.", HelpName = "time" };
        Option<bool> keepTtl = new("--keep-ttl") { Description = "Keep the expiry that the key has." };
        Option<ulong?> ifVersion = new("--if-version")
        {
            Description = "Write only if the key is at this version; 0: only if it does not exist.",
            HelpName = "version",
        };
        Option<bool> previous = new("--previous") { Description = "Also print what was there before." };
        Command command = new("put", "Write a key.") { key, value, ttl, keepTtl, ifVersion, previous, data.Encoding, data.KeyEncoding,
            data.KeyEncoding };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            ByteEncoding encoding = data.EncodingOf(parse);
            byte[] keyBytes = TextForm.ToBytes(parse.GetRequiredValue(key), data.KeyEncodingOf(parse));
            string valueText = parse.GetRequiredValue(value);
            byte[] valueBytes = valueText == "-"
                ? await ReadInputAsync(context, cancellationToken).ConfigureAwait(false)
                : TextForm.ToBytes(valueText, encoding);
            PutOptions options = new()
            {
                TimeToLive = parse.GetValue(ttl) is { } text ? Ttl(text) : null,
                KeepTimeToLive = parse.GetValue(keepTtl),
                IfVersion = parse.GetValue(ifVersion) is { } version ? new Core.Version(version) : null,
                ReturnPrevious = parse.GetValue(previous),
            };
            using HengeClient client = globals.Connect(parse);
            PutResult result = await client.PutAsync(keyBytes, valueBytes, options, cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                JsonForm.WriteLine(context.Output, json =>
                {
                    json.WriteBoolean("ok", result.Succeeded);
                    json.WriteNumber("version", result.Version.Value);
                    json.WritePrevious(result.Previous);
                });
            }
            else if (result.Succeeded)
            {
                context.Output.WriteLine($"OK (version: {result.Version})");
                WritePreviousText(context, result.Previous, encoding);
            }
            else
            {
                context.Output.WriteLine(result.Version.IsZero
                    ? "Not written: the key does not exist"
                    : $"Not written: the key is at version {result.Version}");
            }

            return result.Succeeded ? ExitCode.Ok : ExitCode.No;
        });
        return command.WithExamples(
            "henge put user:1001 '{\"name\":\"Alice\"}'",
            "henge put session:42 token --ttl 30m",
            "henge put logo.png - < logo.png",
            "henge put lock:job me --if-version 0   # only if nobody has it");
    }

    internal static TimeSpan Ttl(string text)
    {
        TimeSpan ttl = Durations.Parse(text);
        return ttl >= TimeSpan.FromMilliseconds(1) ? ttl : throw new UsageException($"--ttl {text} is less than a millisecond.");
    }

    internal static void WritePreviousText(CliContext context, KeyValue? previous, ByteEncoding encoding)
    {
        if (previous is not null)
        {
            context.Output.WriteLine($"Previous (version: {previous.Version}): {TextForm.OfBytes(previous.Value.Span, encoding)}");
        }
    }

    internal static void WritePrevious(this System.Text.Json.Utf8JsonWriter json, KeyValue? previous)
    {
        if (previous is not null)
        {
            json.WriteStartObject("previous");
            json.WriteBytes("value", previous.Value.Span);
            json.WriteNumber("version", previous.Version.Value);
            json.WriteEndObject();
        }
    }

    private static async Task<byte[]> ReadInputAsync(CliContext context, CancellationToken cancellationToken)
    {
        using Stream input = context.OpenInput();
        using MemoryStream whole = new();
        byte[] chunk = new byte[64 * 1024];
        for (int read; (read = await input.ReadAsync(chunk, cancellationToken).ConfigureAwait(false)) > 0;)
        {
            if (whole.Length + read > LimitInputBytes)
            {
                throw new UsageException($"Standard input has more than {LimitInputBytes} bytes, which no value can have.");
            }

            whole.Write(chunk, 0, read);
        }

        return whole.ToArray();
    }
}
