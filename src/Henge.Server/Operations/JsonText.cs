using System.Text;
using System.Text.Json;
using Henge.Core;

namespace Henge.Server.Operations;

/// <summary>Strings of JSON as bytes. Pure functions.</summary>
internal static class JsonText
{
    /// <summary>
    /// The bytes of a JSON string as UTF-8. Throws <see cref="HengeException"/> (InvalidArgument) for what is no text: a surrogate without
    /// its other half, bytes that are no UTF-8.
    /// </summary>
    public static byte[] Bytes(JsonElement element, string name)
    {
        if (element.ValueKind != JsonValueKind.String)
        {
            throw KvValidation.Invalid($"The member '{name}' must be a string.");
        }

        try
        {
            return Encoding.UTF8.GetBytes(element.GetString()!);
        }
        catch (InvalidOperationException)
        {
            throw KvValidation.Invalid(
                $"The member '{name}' is not text: it holds half of a surrogate pair, or bytes that are not UTF-8. Bytes that are no text "
                    + $"need base64, or another door.");
        }
    }
}
