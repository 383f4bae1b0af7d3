namespace Henge.Server.Resp.Wire;

/// <summary>Redis's patterns: <c>* ? [abc] [^a] [a-z] \x</c>. Pure functions.</summary>
internal static class Glob
{
    /// <summary>The bytes that every match begins with.</summary>
    public static byte[] LiteralPrefix(ReadOnlySpan<byte> pattern)
    {
        var prefix = new List<byte>();
        for (int i = 0; i < pattern.Length && pattern[i] is not ((byte)'*' or (byte)'?' or (byte)'['); i++)
        {
            if (pattern[i] == '\\' && i + 1 < pattern.Length)
            {
                i++;
            }

            prefix.Add(pattern[i]);
        }

        return [.. prefix];
    }

    /// <summary>True when the whole text matches. Runs in time proportional to both lengths multiplied, whatever the pattern.</summary>
    public static bool Matches(ReadOnlySpan<byte> pattern, ReadOnlySpan<byte> text)
    {
        int p = 0, t = 0, star = -1, mark = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = p++;
                mark = t;
                continue;
            }

            int next = p;
            if (p < pattern.Length && MatchesOne(pattern, ref next, text[t]))
            {
                p = next;
                t++;
                continue;
            }

            if (star < 0)
            {
                return false;
            }

            // The last star takes one more; earlier stars never need to.
            p = star + 1;
            t = ++mark;
        }

        while (p < pattern.Length && pattern[p] == '*')
        {
            p++;
        }

        return p == pattern.Length;
    }

    private static bool MatchesOne(ReadOnlySpan<byte> pattern, ref int p, byte c)
    {
        byte kind = pattern[p++];
        if (kind == '?')
        {
            return true;
        }

        if (kind == '[')
        {
            return MatchesClass(pattern, ref p, c);
        }

        if (kind == '\\' && p < pattern.Length)
        {
            kind = pattern[p++];
        }

        return kind == c;
    }

    private static bool MatchesClass(ReadOnlySpan<byte> pattern, ref int p, byte c)
    {
        bool not = p < pattern.Length && pattern[p] == '^';
        p += not ? 1 : 0;
        bool found = false;
        while (p < pattern.Length)
        {
            if (pattern[p] == '\\' && p + 1 < pattern.Length)
            {
                // An escaped byte stands for itself, and begins no range.
                found |= pattern[++p] == c;
            }
            else if (pattern[p] == ']')
            {
                break;
            }
            else if (p + 2 < pattern.Length && pattern[p + 1] == '-')
            {
                // The end of a range may be any byte, also the bracket: the class goes on behind it.
                byte low = pattern[p], high = pattern[p + 2];
                found |= (low <= c && c <= high) || (high <= c && c <= low);
                p += 2;
            }
            else
            {
                found |= pattern[p] == c;
            }

            p++;
        }

        p = Math.Min(p + 1, pattern.Length);
        return found != not;
    }
}
