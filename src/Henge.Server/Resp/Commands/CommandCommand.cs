using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>COMMAND and its subcommands: what this server knows of its own commands, in the form of Redis 7.0.</summary>
internal static class CommandCommand
{
    private static readonly string[] Nothing = [];

    public static void Run(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        RespCommandTable commands = connection.Services.Commands;
        if (arguments.Count == 1)
        {
            Describe(commands.All, writer);
        }
        else if (arguments.Is(1, "COUNT"u8) && arguments.Count == 2)
        {
            writer.Integer(commands.All.Count);
        }
        else if (arguments.Is(1, "DOCS"u8))
        {
            IEnumerable<RespCommand?> named = Named(commands, arguments);
            Document([.. named.Where(static c => c is not null && CommandDocs.Of(c.Name) is not null).Distinct()], writer);
        }
        else if (arguments.Is(1, "INFO"u8))
        {
            Describe(Named(commands, arguments), writer);
        }
        else if (arguments.Is(1, "GETKEYS"u8) && arguments.Count > 3)
        {
            GetKeys(commands, arguments, writer);
        }
        else if (arguments.Is(1, "LIST"u8) && arguments.Count is 2 or 5)
        {
            List(commands, arguments, writer);
        }
        else
        {
            writer.Error(RespErrors.Subcommand(arguments, "command", "COUNT", "DOCS", "GETKEYS", "INFO", "LIST"));
        }
    }

    /// <summary>The commands of the names that were given, null for those that there are not; all when none was.</summary>
    private static RespCommand?[] Named(RespCommandTable commands, RespArguments arguments) =>
        arguments.Count == 2
            ? [.. commands.All]
            : [.. Enumerable.Range(2, arguments.Count - 2).Select(i => commands.Find(arguments.Span(i)))];

    /// <summary>COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern].</summary>
    private static void List(RespCommandTable commands, RespArguments arguments, RespWriter writer)
    {
        Func<RespCommand, bool>? wanted = arguments.Count == 2 ? static _ => true : null;
        if (arguments.Count == 5 && arguments.Is(2, "FILTERBY"u8))
        {
            byte[] value = arguments[4].ToArray();
            wanted =
                arguments.Is(3, "MODULE"u8) ? static _ => false
                : arguments.Is(3, "ACLCAT"u8)
                    ? c => CategoriesOf(c).Contains("@" + System.Text.Encoding.Latin1.GetString(value).ToLowerInvariant())
                : arguments.Is(3, "PATTERN"u8) ? c => Glob.Matches(value, System.Text.Encoding.ASCII.GetBytes(c.Name))
                : null;
        }

        if (wanted is null)
        {
            writer.Error(RespErrors.Syntax);
            return;
        }

        string[] names = [.. commands.All.Where(wanted).Select(static c => c.Name)];
        writer.Array(names.Length);
        foreach (string name in names)
        {
            writer.Bulk(name);
        }
    }

    /// <summary>COMMAND GETKEYS command arguments…: which of them are keys.</summary>
    private static void GetKeys(RespCommandTable commands, RespArguments arguments, RespWriter writer)
    {
        const int At = 2;
        int count = arguments.Count - At;
        if (commands.Find(arguments.Span(At)) is not { } command)
        {
            writer.Error("ERR Invalid command specified");
        }
        else if (command.Keys.First == 0)
        {
            writer.Error("ERR The command has no key arguments");
        }
        else if (!command.Fits(count))
        {
            writer.Error("ERR Invalid number of arguments specified for command");
        }
        else
        {
            (int first, int last, int step) = command.Keys;
            last = last < 0 ? count + last : Math.Min(last, count - 1);
            writer.Array(((last - first) / step) + 1);
            for (int i = first; i <= last; i += step)
            {
                writer.Bulk(arguments.Span(At + i));
            }
        }
    }

    private static void Describe(IReadOnlyList<RespCommand?> commands, RespWriter writer)
    {
        writer.Array(commands.Count);
        foreach (RespCommand? command in commands)
        {
            if (command is null)
            {
                writer.Null();
                continue;
            }

            // Where the keys of a script stand is said by the number before them.
            (int first, int last, int step) = command is ScriptCommand ? (0, 0, 0) : command.Keys;
            writer.Array(10);
            writer.Bulk(command.Name);
            writer.Integer(command.Arity);
            Words(FlagsOf(command), writer);
            writer.Integer(first);
            writer.Integer(last);
            writer.Integer(step);
            Words(CategoriesOf(command), writer);
            Words(Nothing, writer);
            KeySpecification(command, writer);
            writer.Array(0);
        }
    }

    /// <summary>What it does with data; null: nothing, or nobody can say before it comes (scripts).</summary>
    private static string? AccessOf(RespCommand command) =>
        command is ScriptCommand ? null : command.Writes ? "write" : command is DataCommand || command.OnKeySpace ? "readonly" : null;

