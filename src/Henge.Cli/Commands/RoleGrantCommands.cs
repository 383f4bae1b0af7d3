using System.CommandLine;
using Google.Protobuf;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Core;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Commands;

/// <summary><c>henge role grant</c> and <c>revoke</c>: what a role allows, with which keys.</summary>
internal static class RoleGrantCommands
{
    public static Command Grant(CliContext context, GlobalOptions globals) =>
        Create(context, globals, Kind.Grant, "grant", "Have a role allow something with keys, or with the cluster (admin).", "may")
            .WithExamples(
                "henge role grant reader --prefix app: read,watch",
                "henge role grant writer --key config:mode read,write",
                "henge role grant half --start a --end n read",
                "henge role grant everything --all read,write,watch",
                "henge role grant operator admin");

    public static Command Revoke(CliContext context, GlobalOptions globals) =>
        Create(
                context,
                globals,
                Kind.Revoke,
                "revoke",
                "Take from a role what it allows with exactly these keys, or with the cluster (admin).",
                "by this may no more")
            .WithExamples("henge role revoke reader --prefix app: watch", "henge role revoke operator admin");

    private static Command Create(CliContext context, GlobalOptions globals, Kind kind, string word, string description, string may)
    {
        Argument<string> name = new("name") { Description = "The role.", HelpName = "name" };
        Argument<string> permissions = new("permissions")
        {
            Description = "What: some of read,write,watch with commas between, or admin, which is of no keys.",
            HelpName = "permissions",
        };
        permissions.CompletionSources.Add("read", "write", "watch", "read,write", "read,watch", "read,write,watch", "admin");
        GrantOptions keys = new();
        Command command = new(word, description) { name, permissions };
        keys.AddTo(command);
        command.Do(context, globals, (parse, cancellationToken) =>
        {
            string role = parse.GetRequiredValue(name);
            Wire.AccessGrant grant = keys.Of(parse, parse.GetRequiredValue(permissions));
            string what = AccessForm.Permissions(grant) + (grant.Admin ? "" : $": {AccessForm.Keys(grant)}");
            Wire.AccessChangeRequest change = new() { Kind = kind, Name = role, Grant = grant };
            return AccessChangeRun.RunAsync(context, globals, parse, change, $"Role {role} {may} {what}", cancellationToken);
        });
        return command;
    }

    private sealed class GrantOptions
    {
        private readonly RangeOptions _range = new();
        private readonly DataOptions _data = new();
        private readonly Option<string?> _key = new("--key") { Description = "This key.", HelpName = "key" };
        private readonly Option<bool> _all = new("--all") { Description = "All keys." };

        public void AddTo(Command command)
        {
            command.Add(_key);
            command.Add(_range.Prefix);
            command.Add(_range.From);
            command.Add(_range.To);
            command.Add(_all);
            command.Add(_data.KeyEncoding);
        }

        public Wire.AccessGrant Of(ParseResult parse, string permissions)
        {
            Wire.AccessGrant grant = new();
            foreach (string word in permissions.Split(','))
            {
                switch (word)
                {
                    case "read":
                        grant.Read = true;
                        break;
                    case "write":
                        grant.Write = true;
                        break;
                    case "watch":
                        grant.Watch = true;
                        break;
                    case "admin":
                        grant.Admin = true;
                        break;
                    default:
                        throw new UsageException($"\"{word}\" is not a permission. There are read, write and watch, and admin.");
                }
            }

            KeyRange? range = KeysOf(parse);
            if (grant.Admin)
            {
                return range is null && !grant.Read && !grant.Write && !grant.Watch
                    ? grant
                    : throw new UsageException("admin is of no keys, and stands alone. Grant the others in a command of their own.");
            }

            if (range is not { } keys)
            {
                throw new UsageException("Say with which keys: --key, --prefix, --start and --end, or --all.");
            }

            grant.Start = UnsafeByteOperations.UnsafeWrap(keys.Start);
            grant.End = UnsafeByteOperations.UnsafeWrap(keys.End);
            return grant;
        }

        // An empty prefix would be all keys, and is more likely a variable of a script that is not set.
        private KeyRange? KeysOf(ParseResult parse)
        {
            string? key = parse.GetValue(_key), prefix = parse.GetValue(_range.Prefix);
            bool all = parse.GetValue(_all), between = parse.GetValue(_range.From) is not null || parse.GetValue(_range.To) is not null;
            int ways = (key is null ? 0 : 1) + (prefix is null ? 0 : 1) + (between ? 1 : 0) + (all ? 1 : 0);
            if (ways == 0)
            {
                return null;
            }

            if (ways > 1)
            {
                throw new UsageException("Give one of --key, --prefix, --start and --end, and --all.");
            }

            ByteEncoding encoding = _data.KeyEncodingOf(parse);
            KeyRange range =
                all ? KeyRange.All
                : key is not null ? KeyRange.Key(TextForm.ToBytes(key, encoding))
                : _range.Of(parse, encoding);
            return range.IsEmpty ? throw new UsageException("No key lies between --start and --end.")
                : range.Equals(KeyRange.All) && !all ? throw new UsageException("That is all keys. If it is meant, give --all.")
                : range;
        }
    }
}
