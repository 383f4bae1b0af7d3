namespace Henge.Server.Resp.Commands;

/// <summary>
/// One argument of a command as COMMAND DOCS describes it, read from a short notation: <c>name:type</c> (a string without a type), <c>WORD
/// name</c> for an option with a value, <c>WORD</c> alone, <c>[…]</c> for what may be left out, <c>{…}</c> for what belongs together,
/// <c>a|b</c> in either for one of several, <c>name=</c> at the beginning of a group for its name, <c>...</c> behind for what may be
/// repeated.
/// </summary>
/// <param name="Name">What it is called.</param>
/// <param name="Type"><c>string</c>, <c>key</c>, <c>integer</c>, <c>double</c>, <c>pattern</c>, <c>unix-time</c>, <c>pure-token</c>,
/// <c>oneof</c> or <c>block</c>.</param>
/// <param name="Token">The word that stands before it, or that it is.</param>
/// <param name="Parts">Of a group: what is in it.</param>
internal sealed record CommandSyntax(string Name, string Type, string? Token, IReadOnlyList<CommandSyntax> Parts)
{
    /// <summary>True when it may be left out.</summary>
    public bool IsOptional { get; init; }

    /// <summary>True when it may be repeated.</summary>
    public bool IsMultiple { get; init; }

    /// <summary>Reads the notation.</summary>
    public static IReadOnlyList<CommandSyntax> Parse(string text)
    {
        int position = 0;
        return Sequence(text, ref position);
    }

    private static List<CommandSyntax> Sequence(string text, ref int position)
    {
        List<CommandSyntax> items = [];
        string? token = null;
        while (position < text.Length && text[position] is not ('|' or ']' or '}'))
        {
            if (text[position] == ' ')
            {
                position++;
                continue;
            }

            CommandSyntax item = text[position] is '[' or '{' ? Group(text, ref position) : Word(text, ref position);
            if (position + 2 < text.Length && text.AsSpan(position, 3) is "...")
            {
                position += 3;
                item = item with { IsMultiple = true };
            }

            if (token is not null && item.Type != "pure-token" && !item.IsOptional)
            {
                items[^1] = item with { Token = token };
            }
            else
            {
                items.Add(item);
            }

            token = item.Type == "pure-token" ? item.Token : null;
        }

        return items;
    }

    private static CommandSyntax Word(string text, ref int position)
    {
        int start = position;
        while (position < text.Length && text[position] is not (' ' or '|' or ']' or '}' or '.'))
        {
            position++;
        }

        string word = text[start..position];
        if (!word.Any(char.IsAsciiLetterLower))
        {
            return new CommandSyntax(word.ToLowerInvariant(), "pure-token", word, []);
        }

        int colon = word.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? new CommandSyntax(word, "string", null, []) : new CommandSyntax(word[..colon], word[(colon + 1)..], null, []);
    }

    private static CommandSyntax Group(string text, ref int position)
    {
        bool optional = text[position++] == '[';
        int equals = position;
        while (equals < text.Length && (char.IsAsciiLetterLower(text[equals]) || text[equals] is '-' or '_'))
        {
            equals++;
        }

        string? name = equals < text.Length && text[equals] == '=' ? text[position..equals] : null;
        position = name is null ? position : equals + 1;
        List<List<CommandSyntax>> alternatives = [Sequence(text, ref position)];
        while (text[position] == '|')
        {
            position++;
            alternatives.Add(Sequence(text, ref position));
        }

        position++;
        List<CommandSyntax> parts =
            alternatives.Count == 1
                ? alternatives[0]
                : [.. alternatives.Select(static a => a.Count == 1 ? a[0] : new CommandSyntax(a[0].Name, "block", null, a))];
        CommandSyntax group =
            parts.Count == 1 && alternatives.Count == 1
                ? parts[0] with
                {
                    Name = name ?? parts[0].Name,
                }
                : new CommandSyntax(name ?? parts[0].Name, alternatives.Count > 1 ? "oneof" : "block", null, parts);
        return optional ? group with { IsOptional = true } : group;
    }
}