    private static List<string> FlagsOf(RespCommand command)
    {
        CommandDocs? docs = CommandDocs.Of(command.Name);
        List<string> flags = [];
        if (AccessOf(command) is { } access)
        {
            flags.Add(access);
        }

        if (docs?.Group == "pubsub")
        {
            flags.Add("pubsub");
        }

        if (docs?.IsFast == true)
        {
            flags.Add("fast");
        }

        if (command is ScriptCommand)
        {
            flags.Add("movablekeys");
        }

        return flags;
    }

    private static List<string> CategoriesOf(RespCommand command)
    {
        CommandDocs? docs = CommandDocs.Of(command.Name);
        List<string> categories = [];
        if (AccessOf(command) is { } access)
        {
            categories.Add(access == "write" ? "@write" : "@read");
        }

        if (docs is not null)
        {
            // Redis's categories are its groups, but for three.
            categories.Add(
                docs.Group switch
                {
                    "generic" => "@keyspace",
                    "transactions" => "@transaction",
                    "server" or "cluster" => "@admin",
                    string group => "@" + group,
                });
            categories.Add(docs.IsFast ? "@fast" : "@slow");
        }

        return categories;
    }

    private static void KeySpecification(RespCommand command, RespWriter writer)
    {
        (int first, int last, int step) = command.Keys;
        bool script = command is ScriptCommand, each = HasKeyGroups(command);
        int specifications = first == 0 ? 0 : each ? last - first + 1 : 1;
        writer.Set(specifications);
        for (int i = 0; i < specifications; i++)
        {
            writer.Map(3);
            writer.Bulk("flags");
            Words(command.Writes ? ["RW", "update"] : ["RO", "access"], writer);
            Search("begin_search", "index", writer, ("index", script ? 2 : first + i));
            if (script)
            {
                Search("find_keys", "keynum", writer, ("keynumidx", 0), ("firstkey", 1), ("keystep", 1));
            }
            else
            {
                Search(
                    "find_keys",
                    "range",
                    writer,
                    (
                        "lastkey",
                        last < 0 ? last
                        : each ? 0
                        : last - first),
                    ("keystep", step),
                    ("limit", 0));
            }
        }
    }

    /// <summary>True when its keys have different parts to play, as those of RENAME.</summary>
    private static bool HasKeyGroups(RespCommand command) => command.Keys.Last > command.Keys.First;

    private static void Search(string name, string type, RespWriter writer, params ReadOnlySpan<(string Name, int Value)> numbers)
    {
        writer.Bulk(name);
        writer.Map(2);
        writer.Bulk("type");
        writer.Bulk(type);
        writer.Bulk("spec");
        writer.Map(numbers.Length);
        foreach ((string key, int value) in numbers)
        {
            writer.Bulk(key);
            writer.Integer(value);
        }
    }

    private static void Words(IReadOnlyCollection<string> words, RespWriter writer)
    {
        writer.Set(words.Count);
        foreach (string word in words)
        {
            writer.Simple(word);
        }
    }

    private static void Document(IReadOnlyList<RespCommand?> commands, RespWriter writer)
    {
        writer.Map(commands.Count);
        foreach (RespCommand? command in commands)
        {
            CommandDocs docs = CommandDocs.Of(command!.Name)!;
            writer.Bulk(command.Name);
            writer.Map(docs.Arguments.Count > 0 ? 5 : 4);
            Pair("summary", docs.Summary, writer);
            Pair("since", docs.Since, writer);
            Pair("group", docs.Group, writer);
            Pair("complexity", docs.Complexity, writer);
            if (docs.Arguments.Count > 0)
            {
                int keys = 0;
                Arguments(docs.Arguments, HasKeyGroups(command), ref keys, writer);
            }
        }
    }

    private static void Arguments(IReadOnlyList<CommandSyntax> arguments, bool eachKey, ref int keys, RespWriter writer)
    {
        writer.Bulk("arguments");
        writer.Array(arguments.Count);
        foreach (CommandSyntax argument in arguments)
        {
            bool key = argument.Type == "key", flags = argument.IsOptional || argument.IsMultiple, parts = argument.Parts.Count > 0;
            writer.Map(2 + (key ? 1 : 0) + (argument.Token is null ? 0 : 1) + (flags ? 1 : 0) + (parts ? 1 : 0));
            Pair("name", argument.Name, writer);
            Pair("type", argument.Type, writer);
            if (key)
            {
                writer.Bulk("key_spec_index");
                writer.Integer(keys);
                keys += eachKey ? 1 : 0;
            }

            if (argument.Token is not null)
            {
                Pair("token", argument.Token, writer);
            }

            if (flags)
            {
                writer.Bulk("flags");
                Words([.. argument.IsOptional ? ["optional"] : Nothing, .. argument.IsMultiple ? ["multiple"] : Nothing], writer);
            }

            if (parts)
            {
                Arguments(argument.Parts, eachKey, ref keys, writer);
            }
        }
    }

    private static void Pair(string name, string value, RespWriter writer)
    {
        writer.Bulk(name);
        writer.Bulk(value);
    }
}
