using System.Buffers;
using System.Text.Json;
using Henge.Core;
using Henge.Server.Http;
using Henge.Server.Operations;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Rest;

/// <summary>Writes answers and errors as JSON objects. Pure but for the response.</summary>
internal static class RestAnswer
{
    public static Task NotFoundAsync(HttpContext context) =>
        ErrorAsync(context, StatusCodes.Status404NotFound, "NotFound", "There is no such key.");

    /// <summary>405, with the methods that can be used.</summary>
    public static Task NotAllowedAsync(HttpContext context, string allowed, string hint = "")
    {
        context.Response.Headers.Allow = allowed;
        return ErrorAsync(context, StatusCodes.Status405MethodNotAllowed, "InvalidArgument", $"Only {allowed} can be used here.{hint}");
    }

    /// <summary>412, with the version that the key is at; zero: it does not exist.</summary>
    public static Task PreconditionFailedAsync(HttpContext context, Core.Version current)
    {
        if (!current.IsZero)
        {
            context.Response.Headers.ETag = Preconditions.ETag(current);
        }

        return ErrorAsync(
            context,
            StatusCodes.Status412PreconditionFailed,
            "ConditionFailed",
            current.IsZero ? "The key does not exist." : $"The key is at version {current}.",
            current);
    }

    public static Task FailAsync(HttpContext context, HengeException error)
    {
        if (error is NotLeaderException { LeaderHint: { } leader })
        {
            context.Response.Headers["Henge-Leader"] = leader;
        }

        return ErrorAsync(context, HttpDoor.ToHttpStatus(error.Code), error.Code.ToString(), error.Message);
    }

    public static Task ErrorAsync(HttpContext context, int status, string code, string message, Core.Version current = default) =>
        JsonAsync(context, status, json =>
        {
            json.WriteStartObject("error");
            json.WriteString("code", code);
            json.WriteString("message", message);
            if (!current.IsZero)
            {
                json.WriteNumber("currentVersion", current.Value);
            }

            json.WriteEndObject();
        });

    public static async Task JsonAsync(HttpContext context, int status, Action<Utf8JsonWriter> write)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.Headers.CacheControl = "no-store";
        var buffer = new ArrayBufferWriter<byte>();
        await using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        context.Response.ContentLength = buffer.WrittenCount;
        if (context.Request.Method != "HEAD")
        {
            await context.Response.Body.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
        }
    }
}
