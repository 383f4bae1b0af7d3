using System.Buffers;
using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Http;
using Henge.Server.Operations;
using Henge.Storage;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Rest;

/// <summary>
/// Keys over HTTP: <c>GET, PUT and DELETE /v1/kv/{key}</c> (or <c>/v1/kv?key=</c> for keys that a path does not keep), and <c>GET
/// /v1/kv</c> for ranges. A body is a value as it is, of any content type; with <c>?format=json</c> both ways are JSON objects. The ETag is
/// the version, so If-Match and If-None-Match are conditions.
/// </summary>
internal sealed class KvEndpoint(IHengeNode node)
{
    private const string Root = "/v1/kv";

    // Writes whose conditions need a look first; each other try means that somebody else has written meanwhile.
    private const int LimitTries = 32;

    /// <summary>Answers a request.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        try
        {
            RequestTarget target = RequestTarget.Of(context);
            if (target.Path != Root && !target.Path.StartsWith(Root + "/", StringComparison.Ordinal))
            {
                // Routing does not tell upper from lower case; what follows does.
                await HttpDoor.NotFoundAsync(context);
                return;
            }

            string method = context.Request.Method;
            byte[]? inPath = target.Behind(Root);
            if (inPath is null && !target.Query.Split('&').Any(static p => p.Split('=')[0] is "key" or "key64"))
            {
                await (
                    method is "GET" or "HEAD"
                        ? RestScan.AnswerAsync(context, node)
                        : RestAnswer.NotAllowedAsync(context, "GET, HEAD", " To name a key: /v1/kv/KEY, or /v1/kv?key=KEY."));
                return;
            }

            await (method switch
            {
                "GET" or "HEAD" => GetAsync(context, target, inPath),
                "PUT" => PutAsync(context, target, inPath),
                "DELETE" => DeleteAsync(context, target, inPath),
                _ => RestAnswer.NotAllowedAsync(context, "GET, HEAD, PUT, DELETE"),
            });
        }
        catch (HengeException e) when (!context.Response.HasStarted)
        {
            await RestAnswer.FailAsync(context, e);
        }
    }

    private async Task GetAsync(HttpContext context, RequestTarget target, byte[]? inPath)
    {
        var query = new RestQuery(target, "key", "key64", "version", "at", "format", "consistency");
        byte[] key = Key(query, inPath);
        Preconditions conditions = Preconditions.Parse(context.Request.Headers.IfMatch, context.Request.Headers.IfNoneMatch);
        bool json = IsJson(query);
        Core.Version at = query.ReadVersion(node);
        StoredValue? found = await KeyOperations.GetAsync(node, key, at, query.Consistency());
        if (found is null)
        {
            // What would be no success without its conditions is answered as if it had none (RFC 9110, section 13.2.1).
            await RestAnswer.NotFoundAsync(context);
            return;
        }

        (byte[] bytes, Core.Version version, long expiresAtMs, DataType type) = found;
        long ttlMs = TimeToLive.Remaining(expiresAtMs, at, node);
        switch (conditions.Evaluate(version))
        {
            case PreconditionResult.NotMatched:
                await RestAnswer.PreconditionFailedAsync(context, version);
                return;
            case PreconditionResult.Matched:
                context.Response.StatusCode = StatusCodes.Status304NotModified;
                context.Response.Headers.ETag = Preconditions.ETag(version);
                context.Response.Headers.CacheControl = "no-store";
                return;
        }

        context.Response.Headers.ETag = Preconditions.ETag(version);
        if (json)
        {
            await RestAnswer.JsonAsync(context, StatusCodes.Status200OK, writer =>
            {
                RestJson.WriteBytes(writer, "key", key);
                RestJson.WriteValue(writer, "value", "hash", bytes, type);
                RestJson.WriteStamp(writer, version, ttlMs);
            });
            return;
        }

        if (type != DataType.Bytes)
        {
            throw new HengeException(
                ErrorCode.WrongType,
                "The value is a hash, which has no bytes of its own to show. Ask with format=json, which shows its fields.");
        }

        context.Response.ContentType = "application/octet-stream";
        context.Response.Headers["Henge-Version"] = version.ToString();
        context.Response.Headers.CacheControl = "no-store";
        if (ttlMs != 0)
        {
            context.Response.Headers["Henge-Ttl-Ms"] = ttlMs.ToString(CultureInfo.InvariantCulture);
        }

        context.Response.ContentLength = bytes.Length;
        if (context.Request.Method == "GET")
        {
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
        }
    }

    private async Task PutAsync(HttpContext context, RequestTarget target, byte[]? inPath)
    {
        var query = new RestQuery(target, "key", "key64", "ttl", "format");
        byte[] key = Key(query, inPath);
        Preconditions conditions = Preconditions.Parse(context.Request.Headers.IfMatch, context.Request.Headers.IfNoneMatch);
        Expiry ttl = query.Ttl("ttl");
        bool json = IsJson(query);
        DataType type = DataType.Bytes;
        ReadOnlyMemory<byte> value = await RestBody.ReadAsync(context, node.Limits, json);
        if (json)
        {
            value = RestBody.Parse(value, ref ttl, out type);
        }

        KvValidation.CheckValue(value.Span, node.Limits);
        for (int tries = 0; tries < LimitTries; tries++)
        {
            bool direct = conditions.TryToCondition(out PutCondition condition, out Core.Version version);
            if (!direct)
            {
                version = await KeyOperations.CurrentAsync(node, key);
                condition = PutCondition.IfVersion;
                if (conditions.Evaluate(version) != PreconditionResult.Met)
                {
                    await RestAnswer.PreconditionFailedAsync(context, version);
                    return;
                }
            }

            var options = new PutOptions { Condition = condition, IfVersion = version, Expiry = ttl, Type = type };
            var command = new ArrayBufferWriter<byte>(key.Length + value.Length + 64);
            CommandEncoder.Put(command, key, value.Span, in options);
            CommandResult result = await KeyOperations.WriteAsync(node, key, command.WrittenMemory);
            if (result.Status != CommandStatus.ConditionFailed)
            {
                context.Response.Headers.ETag = Preconditions.ETag(result.Version);
                await RestAnswer.JsonAsync(context, StatusCodes.Status200OK, writer => writer.WriteNumber("version", result.Version.Value));
                return;
            }

            if (direct)
            {
                await RestAnswer.PreconditionFailedAsync(context, result.Version);
                return;
            }
        }

        throw Contended();
    }

    private async Task DeleteAsync(HttpContext context, RequestTarget target, byte[]? inPath)
    {
        byte[] key = Key(new RestQuery(target, "key", "key64"), inPath);
        Preconditions conditions = Preconditions.Parse(context.Request.Headers.IfMatch, context.Request.Headers.IfNoneMatch);
        for (int tries = 0; tries < LimitTries; tries++)
        {
            bool direct =
                conditions.TryToCondition(out PutCondition condition, out Core.Version version)
                && condition is PutCondition.None or PutCondition.IfVersion;
            if (!direct)
            {
                version = await KeyOperations.CurrentAsync(node, key);
                if (!version.IsZero && conditions.Evaluate(version) != PreconditionResult.Met)
                {
                    await RestAnswer.PreconditionFailedAsync(context, version);
                    return;
                }
            }

            if (!direct && version.IsZero)
            {
                // As for GET: without conditions it would be 404 as well.
                await RestAnswer.NotFoundAsync(context);
                return;
            }

            var command = new ArrayBufferWriter<byte>(key.Length + 64);
            CommandEncoder.Delete(command, key, direct && condition == PutCondition.None ? null : version);
            CommandResult result = await KeyOperations.WriteAsync(node, key, command.WrittenMemory);
            if (result.Status != CommandStatus.ConditionFailed)
            {
                await (result.Found
                    ? RestAnswer.JsonAsync(context, StatusCodes.Status200OK, json => json.WriteNumber("version", result.Version.Value))
                    : RestAnswer.NotFoundAsync(context));
                return;
            }

            if (direct)
            {
                await (
                    result.Version.IsZero ? RestAnswer.NotFoundAsync(context) : RestAnswer.PreconditionFailedAsync(context, result.Version)
                );
                return;
            }
        }

        throw Contended();
    }

    private static HengeException Contended() =>
        new(
            ErrorCode.Unavailable,
            "Others write this key all the time, so its conditions could not be judged and kept. Nothing was done. Try again.");

    private byte[] Key(RestQuery query, byte[]? inPath)
    {
        byte[]? given = query.Bytes("key");
        if (given is not null && inPath is not null)
        {
            throw KvValidation.Invalid("The key stands in the path and in the query. Write it once.");
        }

        byte[]? key = inPath ?? given;
        KvValidation.CheckKey(key is not null, key, node.Limits);
        return key!;
    }

    private static bool IsJson(RestQuery query) => query.Text("format") switch
    {
        null or "raw" => false,
        "json" => true,
        _ => throw KvValidation.Invalid("'format' is raw or json."),
    };
}
