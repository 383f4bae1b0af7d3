using System.Buffers.Text;

namespace Henge.Server.Resp.Wire;

/// <summary>
/// Reads commands as a Redis server does (the RESP specification: arrays of bulk strings, and inline commands for people with telnet).
/// Bounded in arguments and bytes before anything is kept. Holds no bytes itself: what it returns are ranges. Not thread-safe.
/// </summary>
/// <param name="commandBytesLimit">Most bytes of a command.</param>
/// <param name="argumentsLimit">Most arguments of a command.</param>
/// <param name="isStranger">
/// Whether the client has to log in, and has not; asked only about what such a client may not send. Null: it does not have to.
/// </param>
internal sealed class RespParser(int commandBytesLimit, int argumentsLimit, Func<bool>? isStranger = null)
{
    private const int InlineBytesLimit = 64 * 1024;
    private const int HeaderBytesLimit = 32;
    private RespArgument[] _arguments = new RespArgument[16];
    private byte[] _inline = [];

    /// <summary>Arguments of the last command; the first is its name.</summary>
    public ReadOnlySpan<RespArgument> Arguments => _arguments.AsSpan(0, Count);

    /// <summary>How many arguments the last command has.</summary>
    public int Count { get; private set; }

    /// <summary>
    /// When the last command was an inline one with quotes: the bytes that its ranges mean instead of the input; else null.
    /// </summary>
    public byte[]? Unquoted { get; private set; }

    /// <summary>How many bytes from the command's start there must be.</summary>
    public int NeededBytes { get; private set; }

    /// <summary>What was wrong, in Redis's words.</summary>
    public string? Error { get; private set; }

    /// <summary>Parses one command that begins at <paramref name="position"/>, and moves the position behind it.</summary>
    public RespParse Parse(ReadOnlySpan<byte> data, ref int position)
    {
        Count = 0;
        Unquoted = null;
        NeededBytes = 1;
        if (position >= data.Length)
        {
            return RespParse.NeedMore;
        }

        return data[position] == (byte)'*' ? ParseArray(data, ref position) : ParseInline(data, ref position);
    }

    private RespParse ParseArray(ReadOnlySpan<byte> data, ref int position)
    {
        int start = position, at = position + 1;
        RespParse header = ReadLength(data, start, ref at, out long count, "invalid multibulk length");
        if (header != RespParse.Command)
        {
            return header;
        }

        if (count > argumentsLimit)
        {
            return Fail("invalid multibulk length");
        }

        if (count > RespLimits.StrangerArguments && isStranger?.Invoke() == true)
        {
            return Fail("unauthenticated multibulk length");
        }

        for (long i = 0; i < count; i++)
        {
            if (at >= data.Length)
            {
                return NeedMore(at + 1 - start);
            }

            if (data[at] != (byte)'$')
            {
                return Fail($"expected '$', got '{(data[at] is >= 32 and < 127 ? (char)data[at] : '?')}'");
            }

            at++;
            header = ReadLength(data, start, ref at, out long length, "invalid bulk length");
            if (header != RespParse.Command)
            {
                return header;
            }

            if (length < 0 || length > commandBytesLimit || at - start + length > commandBytesLimit)
            {
                return Fail("invalid bulk length");
            }

            if (length > RespLimits.StrangerArgumentBytes && isStranger?.Invoke() == true)
            {
                return Fail("unauthenticated bulk length");
            }

            if (data.Length - at < length + 2)
            {
                return NeedMore(at - start + (int)length + 2);
            }

            if (data[at + (int)length] != '\r' || data[at + (int)length + 1] != '\n')
            {
                return Fail("expected CRLF after a bulk string");
            }

            Add(at, (int)length);
            at += (int)length + 2;
        }

        position = at;
        return RespParse.Command;
    }

    private RespParse ReadLength(ReadOnlySpan<byte> data, int start, ref int at, out long value, string complaint)
    {
        value = 0;

        // The usual case, one or two digits, without a search for the end of the line.
        if (data.Length - at >= 4)
        {
            int first = data[at] - '0';
            if ((uint)first <= 9)
            {
                if (data[at + 1] == '\r' && data[at + 2] == '\n')
                {
                    value = first;
                    at += 3;
                    return RespParse.Command;
                }

                int second = data[at + 1] - '0';
                if ((uint)second <= 9 && data[at + 2] == '\r' && data[at + 3] == '\n')
                {
                    value = first * 10 + second;
                    at += 4;
                    return RespParse.Command;
                }
            }
        }

        int end = data[at..].IndexOf((byte)'\r');
        if (end < 0 || at + end + 1 >= data.Length)
        {
            return data.Length - at > HeaderBytesLimit ? Fail(complaint) : NeedMore(data.Length - start + 1);
        }

        if (!Utf8Parser.TryParse(data.Slice(at, end), out value, out int used) || used != end || data[at + end + 1] != '\n')
        {
            return Fail(complaint);
        }

        at += end + 2;
        return RespParse.Command;
    }

