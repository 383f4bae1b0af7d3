using System.Text;

namespace Henge.Protocol.Grpc;

/// <summary>
/// The encoding of <c>grpc-message</c>: UTF-8 in which every byte outside of printable ASCII, and <c>%</c>, stands as <c>%XX</c>
/// (gRPC over HTTP/2, "Percent-Encoded"). Decoding never fails: what is no valid escape stays as it is. Pure functions.
/// </summary>
public static class GrpcPercentEncoding
{
    /// <summary>Longest message that is sent, in characters before encoding; longer ones are cut, so that trailers stay small.</summary>
    public const int LimitChars = 2048;

    private const string Hex = "0123456789ABCDEF";

    /// <summary>Encodes; returns the same string where nothing needs it.</summary>
    public static string Encode(string message)
    {
        if (message.Length > LimitChars)
        {
            message = message[..LimitChars];
        }

        int first = 0;
        while (first < message.Length && IsPlain(message[first]))
        {
            first++;
        }

        if (first == message.Length)
        {
            return message;
        }

        StringBuilder encoded = new(message.Length + 16);
        foreach (byte b in Encoding.UTF8.GetBytes(message))
        {
            if (IsPlain((char)b))
            {
                encoded.Append((char)b);
            }
            else
            {
                encoded.Append('%').Append(Hex[b >> 4]).Append(Hex[b & 15]);
            }
        }

        return encoded.ToString();
    }

    /// <summary>Decodes; invalid escapes stay as they are, invalid UTF-8 becomes U+FFFD.</summary>
    public static string Decode(string encoded)
    {
        if (!encoded.Contains('%', StringComparison.Ordinal))
        {
            return encoded;
        }

        byte[] raw = Encoding.UTF8.GetBytes(encoded);
        int length = 0;
        for (int i = 0; i < raw.Length; i++)
        {
            if (raw[i] == '%' && i + 2 < raw.Length && char.IsAsciiHexDigit((char)raw[i + 1]) && char.IsAsciiHexDigit((char)raw[i + 2]))
            {
                raw[length++] = (byte)((Nibble(raw[i + 1]) << 4) | Nibble(raw[i + 2]));
                i += 2;
            }
            else
            {
                raw[length++] = raw[i];
            }
        }

        return Encoding.UTF8.GetString(raw, 0, length);
    }

    private static bool IsPlain(char c) => c is >= ' ' and <= '~' and not '%';

    private static int Nibble(byte c) => c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}
