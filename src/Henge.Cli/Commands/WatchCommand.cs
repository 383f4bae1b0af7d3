using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;
using Henge.Client;
using Henge.Core;

namespace Henge.Cli.Commands;

/// <summary><c>henge watch</c>.</summary>
internal static class WatchCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        DataOptions data = new();
        RangeOptions range = new();
        Argument<string?> key = new("key") { Description = "One key to watch, in place of a range.", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> from = new("--from")
        {
            Description = "Begin with the past: a version, how long ago (5m), or a date and time.",
            HelpName = "version|time",
        };
        Option<bool> previous = new("--previous") { Description = "Print the values that were replaced." };
        Option<long> limit = new("--limit") { Description = "End after this many events; 0: never.", HelpName = "count" };
        Option<bool> progress = new("--progress") { Description = "Print marks that say that everything up to a version has been printed." };
        Command command = new("watch", "Print changes as they happen.") { key, range.Prefix, range.From, range.To, from, previous,
            progress, limit, data.Encoding, data.KeyEncoding, data.KeyEncoding };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            ByteEncoding encoding = data.EncodingOf(parse);
            KeyRange keys = range.Of(parse, data.KeyEncodingOf(parse));
            if (parse.GetValue(key) is { } single)
            {
                byte[] bytes = TextForm.ToBytes(single, data.KeyEncodingOf(parse));
                keys = KeyRange.Between(bytes, (byte[])[.. bytes, 0]);
            }

            WatchOptions options = new()
            {
                Range = keys,
                StartVersion = parse.GetValue(from) is { } text ? StartOf(text, context) : default,
                PreviousValues = parse.GetValue(previous),
                Progress = parse.GetValue(progress),
            };
            bool json = globals.IsJson(parse);
            long left = parse.GetValue(limit);
            using HengeClient client = globals.Connect(parse);
            await foreach (WatchEvent watchEvent in client.WatchAsync(options, cancellationToken).ConfigureAwait(false))
            {
                if (json)
                {
                    WriteJson(context, watchEvent);
                }
                else
                {
                    WriteText(context, watchEvent, encoding, data.KeyEncodingOf(parse));
                }

                context.Output.Flush();
                if (watchEvent.Kind != WatchEventKind.Progress && --left == 0)
                {
                    break;
                }
            }

            return ExitCode.Ok;
        });
        return command.WithExamples(
            "henge watch --prefix config:",
            "henge watch --prefix config: --from 10m --previous",
            "henge watch leader:election --limit 1  # wait for one change");
    }

    private static Core.Version StartOf(string text, CliContext context)
    {
        // Unix time in seconds or milliseconds is shorter than any version of the last years.
        if (
            ulong.TryParse(
                text,
                System.Globalization.NumberStyles.None,
                System.Globalization.CultureInfo.InvariantCulture,
                out ulong version))
        {
            return version is > 0 and <= Core.Version.MaxValue
                ? new Core.Version(version)
                : throw new UsageException($"--from {text} is not a version; versions are numbers from 1 to {Core.Version.MaxValue}.");
        }

        Core.Version start = Core.Version.FromTime(Durations.ParseMoment(text, context.Time.GetUtcNow()));
        return start.IsZero ? new Core.Version(1) : start;
    }

    private static string NameOf(WatchEventKind kind) => kind switch
    {
        WatchEventKind.Put => "PUT",
        WatchEventKind.Delete => "DELETE",
        WatchEventKind.Expired => "EXPIRED",
        _ => "PROGRESS",
    };

    private static void WriteText(CliContext context, WatchEvent watchEvent, ByteEncoding encoding, ByteEncoding keyEncoding)
    {
        OutputWriter output = context.Output;
        output.Write(NameOf(watchEvent.Kind));
        if (watchEvent.Kind != WatchEventKind.Progress)
        {
            output.Write(" ");
            output.Write(TextForm.OfBytes(watchEvent.Key.Span, keyEncoding));
        }

        if (watchEvent.Kind == WatchEventKind.Put)
        {
            output.Write(" => ");
            output.Write(TextForm.OfValue(watchEvent.Value, watchEvent.Type, encoding));
        }

        output.Write($" (version: {watchEvent.Version}");
        if (watchEvent.Previous is { } previous)
        {
            output.Write(", previous: ");
            output.Write(TextForm.OfValue(previous.Value, previous.Type, encoding));
        }

        output.WriteLine(")");
    }

    private static void WriteJson(CliContext context, WatchEvent watchEvent) => JsonForm.WriteLine(context.Output, json =>
    {
        json.WriteString("type", NameOf(watchEvent.Kind));
        if (watchEvent.Kind != WatchEventKind.Progress)
        {
            json.WriteBytes("key", watchEvent.Key.Span);
        }

        if (watchEvent.Kind == WatchEventKind.Put)
        {
            json.WriteValue("value", "hash", watchEvent.Value, watchEvent.Type);
        }

        json.WriteNumber("version", watchEvent.Version.Value);
        json.WriteString("time", TextForm.OfTime(watchEvent.Version.ToTime()));
        json.WritePrevious(watchEvent.Previous);
    });
}
