using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;
using Henge.Client;

namespace Henge.Cli.Commands;

/// <summary>Options that several of the data commands have. Each command makes its own set.</summary>
internal sealed class DataOptions
{
    public Option<string> Encoding { get; } =
        GlobalOptions.OneOf("--encoding", "How values are written in arguments and in text output.", "text", "base64", "hex");

    public Option<string> KeyEncoding { get; } =
        GlobalOptions.OneOf("--key-encoding", "How keys are written in arguments and in text output.", "text", "base64", "hex");

    public Option<string> Consistency { get; } =
        GlobalOptions.OneOf(
            "--consistency",
            "How the read is made sure of; default: as the nodes are set, which is linearizable.",
            "default",
            "linearizable",
            "lease",
            "stale");

    public Option<ulong?> AtVersion { get; } = new("--version") { Description = "Read as of this version.", HelpName = "version" };

    public Option<string?> AtTime { get; } = new("--at")
    {
        Description = "Read as of this moment: how long ago (5m, 1h30m) or a date and time (2026-11-20T10:00:00Z).",
        HelpName = "time",
    };

    public ByteEncoding EncodingOf(ParseResult parse) => ToEncoding(parse.GetValue(Encoding));

    public ByteEncoding KeyEncodingOf(ParseResult parse) => ToEncoding(parse.GetValue(KeyEncoding));

    private static ByteEncoding ToEncoding(string? name) => name switch
    {
        "base64" => ByteEncoding.Base64,
        "hex" => ByteEncoding.Hex,
        _ => ByteEncoding.Text,
    };

    public ReadConsistency ConsistencyOf(ParseResult parse) => parse.GetValue(Consistency) switch
    {
        "linearizable" => ReadConsistency.Linearizable,
        "lease" => ReadConsistency.Lease,
        "stale" => ReadConsistency.Stale,
        _ => ReadConsistency.Default,
    };

    public Core.Version VersionOf(ParseResult parse)
    {
        if (parse.GetValue(AtVersion) is not { } version)
        {
            return default;
        }

        if (version is 0 or > Core.Version.MaxValue)
        {
            throw new UsageException($"--version {version} is not a version; versions are numbers from 1 to {Core.Version.MaxValue}.");
        }

        return parse.GetValue(AtTime) is null
            ? new Core.Version(version)
            : throw new UsageException("Give either --version or --at, not both.");
    }

    public DateTimeOffset? TimeOf(ParseResult parse, CliContext context) =>
        parse.GetValue(AtTime) is { } text ? Durations.ParseMoment(text, context.Time.GetUtcNow()) : null;
}
