using System.CommandLine;
using System.Globalization;
using System.Text;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;

namespace Henge.Cli.Commands;

/// <summary><c>henge txn</c>.</summary>
internal static class TxnCommand
{
    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Option<string[]> compares = Many(
            "--compare",
            "Must hold: 'version(KEY) = N', 'value(KEY) != TEXT', 'exists(KEY)', 'missing(KEY)'. Relations: = != < >.",
            "comparison",
            "-c");
        Option<string[]> then = Many(
            "--then",
            "Done when all comparisons hold: 'put KEY VALUE', 'get KEY', 'delete KEY'.",
            "operation",
            "-t");
        Option<string[]> otherwise = Many("--else", "Done when one does not: the same forms.", "operation", "-e");
        DataOptions data = new();
        Command command = new("txn", "Compare, then do one list of operations or the other, atomically, on keys of one shard.") { compares,
            then, otherwise, data.Encoding, data.KeyEncoding, data.KeyEncoding };
        command.Do(context, globals, async (parse, cancellationToken) =>
        {
            ByteEncoding encoding = data.EncodingOf(parse);
            using HengeClient client = globals.Connect(parse);
            Transaction transaction = client.Transaction()
                .When([.. (parse.GetValue(compares) ?? []).Select(c => TxnSyntax.ParseCompare(c, encoding, data.KeyEncodingOf(parse)))])
                .Then([.. (parse.GetValue(then) ?? []).Select(o => TxnSyntax.ParseOperation(o, encoding, data.KeyEncodingOf(parse)))])
                .Else([.. (parse.GetValue(otherwise) ?? []).Select(o => TxnSyntax.ParseOperation(o, encoding, data.KeyEncodingOf(parse)))]);
            TransactionResult result = await transaction.CommitAsync(globals.Timeout(parse), cancellationToken).ConfigureAwait(false);
            if (globals.IsJson(parse))
            {
                WriteJson(context, result);
            }
            else
            {
                context.Output.WriteLine(result.Succeeded ? $"Succeeded (version: {result.Version})" : "Comparison failed");
                for (int i = 0; i < result.Results.Count; i++)
                {
                    context.Output.WriteLine($"{(i + 1).ToString(CultureInfo.InvariantCulture)}) {TextOf(result.Results[i], encoding)}");
                }
            }

            return result.Succeeded ? ExitCode.Ok : ExitCode.No;
        });
        return command.WithExamples(
            "henge txn --compare 'missing({job}:lock)' --then 'put {job}:lock me' --else 'get {job}:lock'",
            "henge txn --compare 'value({acc}:a) = 100' --then 'put {acc}:a 70' --then 'put {acc}:b 30'",
            "",
            "Keys of one transaction must lie on one shard; a common part in braces keeps them together.");
    }

    private static Option<string[]> Many(string name, string description, string helpName, string alias) => new(name, alias)
    {
        Description = description,
        HelpName = helpName,
        AllowMultipleArgumentsPerToken = false,
        Arity = ArgumentArity.ZeroOrMore,
    };

    private static string TextOf(TransactionOperationResult result, ByteEncoding encoding) => result switch
    {
        { Get: { Found: true } get } => TextForm.OfValue(get.Value, get.Type, encoding),
        { Get: not null } => "(nil)",
        { Put: { } put } => $"OK (version: {put.Version})",
        { Delete: { Deleted: true } } => "Deleted",
        _ => "Key not found",
    };

    private static void WriteJson(CliContext context, TransactionResult result) => JsonForm.WriteLine(context.Output, json =>
    {
        json.WriteBoolean("succeeded", result.Succeeded);
        json.WriteNumber("version", result.Version.Value);
        json.WriteObjects("results", result.Results, one =>
        {
            if (one.Get is { } get)
            {
                json.WriteBoolean("found", get.Found);
                if (get.Found)
                {
                    json.WriteValue("value", "hash", get.Value, get.Type);
                    json.WriteNumber("version", get.Version.Value);
                }
            }
            else if (one.Put is { } put)
            {
                json.WriteBoolean("ok", put.Succeeded);
                json.WriteNumber("version", put.Version.Value);
            }
            else if (one.Delete is { } delete)
            {
                json.WriteBoolean("deleted", delete.Deleted);
            }
        });
    });
}