    private RespParse ParseInline(ReadOnlySpan<byte> data, ref int position)
    {
        ReadOnlySpan<byte> rest = data[position..];
        int end = rest.IndexOf((byte)'\n');
        int length = end < 0 ? rest.Length : end;
        if (length > InlineBytesLimit || (length > RespLimits.StrangerArgumentBytes && isStranger?.Invoke() == true))
        {
            return Fail("too big inline request");
        }

        if (end < 0)
        {
            return NeedMore(rest.Length + 1);
        }

        ReadOnlySpan<byte> line = rest[..end].TrimEnd((byte)'\r');
        bool quoted = line.IndexOfAny((byte)'"', (byte)'\'') >= 0;
        bool sound = quoted ? SplitQuoted(line) : SplitPlain(line, position);
        position += end + 1;
        return sound ? RespParse.Command : Fail("unbalanced quotes in request");
    }

    private bool SplitPlain(ReadOnlySpan<byte> line, int offset)
    {
        int i = 0;
        while (true)
        {
            while (i < line.Length && IsSpace(line[i]))
            {
                i++;
            }

            int from = i;
            while (i < line.Length && !IsSpace(line[i]))
            {
                i++;
            }

            if (i == from)
            {
                return true;
            }

            Add(offset + from, i - from);
        }
    }

    /// <summary>As redis-cli and sdssplitargs have it: double quotes know escapes, single quotes only an escaped single quote.</summary>
    private bool SplitQuoted(ReadOnlySpan<byte> line)
    {
        if (_inline.Length < line.Length)
        {
            _inline = new byte[Math.Min(InlineBytesLimit, Math.Max(256, 2 * line.Length))];
        }

        Unquoted = _inline;
        int written = 0, i = 0;
        while (true)
        {
            while (i < line.Length && IsSpace(line[i]))
            {
                i++;
            }

            if (i == line.Length)
            {
                return true;
            }

            int from = written;
            while (i < line.Length && !IsSpace(line[i]))
            {
                byte c = line[i++];
                if (c is not ((byte)'"' or (byte)'\''))
                {
                    _inline[written++] = c;
                    continue;
                }

                if (!TryQuoted(line, c, ref i, ref written))
                {
                    return false;
                }
            }

            Add(from, written - from);
        }
    }

    private bool TryQuoted(ReadOnlySpan<byte> line, byte quote, ref int i, ref int written)
    {
        while (i < line.Length)
        {
            byte c = line[i++];
            if (c == quote)
            {
                // A closing quote must end the argument.
                return i == line.Length || IsSpace(line[i]);
            }

            if (c == '\\' && i < line.Length && (quote == '"' || line[i] == '\''))
            {
                c = line[i++];
                if (
                    quote == '"'
                    && c == 'x'
                    && i + 1 < line.Length
                    && Utf8Parser.TryParse(line.Slice(i, 2), out byte hex, out int used, 'x')
                    && used == 2)
                {
                    c = hex;
                    i += 2;
                }
                else if (quote == '"')
                {
                    c = c switch
                    {
                        (byte)'n' => (byte)'\n',
                        (byte)'r' => (byte)'\r',
                        (byte)'t' => (byte)'\t',
                        (byte)'b' => (byte)'\b',
                        (byte)'a' => (byte)'\a',
                        _ => c,
                    };
                }
            }

            _inline[written++] = c;
        }

        return false;
    }

    private static bool IsSpace(byte c) => c is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\v' or (byte)'\f' or 0;

    private void Add(int offset, int length)
    {
        if (Count == _arguments.Length)
        {
            Array.Resize(ref _arguments, Count * 2);
        }

        _arguments[Count++] = new RespArgument(offset, length);
    }

    private RespParse NeedMore(int bytes)
    {
        NeededBytes = bytes;
        return RespParse.NeedMore;
    }

    private RespParse Fail(string complaint)
    {
        Error = "ERR Protocol error: " + complaint;
        return RespParse.Malformed;
    }
}
