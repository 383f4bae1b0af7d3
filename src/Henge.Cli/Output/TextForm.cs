using System.Globalization;
using System.Text;
using System.Text.Unicode;
using Henge.Cli.Outcome;
using Henge.Client;

namespace Henge.Cli.Output;

/// <summary>How bytes are written in arguments and in text output.</summary>
internal enum ByteEncoding
{
    /// <summary>As UTF-8 text; in lines of output, what is no printable text is written as <c>base64:…</c>.</summary>
    Text,

    /// <summary>As base64.</summary>
    Base64,

    /// <summary>As hexadecimal digits.</summary>
    Hex,
}

/// <summary>Bytes in forms for people.</summary>
internal static class TextForm
{
    /// <summary>Bytes as they stand within a line.</summary>
    public static string OfBytes(ReadOnlySpan<byte> bytes, ByteEncoding encoding) => encoding switch
    {
        ByteEncoding.Base64 => Convert.ToBase64String(bytes),
        ByteEncoding.Hex => Convert.ToHexStringLower(bytes),
        _ => IsPrintable(bytes) ? Encoding.UTF8.GetString(bytes) : "base64:" + Convert.ToBase64String(bytes),
    };

    /// <summary>A value as it stands within a line: bytes as above, a hash as <c>{field => value, …}</c>.</summary>
    public static string OfValue(ReadOnlyMemory<byte> value, DataType type, ByteEncoding encoding) => type == DataType.Bytes
        ? OfBytes(value.Span, encoding)
        : "{" + string.Join(", ", HashValue.Read(value).Select(f => OfField(f, encoding))) + "}";

    /// <summary>A field of a hash with its value.</summary>
    public static string OfField(HashField field, ByteEncoding encoding) =>
        $"{OfBytes(field.Field.Span, encoding)} => {OfBytes(field.Value.Span, encoding)}";

    /// <summary>The bytes that an argument means. Throws <see cref="UsageException"/>.</summary>
    public static byte[] ToBytes(string argument, ByteEncoding encoding)
    {
        try
        {
            return encoding switch
            {
                ByteEncoding.Base64 => Convert.FromBase64String(argument),
                ByteEncoding.Hex => Convert.FromHexString(argument),
                _ => Encoding.UTF8.GetBytes(argument),
            };
        }
        catch (FormatException)
        {
            string name = encoding == ByteEncoding.Base64 ? "base64" : "hex";
            throw new UsageException($"\"{argument}\" is not valid {name}, which --encoding or --key-encoding {name} asks for.");
        }
    }

    /// <summary>True when the bytes are UTF-8 and would not disturb a line: no control characters but the tab.</summary>
    public static bool IsPrintable(ReadOnlySpan<byte> bytes)
    {
        foreach (byte b in bytes)
        {
            if ((b < 0x20 && b != '\t') || b == 0x7F)
            {
                return false;
            }
        }

        return Utf8.IsValid(bytes);
    }

    /// <summary>A count of bytes with a unit, as <c>1.5 MiB</c>.</summary>
    public static string OfSize(ulong bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB"];
        double value = bytes;
        int unit = 0;
        while (value >= 1024 && unit < units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return value.ToString(unit == 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + " " + units[unit];
    }

    /// <summary>A length of time, as <c>2d3h</c> or <c>12s</c>.</summary>
    public static string OfDuration(TimeSpan time) => time switch
    {
        { TotalSeconds: < 1 } => $"{time.TotalMilliseconds:0}ms",
        { TotalMinutes: < 1 } => $"{time.TotalSeconds:0.#}s",
        { TotalHours: < 1 } => $"{time.Minutes}m{time.Seconds}s",
        { TotalDays: < 1 } => $"{time.Hours}h{time.Minutes}m",
        _ => $"{(long)time.TotalDays}d{time.Hours}h",
    };

    /// <summary>A moment, in UTC with milliseconds.</summary>
    public static string OfTime(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
}
