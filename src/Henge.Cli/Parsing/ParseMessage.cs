namespace Henge.Cli.Parsing;

/// <summary>The parser's messages without what only programmers know. Pure functions.</summary>
internal static class ParseMessage
{
    private const string Marker = " as expected type '";

    /// <summary>
    /// <c>Cannot parse argument 'x' … as expected type 'System.Int64'.</c> becomes <c>Cannot parse argument 'x' …: it must be a whole
    /// number.</c>
    /// </summary>
    public static string Plain(string message)
    {
        int at = message.IndexOf(Marker, StringComparison.Ordinal);
        if (at < 0)
        {
            return message;
        }

        string type = message[(at + Marker.Length)..];
        string what = type.Contains("UInt", StringComparison.Ordinal) ? "a whole number, not negative"
            : type.Contains("Int", StringComparison.Ordinal) ? "a whole number"
            : type.Contains("Double", StringComparison.Ordinal)
            || type.Contains("Single", StringComparison.Ordinal)
            || type.Contains("Decimal", StringComparison.Ordinal)
                ? "a number"
            : type.Contains("Boolean", StringComparison.Ordinal) ? "true or false"
            : "of another form";
        return $"{message[..at]}: it must be {what}.";
    }
}
