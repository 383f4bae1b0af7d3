using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using Henge.Cli.Output;
using Henge.Client;

namespace Henge.Cli.Transfer;

/// <summary>
/// Records as lines of key, tab and value. Within both, <c>\t</c>, <c>\n</c>, <c>\r</c> and <c>\\</c> stand for those characters, and
/// <c>\xHH</c> for any byte; so every record has exactly one form, and none is lost. A hash is a line of key, <c>\h2</c> (which no value
/// can be; 2 is the form's number), and fields and values in turn. Expiry is not kept. Pure functions.
/// </summary>
internal static class TsvRecord
{
    /// <summary>Reads a line. Throws <see cref="FormatException"/> with what is wrong.</summary>
    public static TransferRecord Parse(ReadOnlySpan<byte> line)
    {
        int tab = line.IndexOf((byte)'\t');
        if (tab < 0)
        {
            throw new FormatException("there is no tab between key and value");
        }

        ReadOnlySpan<byte> rest = line[(tab + 1)..];
        if (rest.StartsWith(HashMark))
        {
            return new TransferRecord(Unescape(line[..tab]), HashOf(rest), 0, DataType.Hash);
        }

        return rest.Contains((byte)'\t')
            ? throw new FormatException("there is more than one tab; write \\t for a tab within a value")
            : new TransferRecord(Unescape(line[..tab]), Unescape(rest), 0);
    }

    /// <summary>Writes a line with its end.</summary>
    public static void Write(OutputWriter output, in TransferRecord record)
    {
        Escape(output, record.Key.Span);
        output.Write("\t"u8);
        if (record.Type == DataType.Bytes)
        {
            Escape(output, record.Value.Span);
        }
        else
        {
            output.Write(HashMark);
            output.Write(TransferRecord.TypedFormat.ToString(CultureInfo.InvariantCulture));
            foreach (HashField field in HashValue.Read(record.Value))
            {
                output.Write("\t"u8);
                Escape(output, field.Field.Span);
                output.Write("\t"u8);
                Escape(output, field.Value.Span);
            }
        }

        output.Write("\n"u8);
    }

    private static ReadOnlySpan<byte> HashMark => "\\h"u8;

    private static byte[] HashOf(ReadOnlySpan<byte> columns)
    {
        var parts = new List<byte[]>();
        bool first = true;
        foreach (Range range in columns.Split((byte)'\t'))
        {
            ReadOnlySpan<byte> column = columns[range];
            if (!first)
            {
                parts.Add(Unescape(column));
            }
            else if (!Utf8Parser.TryParse(column[HashMark.Length..], out int format, out int used)
                || used != column.Length - HashMark.Length || format != TransferRecord.TypedFormat)
            {
                throw new FormatException(
                    $"\\h stands before another number than {TransferRecord.TypedFormat}, the form that this build knows; import it with a "
                        + $"newer one");
            }

            first = false;
        }

        return parts.Count % 2 != 0
            ? throw new FormatException("the hash has a field without a value")
            : JsonRecord.Encode([.. parts.Chunk(2).Select(static p => new HashField(p[0], p[1]))]);
    }

    private static readonly SearchValues<byte> Special = SearchValues.Create([
        .. Enumerable.Range(0, 0x20).Select(i => (byte)i),
        (byte)'\\',
        0x7F,
    ]);

    private static void Escape(OutputWriter output, ReadOnlySpan<byte> bytes)
    {
        // Text stays readable; what is no text is escaped byte by byte.
        bool text = System.Text.Unicode.Utf8.IsValid(bytes);
        while (!bytes.IsEmpty)
        {
            int plain =
                text ? bytes.IndexOfAny(Special)
                : bytes.IndexOfAnyExceptInRange((byte)0x20, (byte)0x7E) is var odd && bytes.IndexOf((byte)'\\') is var slash
                    ? odd < 0 ? slash
                        : slash < 0 ? odd
                        : Math.Min(odd, slash)
                : -1;
            if (plain < 0)
            {
                output.Write(bytes);
                return;
            }

            output.Write(bytes[..plain]);
            output.Write(bytes[plain] switch
            {
                (byte)'\t' => "\\t",
                (byte)'\n' => "\\n",
                (byte)'\r' => "\\r",
                (byte)'\\' => "\\\\",
                byte other => "\\x" + Convert.ToHexStringLower([other]),
            });
            bytes = bytes[(plain + 1)..];
        }
    }

    private static byte[] Unescape(ReadOnlySpan<byte> bytes)
    {
        if (!bytes.Contains((byte)'\\'))
        {
            return bytes.ToArray();
        }

        byte[] target = new byte[bytes.Length];
        int used = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != '\\')
            {
                target[used++] = bytes[i];
                continue;
            }

            i++;
            switch (i < bytes.Length ? bytes[i] : 0)
            {
                case 't':
                    target[used++] = (byte)'\t';
                    break;
                case 'n':
                    target[used++] = (byte)'\n';
                    break;
                case 'r':
                    target[used++] = (byte)'\r';
                    break;
                case '\\':
                    target[used++] = (byte)'\\';
                    break;
                case 'x'
                    when i + 2 < bytes.Length
                        && Convert.FromHexString(bytes.Slice(i + 1, 2), target.AsSpan(used), out _, out _) == OperationStatus.Done:
                    used++;
                    i += 2;
                    break;
                default:
                    throw new FormatException("a backslash stands before something else than t, n, r, \\ or xHH");
            }
        }

        return target[..used];
    }
}
