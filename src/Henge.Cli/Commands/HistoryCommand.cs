using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;

namespace Henge.Cli.Commands;

/// <summary><c>henge history KEY</c>.</summary>
internal static class HistoryCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Argument<string> key = new("key") { Description = "The key." };
        DataOptions data = new();
        Option<int> limit = new("--limit") { Description = "At most this many versions; 0: all that are kept.", HelpName = "count" };
        Command command = new("history", "List the versions that a key has had, newest first.") { key, limit, data.Consistency,
            data.Encoding, data.KeyEncoding, data.KeyEncoding };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            ByteEncoding encoding = data.EncodingOf(parse);
            byte[] keyBytes = TextForm.ToBytes(parse.GetRequiredValue(key), data.KeyEncodingOf(parse));
            int most = parse.GetValue(limit);
            HistoryOptions options = new()
            {
                Limit = most >= 0 ? most : throw new UsageException("--limit must not be negative."),
                Consistency = data.ConsistencyOf(parse),
            };
            bool json = globals.IsJson(parse);
            bool any = false;
            using HengeClient client = globals.Connect(parse);
            await foreach (HistoryEntry entry in client.HistoryAsync(keyBytes, options, cancellationToken).ConfigureAwait(false))
            {
                any = true;
                if (json)
                {
                    JsonForm.WriteLine(context.Output, j =>
                    {
                        j.WriteNumber("version", entry.Version.Value);
                        j.WriteString("time", TextForm.OfTime(entry.Time));
                        if (entry.Deleted)
                        {
                            j.WriteBoolean("deleted", true);
                        }
                        else
                        {
                            j.WriteValue("value", "hash", entry.Value, entry.Type);
                        }

                        if (entry.ExpiresAt is { } expires)
                        {
                            j.WriteString("expires", TextForm.OfTime(expires));
                        }
                    });
                    continue;
                }

                context.Output.Write($"{entry.Version}  {TextForm.OfTime(entry.Time)}  ");
                context.Output.Write(entry.Deleted ? "(deleted)" : TextForm.OfValue(entry.Value, entry.Type, encoding));
                context.Output.WriteLine(entry.ExpiresAt is { } end ? $"  (expires {TextForm.OfTime(end)})" : "");
            }

            if (!any && !json)
            {
                context.Error.WriteLine("(nil)");
            }

            return any ? ExitCode.Ok : ExitCode.No;
        });
        return command.WithExamples("henge history user:1001", "henge history user:1001 --limit 3 --output json");
    }
}
