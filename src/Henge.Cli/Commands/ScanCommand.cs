using System.CommandLine;
using System.Globalization;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Henge.Core;

namespace Henge.Cli.Commands;

/// <summary><c>henge scan</c>.</summary>
internal static class ScanCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        DataOptions data = new();
        RangeOptions range = new();
        Option<long> limit = new("--limit") { Description = "At most this many keys; 0: all.", HelpName = "count" };
        Option<bool> reverse = new("--reverse") { Description = "From the last key to the first." };
        Option<bool> keysOnly = new("--keys-only") { Description = "Print keys without values." };
        Option<bool> count = new("--count") { Description = "Print how many keys there are." };
        Option<bool> versions = new("--versions") { Description = "Print each value's version as well." };
        Command command = new("scan", "List keys and values in order, as of one moment.")
        {
            range.Prefix,
            range.From,
            range.To,
            limit,
            reverse,
            keysOnly,
            count,
            versions,
            data.AtVersion,
            data.AtTime,
            data.Consistency,
            data.Encoding,
            data.KeyEncoding,
        };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            ByteEncoding encoding = data.EncodingOf(parse), keyEncoding = data.KeyEncodingOf(parse);
            ScanOptions options = new()
            {
                Range = range.Of(parse, data.KeyEncodingOf(parse)),
                Limit = parse.GetValue(limit) is >= 0 and long most ? most : throw new UsageException("--limit must not be negative."),
                Reverse = parse.GetValue(reverse),
                KeysOnly = parse.GetValue(keysOnly),
                AtVersion = data.VersionOf(parse),
                AtTime = data.TimeOf(parse, context),
                Consistency = data.ConsistencyOf(parse),
            };
            bool json = globals.IsJson(parse);
            using HengeClient client = globals.Connect(parse);
            if (parse.GetValue(count))
            {
                long number = await client.CountAsync(options, cancellationToken).ConfigureAwait(false);
                if (json)
                {
                    JsonForm.WriteLine(context.Output, j => j.WriteNumber("count", number));
                }
                else
                {
                    context.Output.WriteLine(number.ToString(CultureInfo.InvariantCulture));
                }

                return ExitCode.Ok;
            }

            bool withVersions = parse.GetValue(versions);
            await foreach (KeyValue pair in client.ScanAsync(options, cancellationToken).ConfigureAwait(false))
            {
                if (json)
                {
                    JsonForm.WriteLine(context.Output, j =>
                    {
                        j.WriteBytes("key", pair.Key.Span);
                        if (!options.KeysOnly)
                        {
                            j.WriteValue("value", "hash", pair.Value, pair.Type);
                        }

                        j.WriteNumber("version", pair.Version.Value);
                        j.WriteTtl(pair.TimeToLive);
                    });
                    continue;
                }

                context.Output.Write(TextForm.OfBytes(pair.Key.Span, keyEncoding));
                if (!options.KeysOnly)
                {
                    context.Output.Write(" => ");
                    context.Output.Write(TextForm.OfValue(pair.Value, pair.Type, encoding));
                }

                context.Output.WriteLine(withVersions ? $" (version: {pair.Version})" : "");
            }

            return ExitCode.Ok;
        });
        return command.WithExamples(
            "henge scan --prefix user: --limit 100",
            "henge scan --prefix user: --count",
            "henge scan --prefix user: --at 10m     # as they all were ten minutes ago",
            "henge scan --reverse --limit 1         # the last key");
    }
}

/// <summary>Which keys: by prefix or from a key to another.</summary>
internal sealed class RangeOptions
{
    public Option<string?> Prefix { get; } = new("--prefix") { Description = "Keys that begin with this.", HelpName = "prefix" };

    public Option<string?> From { get; } = new("--start") { Description = "The first key.", HelpName = "key" };

    public Option<string?> To { get; } = new("--end") { Description = "The key behind the last one.", HelpName = "key" };

    public KeyRange Of(ParseResult parse, ByteEncoding encoding)
    {
        string? prefix = parse.GetValue(Prefix);
        string? from = parse.GetValue(From);
        string? to = parse.GetValue(To);
        if (prefix is null)
        {
            return KeyRange.Between(TextForm.ToBytes(from ?? "", encoding), TextForm.ToBytes(to ?? "", encoding));
        }

        return from is null && to is null
            ? KeyRange.Prefix(TextForm.ToBytes(prefix, encoding))
            : throw new UsageException("Give either --prefix or --start and --end, not both.");
    }
}
