using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Henge.Core;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Server.Rest;

/// <summary>Keys and values as JSON: text where they are UTF-8, base64 under another name where they are not. Pure functions.</summary>
internal static class RestJson
{
    /// <summary>Writes <c>"name": "text"</c>, or <c>"nameBase64": "…"</c> for bytes that are no text.</summary>
    public static void WriteBytes(Utf8JsonWriter json, string name, ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes))
        {
            json.WriteString(name, bytes);
        }
        else
        {
            json.WriteBase64String(name + "Base64", bytes);
        }
    }

    /// <summary>
    /// Writes a value of any type: bytes as above, a hash as <c>"nameOfHash": [{"field": …, "value": …}]</c>, with its fields in their
    /// order.
    /// </summary>
    public static void WriteValue(Utf8JsonWriter json, string name, string nameOfHash, ReadOnlySpan<byte> value, DataType type)
    {
        if (type == DataType.Bytes)
        {
            WriteBytes(json, name, value);
            return;
        }

        json.WriteStartArray(nameOfHash);
        for (var reader = new HashReader(value); reader.MoveNext();)
        {
            json.WriteStartObject();
            WriteBytes(json, "field", reader.Field);
            WriteBytes(json, "value", reader.Value);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Writes version, its moment, and what is left to live in milliseconds; 0: for ever.</summary>
    public static void WriteStamp(Utf8JsonWriter json, Core.Version version, long ttlMs)
    {
        json.WriteNumber("version", version.Value);
        json.WriteString("time", version.ToTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        if (ttlMs != 0)
        {
            json.WriteNumber("ttlMs", ttlMs);
        }
    }

    /// <summary>Bytes as a token for URLs (RFC 4648, section 5, without padding).</summary>
    public static string ToToken(ReadOnlySpan<byte> bytes) => Base64Url.EncodeToString(bytes);

    /// <summary>A token as bytes. Throws <see cref="HengeException"/> (InvalidArgument) that names the parameter.</summary>
    public static byte[] FromToken(string parameter, string token)
    {
        try
        {
            return Base64Url.DecodeFromChars(token);
        }
        catch (FormatException)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"'{parameter}' is not a token that an earlier answer gave. Send it back as it was.");
        }
    }

    /// <summary>
    /// Bytes in base64, of the alphabet for URLs or the other one, with or without padding. Throws <see cref="HengeException"/>
    /// (InvalidArgument) that names the parameter.
    /// </summary>
    public static byte[] FromBase64(string parameter, string text)
    {
        try
        {
            return Base64Url.DecodeFromChars(text.Replace('+', '-').Replace('/', '_'));
        }
        catch (FormatException)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"'{parameter}' is not base64. Take the alphabet for URLs (RFC 4648, section 5), or write a plus sign as %2B.");
        }
    }
}
