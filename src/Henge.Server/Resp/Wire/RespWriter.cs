using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Henge.Server.Resp.Wire;

/// <summary>
/// Writes replies in RESP2 or RESP3 (after HELLO 3) into a buffer writer. Allocates nothing for the usual replies. Not thread-safe.
/// </summary>
internal sealed class RespWriter(IBufferWriter<byte> output)
{
    private const int SpanBytes = 4096;

    /// <summary>2 or 3.</summary>
    public int Protocol { get; set; } = 2;

    /// <summary>Bytes written since the last <see cref="TakeWrittenBytes"/>.</summary>
    private long _written;

    /// <summary>How many bytes were written since the last call.</summary>
    public long TakeWrittenBytes()
    {
        long written = _written;
        _written = 0;
        return written;
    }

    /// <summary>Ready-made bytes, such as <c>+OK\r\n</c>.</summary>
    public void Raw(ReadOnlySpan<byte> bytes)
    {
        output.Write(bytes);
        _written += bytes.Length;
    }

    /// <summary><c>+OK</c>.</summary>
    public void Ok() => Raw("+OK\r\n"u8);

    /// <summary>A simple string.</summary>
    public void Simple(string text) => Line((byte)'+', text);

    /// <summary>An error: prefix and words, as Redis has them. Line breaks would end the reply and are made blanks.</summary>
    public void Error(string text)
    {
        Errors++;
        Line(
            (byte)'-',
            text.Contains('\r', StringComparison.Ordinal) || text.Contains('\n', StringComparison.Ordinal)
                ? text.Replace('\r', ' ').Replace('\n', ' ')
                : text);
    }

    /// <summary>Errors that were written.</summary>
    public long Errors { get; private set; }

    /// <summary>An integer.</summary>
    public void Integer(long value) => Number((byte)':', value);

    /// <summary>What is not there.</summary>
    public void Null() => Raw(Protocol == 3 ? "_\r\n"u8 : "$-1\r\n"u8);

    /// <summary>An array that is not there (EXEC after a failed WATCH).</summary>
    public void NullArray() => Raw(Protocol == 3 ? "_\r\n"u8 : "*-1\r\n"u8);

    /// <summary>A bulk string.</summary>
    public void Bulk(ReadOnlySpan<byte> value)
    {
        if (value.Length <= SpanBytes)
        {
            // Header, value and end in one span: one call to the pipe for each small reply.
            Span<byte> span = output.GetSpan(value.Length + 16);
            span[0] = (byte)'$';
            Utf8Formatter.TryFormat(value.Length, span[1..], out int digits);
            int at = 1 + digits;
            span[at++] = (byte)'\r';
            span[at++] = (byte)'\n';
            value.CopyTo(span[at..]);
            at += value.Length;
            span[at++] = (byte)'\r';
            span[at++] = (byte)'\n';
            output.Advance(at);
            _written += at;
            return;
        }

        Number((byte)'$', value.Length);
        Raw(value);
        Raw("\r\n"u8);
    }

    /// <summary>A bulk string of text.</summary>
    public void Bulk(string value) => Bulk(Encoding.UTF8.GetBytes(value));

    /// <summary>A text for people: verbatim in RESP3, a bulk string in RESP2.</summary>
    public void Verbatim(string value)
    {
        if (Protocol != 3)
        {
            Bulk(value);
            return;
        }

        byte[] text = Encoding.UTF8.GetBytes(value);
        Number((byte)'=', text.Length + 4);
        Raw("txt:"u8);
        Raw(text);
        Raw("\r\n"u8);
    }

    /// <summary>The head of an array of <paramref name="count"/> replies that follow.</summary>
    public void Array(int count) => Number((byte)'*', count);

    /// <summary>The head of a map of <paramref name="pairs"/> pairs; a flat array in RESP2.</summary>
    public void Map(int pairs) => Number((byte)(Protocol == 3 ? '%' : '*'), Protocol == 3 ? pairs : pairs * 2);

    /// <summary>The head of a set of <paramref name="count"/> replies; an array in RESP2.</summary>
    public void Set(int count) => Number((byte)(Protocol == 3 ? '~' : '*'), count);

    /// <summary>The head of a message that nobody asked for; an array in RESP2.</summary>
    public void Push(int count) => Number((byte)(Protocol == 3 ? '>' : '*'), count);

    private void Number(byte type, long value)
    {
        Span<byte> span = output.GetSpan(32);
        span[0] = type;
        Utf8Formatter.TryFormat(value, span[1..], out int digits);
        span[1 + digits] = (byte)'\r';
        span[2 + digits] = (byte)'\n';
        output.Advance(digits + 3);
        _written += digits + 3;
    }

    private void Line(byte type, string text)
    {
        Span<byte> span = output.GetSpan(Encoding.UTF8.GetMaxByteCount(text.Length) + 3);
        span[0] = type;
        int length = Encoding.UTF8.GetBytes(text, span[1..]);
        span[1 + length] = (byte)'\r';
        span[2 + length] = (byte)'\n';
        output.Advance(length + 3);
        _written += length + 3;
    }
}
