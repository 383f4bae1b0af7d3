namespace Henge.Server.Ports;

/// <summary>What the first bytes of a connection say.</summary>
internal enum FirstBytesVerdict
{
    /// <summary>Not yet clear.</summary>
    NeedMore,
    /// <summary>HTTP/2 with prior knowledge (RFC 9113, section 3.4).</summary>
    Http2,
    /// <summary>HTTP/1.0 or 1.1.</summary>
    Http1,
    /// <summary>One of the other protocols.</summary>
    Other,
    /// <summary>Nothing that the port speaks.</summary>
    Unknown,
}

/// <summary>
/// Tells protocols apart. HTTP/1 and inline RESP commands share words (<c>GET</c>), so a request line counts as HTTP only when its target
/// begins like one and its end, as far as it is there, says HTTP. Pure functions.
/// </summary>
internal static class FirstBytes
{
    private static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n"u8;

    /// <summary>Judges; <paramref name="other"/> is the index of the protocol that matched.</summary>
    public static FirstBytesVerdict Judge(ReadOnlySpan<byte> first, ReadOnlySpan<IConnectionProtocol> others, out int other)
    {
        other = -1;
        if (first.IsEmpty)
        {
            return FirstBytesVerdict.NeedMore;
        }

        int common = Math.Min(first.Length, Preface.Length);
        if (first[..common].SequenceEqual(Preface[..common]))
        {
            // "P" alone could still become PUT, POST, PATCH or PING.
            return common == Preface.Length ? FirstBytesVerdict.Http2 : FirstBytesVerdict.NeedMore;
        }

        FirstBytesVerdict http = JudgeHttp1(first);
        if (http == FirstBytesVerdict.Http1)
        {
            return http;
        }

        bool needMore = http == FirstBytesVerdict.NeedMore;
        for (int i = 0; i < others.Length; i++)
        {
            // An undecided request line goes first: only when it can no longer be HTTP may it be an inline command.
            if (others[i].Matches(first, out bool more) && !needMore)
            {
                other = i;
                return FirstBytesVerdict.Other;
            }

            needMore |= more;
        }

        return needMore && first.Length < PortLimits.SniffBytes ? FirstBytesVerdict.NeedMore : FirstBytesVerdict.Unknown;
    }

    private static FirstBytesVerdict JudgeHttp1(ReadOnlySpan<byte> first)
    {
        int space = first[..Math.Min(first.Length, 8)].IndexOf((byte)' ');
        if (space < 0)
        {
            return first.Length < 8 && IsMethodPrefix(first) ? FirstBytesVerdict.NeedMore : FirstBytesVerdict.Unknown;
        }

        if (!IsMethod(first[..space]))
        {
            return FirstBytesVerdict.Unknown;
        }

        ReadOnlySpan<byte> target = first[(space + 1)..];
        if (target.IsEmpty)
        {
            return FirstBytesVerdict.NeedMore;
        }

        if (target[0] is not ((byte)'/' or (byte)'*' or (byte)'h'))
        {
            return FirstBytesVerdict.Unknown;
        }

        int end = target.IndexOf((byte)'\n');
        if (end < 0)
        {
            // A target this long is no command typed by hand.
            return first.Length >= PortLimits.SniffBytes ? FirstBytesVerdict.Http1 : FirstBytesVerdict.NeedMore;
        }

        return target[..end].IndexOf(" HTTP/1."u8) > 0 ? FirstBytesVerdict.Http1 : FirstBytesVerdict.Unknown;
    }

    private static bool IsMethod(ReadOnlySpan<byte> word) =>
        word.SequenceEqual("GET"u8) || word.SequenceEqual("PUT"u8) || word.SequenceEqual("POST"u8) || word.SequenceEqual("HEAD"u8) ||
        word.SequenceEqual("DELETE"u8) || word.SequenceEqual("PATCH"u8) || word.SequenceEqual("OPTIONS"u8) || word.SequenceEqual("TRACE"u8);

    private static bool IsMethodPrefix(ReadOnlySpan<byte> word) =>
        "GET"u8.StartsWith(word) || "PUT"u8.StartsWith(word) || "POST"u8.StartsWith(word) || "HEAD"u8.StartsWith(word) ||
        "DELETE"u8.StartsWith(word) || "PATCH"u8.StartsWith(word) || "OPTIONS"u8.StartsWith(word) || "TRACE"u8.StartsWith(word);
}
