using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Henge.Node.StateMachine;

/// <summary>
/// Numbers in decimal text, as increments read and write them. Strict, as Redis is: no spaces, no plus sign, no leading zeros in integers.
/// Pure functions, the same on every machine.
/// </summary>
internal static class NumberText
{
    /// <summary>More than any number takes.</summary>
    public const int MaxBytes = 512;

    /// <summary>Reads an integer of 64 bits.</summary>
    public static bool TryReadInteger(ReadOnlySpan<byte> text, out long value)
    {
        value = 0;
        if (text.Length is 0 or > 20)
        {
            return false;
        }

        ReadOnlySpan<byte> digits = text[0] == '-' ? text[1..] : text;
        return digits.Length > 0 && digits[0] != '+' && (digits[0] != '0' || text.Length == 1)
            && Utf8Parser.TryParse(text, out value, out int used) && used == text.Length;
    }

    /// <summary>True for the text of a finite number.</summary>
    public static bool TryCheckFloat(ReadOnlySpan<byte> text) => TryReadFloat(text, out _);

    /// <summary>
    /// The sum of two numbers in text, written into a buffer of <see cref="MaxBytes"/>. Exact where 28 digits are enough, else in double
    /// precision. 0 when one is not a number; -1 when the sum is not finite.
    /// </summary>
    public static int Add(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, Span<byte> destination)
    {
        if (!TryReadFloat(left, out double a) || !TryReadFloat(right, out double b))
        {
            return 0;
        }

        string text;
        if (TryReadDecimal(left, out decimal x) && TryReadDecimal(right, out decimal y) && Math.Abs(x) < 1e27m && Math.Abs(y) < 1e27m)
        {
            text = (x + y).ToString("0.############################", CultureInfo.InvariantCulture);
        }
        else if (!double.IsFinite(a + b))
        {
            return -1;
        }
        else
        {
            text = Expand((a + b).ToString("R", CultureInfo.InvariantCulture));
        }

        return Encoding.ASCII.GetBytes(text == "-0" ? "0" : text, destination);
    }

    private static bool TryReadFloat(ReadOnlySpan<byte> text, out double value)
    {
        // As long as the longest sum that Add writes: 309 digits and a sign.
        value = 0;
        return text.Length is > 0 and <= MaxBytes
            && double.TryParse(
                text,
                NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent,
                CultureInfo.InvariantCulture,
                out value)
            && double.IsFinite(value);
    }

    private static bool TryReadDecimal(ReadOnlySpan<byte> text, out decimal value)
    {
        // Decimal rounds what has more than 28 digits, or a small exponent, without a word: leave those to double.
        value = 0;
        return text.Length <= 28
            && decimal.TryParse(
                text,
                NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint,
                CultureInfo.InvariantCulture,
                out value);
    }

    // Writes 1.5E+20 as 150000000000000000000, and 1.5E-07 as 0.00000015.
    private static string Expand(string shortest)
    {
        int e = shortest.IndexOf('E', StringComparison.Ordinal);
        if (e < 0)
        {
            return shortest;
        }

        int exponent = int.Parse(shortest.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        string sign = shortest[0] == '-' ? "-" : "";
        string mantissa = shortest[sign.Length..e];
        int point = mantissa.IndexOf('.', StringComparison.Ordinal);
        string digits = mantissa.Replace(".", "", StringComparison.Ordinal);
        int whole = (point < 0 ? digits.Length : point) + exponent;
        return whole <= 0
            ? sign + "0." + new string('0', -whole) + digits
            : sign + (whole >= digits.Length ? digits + new string('0', whole - digits.Length) : digits[..whole] + "." + digits[whole..]);
    }
}
