using System.Text;
using System.Text.Json;
using Henge.Core;
using Henge.Server.Operations;

namespace Henge.Server.JsonLines;

/// <summary>What a request asks.</summary>
internal enum JsonLinesKind
{
    /// <summary>Read a key.</summary>
    Get,

    /// <summary>Write a key.</summary>
    Set,

    /// <summary>Delete a key.</summary>
    Remove,

    /// <summary>Say who asks.</summary>
    Auth,
}

/// <summary>One request of the JSON lines door. Pure.</summary>
/// <param name="Kind">What it asks.</param>
/// <param name="Key">The key.</param>
/// <param name="Value">The value; only of <see cref="JsonLinesKind.Set"/>.</param>
internal sealed record JsonLinesRequest(JsonLinesKind Kind, byte[] Key, byte[]? Value)
{
    /// <summary>The user; only of <see cref="JsonLinesKind.Auth"/> by a password.</summary>
    public string? User { get; private init; }

    /// <summary>The user's password.</summary>
    public string? Password { get; private init; }

    /// <summary>A token; only of <see cref="JsonLinesKind.Auth"/> by one.</summary>
    public string? Token { get; private init; }

    /// <summary>
    /// Parses one whole JSON value. Throws <see cref="HengeException"/> (InvalidArgument) for what is no request, also for strings that are
    /// no text.
    /// </summary>
    public static JsonLinesRequest Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || root.GetPropertyCount() != 1)
            {
                throw KvValidation.Invalid("A request is an object with one member: Set, Get, Remove or Auth.");
            }

            JsonProperty action = root.EnumerateObject().First();
            if (action.Name == "Auth")
            {
                return Auth(action.Value);
            }

            JsonLinesKind kind = action.Name switch
            {
                "Get" => JsonLinesKind.Get,
                "Set" => JsonLinesKind.Set,
                "Remove" => JsonLinesKind.Remove,
                _ => throw KvValidation.Invalid($"There is no request '{action.Name}'; there are Set, Get, Remove and Auth."),
            };
            return new JsonLinesRequest(
                kind,
                Member(action.Value, "key"),
                kind == JsonLinesKind.Set ? Member(action.Value, "value") : null);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Names are decoded as they are compared.
            throw new HengeException(
                ErrorCode.InvalidArgument,
                "A name or a string of the request is not text: it holds half of a surrogate pair, or bytes that are not UTF-8.",
                e);
        }
    }

    private static JsonLinesRequest Auth(JsonElement said) =>
        said.ValueKind == JsonValueKind.Object && said.TryGetProperty("token", out _)
            ? new JsonLinesRequest(JsonLinesKind.Auth, [], null) { Token = Encoding.UTF8.GetString(Member(said, "token")) }
            : new JsonLinesRequest(JsonLinesKind.Auth, [], null)
            {
                User = Encoding.UTF8.GetString(Member(said, "user")),
                Password = Encoding.UTF8.GetString(Member(said, "password")),
            };

    private static byte[] Member(JsonElement parameters, string name) =>
        parameters.ValueKind == JsonValueKind.Object
        && parameters.TryGetProperty(name, out JsonElement value)
        && value.ValueKind == JsonValueKind.String
            ? JsonText.Bytes(value, name)
            : throw KvValidation.Invalid($"The request needs a member '{name}' that is a string.");
}