/// <summary>The small language of <c>henge txn</c>. Pure functions that throw <see cref="UsageException"/>.</summary>
internal static class TxnSyntax
{
    /// <summary>Reads <c>version(KEY) = N</c>, <c>value(KEY) != TEXT</c>, <c>exists(KEY)</c> or <c>missing(KEY)</c>.</summary>
    public static Compare ParseCompare(string text, ByteEncoding encoding, ByteEncoding keyEncoding = ByteEncoding.Text)
    {
        string trimmed = text.Trim();
        int open = trimmed.IndexOf('(', StringComparison.Ordinal);
        string function = open > 0 ? trimmed[..open].Trim() : "";
        if (function is "exists" or "missing")
        {
            if (!trimmed.EndsWith(')'))
            {
                throw Wrong(text);
            }

            byte[] key = TextForm.ToBytes(trimmed[(open + 1)..^1], keyEncoding);
            return function == "exists" ? Compare.Exists(key) : Compare.NotExists(key);
        }

        if (function is not ("version" or "value"))
        {
            throw Wrong(text);
        }

        // The key may hold brackets itself: the one that counts is followed by a relation.
        for (int close = trimmed.IndexOf(')', open); close >= 0; close = trimmed.IndexOf(')', close + 1))
        {
            string rest = trimmed[(close + 1)..].TrimStart();
            (CompareRelation relation, int length) = rest switch
            {
                ['!', '=', ..] => (CompareRelation.NotEqual, 2),
                ['=', '=', ..] => (CompareRelation.Equal, 2),
                ['=', ..] => (CompareRelation.Equal, 1),
                ['<', ..] => (CompareRelation.Less, 1),
                ['>', ..] => (CompareRelation.Greater, 1),
                _ => (default, 0),
            };
            if (length == 0)
            {
                continue;
            }

            byte[] key = TextForm.ToBytes(trimmed[(open + 1)..close], keyEncoding);
            string target = rest[length..].Trim();
            if (function == "value")
            {
                return Compare.Value(key, relation, TextForm.ToBytes(target, encoding));
            }

            return ulong.TryParse(target, NumberStyles.None, CultureInfo.InvariantCulture, out ulong version)
                ? Compare.Version(key, relation, new Core.Version(version))
                : throw new UsageException(
                    $"\"{target}\" in \"{text}\" is not a version; versions are numbers, and 0 means that the key does not exist.");
        }

        throw Wrong(text);
    }

    /// <summary>
    /// Reads <c>put KEY VALUE</c>, <c>get KEY</c> or <c>delete KEY</c>. A key with spaces stands in double quotes; a value is the rest of
    /// the line.
    /// </summary>
    public static TransactionOperation ParseOperation(string text, ByteEncoding encoding, ByteEncoding keyEncoding = ByteEncoding.Text)
    {
        string rest = text.Trim();
        string verb = TakeWord(ref rest, text);
        byte[] key = TextForm.ToBytes(rest.Length > 0 ? TakeWord(ref rest, text) : throw WrongOperation(text), keyEncoding);
        switch (verb)
        {
            case "put":
                return TransactionOperation.Put(key, TextForm.ToBytes(rest, encoding));
            case "get" when rest.Length == 0:
                return TransactionOperation.Get(key);
            case "delete" or "del" when rest.Length == 0:
                return TransactionOperation.Delete(key);
            default:
                throw WrongOperation(text);
        }
    }

    private static string TakeWord(ref string rest, string whole)
    {
        if (!rest.StartsWith('"'))
        {
            int space = rest.IndexOf(' ', StringComparison.Ordinal);
            string word = space < 0 ? rest : rest[..space];
            rest = space < 0 ? "" : rest[(space + 1)..];
            return word;
        }

        StringBuilder quoted = new();
        int i = 1;
        for (; i < rest.Length && rest[i] != '"'; i++)
        {
            if (rest[i] == '\\' && i + 1 < rest.Length)
            {
                i++;
            }

            quoted.Append(rest[i]);
        }

        if (i >= rest.Length)
        {
            throw new UsageException($"A closing quote is missing in \"{whole}\".");
        }

        rest = rest[(i + 1)..];
        rest = rest.StartsWith(' ') ? rest[1..] : rest;
        return quoted.ToString();
    }

    private static UsageException Wrong(string text) =>
        new(
            $"\"{text}\" is not a comparison. Write version(KEY) = N, value(KEY) = TEXT, exists(KEY) or missing(KEY); relations are = != < "
                + $">.");

    private static UsageException WrongOperation(string text) =>
        new($"\"{text}\" is not an operation. Write put KEY VALUE, get KEY or delete KEY.");
}
