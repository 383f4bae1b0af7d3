using System.Buffers;
using System.Text.Json;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Protocol;
using Henge.Server.Operations;
using Henge.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Henge.Server.Rest;

/// <summary>Reads the body of a put: a value as it is, or in a JSON object; packed with gzip where Content-Encoding says so.</summary>
internal static class RestBody
{
    /// <summary>
    /// A body within the limit, unpacked; one that says that it is larger is refused unread. Throws <see cref="HengeException"/> (TooLarge,
    /// InvalidArgument), and <see cref="BadHttpRequestException"/> with status 415 for a content coding that is not known.
    /// </summary>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpContext context, NodeLimits limits, bool json)
    {
        // The envelope of JSON is larger than its value: base64 by a third, escapes by up to six times.
        int limit = (limits.ValueBytes * (json ? 6 : 1)) + 1024;
        bool packed = IsPacked(context);
        long? announced = context.Request.ContentLength;
        if (announced > limit)
        {
            throw TooLong(announced.Value, limits);
        }

        using var body = new MemoryStream((int)(announced ?? 0));
        byte[] piece = ArrayPool<byte>.Shared.Rent(64 * 1024);
        try
        {
            int read;
            while ((read = await context.Request.Body.ReadAsync(piece, context.RequestAborted)) > 0)
            {
                if (body.Length + read > limit)
                {
                    throw TooLong(body.Length + read, limits);
                }

                body.Write(piece, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }

        ReadOnlyMemory<byte> whole = body.GetBuffer().AsMemory(0, (int)body.Length);
        if (!packed)
        {
            return whole;
        }

        try
        {
            return GzipMember.Inflate(whole, limit) ?? throw TooLong((long)limit + 1, limits);
        }
        catch (InvalidDataException e)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"The body is not one whole gzip member, as Content-Encoding says: {e.Message}",
                e);
        }
    }

    /// <summary>
    /// The value in a JSON object, and its time to live where it has one. Throws <see cref="HengeException"/> (InvalidArgument).
    /// </summary>
    public static byte[] Parse(ReadOnlyMemory<byte> body, ref Expiry ttl, out DataType type)
    {
        type = DataType.Bytes;
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                if (document.RootElement.TryGetProperty("ttlMs", out JsonElement ttlMs))
                {
                    ttl = ttlMs.ValueKind == JsonValueKind.Number && ttlMs.TryGetUInt64(out ulong given) && given > 0
                        ? KvValidation.Ttl(given)
                        : throw KvValidation.Invalid("'ttlMs' must be a whole number of milliseconds above 0.");
                }

                if (document.RootElement.TryGetProperty("value", out JsonElement text))
                {
                    return JsonText.Bytes(text, "value");
                }

                if (document.RootElement.TryGetProperty("valueBase64", out JsonElement encoded) && encoded.ValueKind == JsonValueKind.String
                    && encoded.TryGetBytesFromBase64(out byte[]? bytes))
                {
                    return bytes;
                }

                if (document.RootElement.TryGetProperty("hash", out JsonElement fields) && fields.ValueKind == JsonValueKind.Array)
                {
                    type = DataType.Hash;
                    return Hash(fields);
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The body is not JSON. To store it as it is, leave format=json out.", e);
        }

        throw KvValidation.Invalid(
            "With format=json the body is an object with 'value' (text), 'valueBase64' or 'hash', and maybe 'ttlMs'. "
            + "To store JSON as it is, leave format=json out.");
    }

    // As answers show it: [{"field": …, "value": …}], each as text, or as base64 under the name with Base64 behind it.
    private static byte[] Hash(JsonElement fields)
    {
        var stored = new ArrayBufferWriter<byte>();
        AddNumber(stored, fields.GetArrayLength());
        foreach (JsonElement field in fields.EnumerateArray())
        {
            foreach (string name in (string[])["field", "value"])
            {
                byte[] part = PartOf(field, name);
                AddNumber(stored, part.Length);
                stored.Write(part);
            }
        }

        return HashReader.IsWellFormed(stored.WrittenSpan)
            ? stored.WrittenSpan.ToArray()
            : throw KvValidation.Invalid("'hash' must have at least one field, and none twice.");
    }

    private static byte[] PartOf(JsonElement field, string name)
    {
        if (field.ValueKind == JsonValueKind.Object)
        {
            if (field.TryGetProperty(name, out JsonElement text))
            {
                return JsonText.Bytes(text, name);
            }

            bool encoded = field.TryGetProperty(name + "Base64", out JsonElement base64) && base64.ValueKind == JsonValueKind.String;
            if (encoded && base64.TryGetBytesFromBase64(out byte[]? bytes))
            {
                return bytes;
            }
        }

        throw KvValidation.Invalid(
            "An element of 'hash' is an object with 'field' and 'value', as text or as 'fieldBase64' and 'valueBase64'.");
    }

    private static void AddNumber(ArrayBufferWriter<byte> target, int number) =>
        target.Advance(Varint.Write(target.GetSpan(Varint.MaxBytes), (ulong)number));

    private static bool IsPacked(HttpContext context)
    {
        StringValues coding = context.Request.Headers.ContentEncoding;
        string text = coding.ToString().Trim();
        if (text.Length == 0 || text.Equals("identity", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        if (text.Equals("gzip", StringComparison.OrdinalIgnoreCase) || text.Equals("x-gzip", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        // RFC 9110, section 15.5.16: the answer says what could be taken.
        context.Response.Headers.AcceptEncoding = "gzip";
        throw new BadHttpRequestException(
            $"The content coding '{text}' is not known here. Send the body as it is, or packed with gzip once.",
            StatusCodes.Status415UnsupportedMediaType);
    }

    private static HengeException TooLong(long bytes, NodeLimits limits) =>
        new(
            ErrorCode.TooLarge,
            $"The body has {bytes} bytes or more; the limit for values is {limits.ValueBytes}. Split the value, or raise the node's limit "
                + $"for values.");
}
