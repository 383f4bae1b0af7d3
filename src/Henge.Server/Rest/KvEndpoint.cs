using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Grpc;
using Henge.Server.Http;
using Henge.Server.Kv;
using Henge.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Henge.Server.Rest;

/// <summary>
/// Keys over HTTP: <c>GET, PUT and DELETE /v1/kv/{key}</c>, and <c>GET /v1/kv</c> for ranges. A body is a value as it is, of any content type; with <c>?format=json</c>
/// both ways are JSON objects. The ETag is the version, so If-Match and If-None-Match are conditions.
/// </summary>
public sealed class KvEndpoint(IHengeNode node) : IHttpEndpoint
{
    private const string Root = "/v1/kv";
    private const int DefaultPage = 100;

    /// <inheritdoc/>
    public bool Matches(string path) => path == Root || path.StartsWith(Root + "/", StringComparison.Ordinal);

    /// <inheritdoc/>
    public string RouteOf(string path) => path == Root ? Root : Root + "/{key}";

    /// <inheritdoc/>
    public async Task HandleAsync(HttpContext context)
    {
        try
        {
            string target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget.Split('?')[0];
            string method = context.Request.Method;
            if (target.Length <= Root.Length + 1)
            {
                await (method is "GET" ? ScanAsync(context) : RefuseAsync(context, "GET"));
                return;
            }

            byte[] key = RestJson.PercentDecode(target[(Root.Length + 1)..]);
            CommandLimits.CheckKey(key, node.Limits);
            await (method switch
            {
                "GET" or "HEAD" => GetAsync(context, key),
                "PUT" => PutAsync(context, key),
                "DELETE" => DeleteAsync(context, key),
                _ => RefuseAsync(context, "GET, HEAD, PUT, DELETE"),
            });
        }
        catch (HengeException e) when (!context.Response.HasStarted)
        {
            await FailAsync(context, e);
        }
    }

    private static Task RefuseAsync(HttpContext context, string allowed)
    {
        context.Response.Headers.Allow = allowed;
        return WriteErrorAsync(context, StatusCodes.Status405MethodNotAllowed, "InvalidArgument", $"Only {allowed} can be used here.");
    }

    internal static Task FailAsync(HttpContext context, HengeException error)
    {
        if (error is NotLeaderException { LeaderHint: { } leader })
        {
            context.Response.Headers["Henge-Leader"] = leader;
        }

        return WriteErrorAsync(context, HttpRouter.ToHttpStatus(error.Code), error.Code.ToString(), error.Message);
    }

    private static Task WriteErrorAsync(HttpContext context, int status, string code, string message, Core.Version current = default) =>
        WriteJsonAsync(context, status, json =>
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

    private static async Task WriteJsonAsync(HttpContext context, int status, Action<Utf8JsonWriter> write)
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

    private async Task GetAsync(HttpContext context, byte[] key)
    {
        var query = new RestQuery(context.Request, "version", "at", "format", "consistency");
        var operation = new KvAwaitedOperation { Kind = OperationKind.Get, Key = key, ReadVersion = query.ReadVersion(node), Consistency = Consistency(query) };
        await operation.RunAsync(node);
        if (!node.TryRead(operation, out PinnedValue value))
        {
            await WriteErrorAsync(context, StatusCodes.Status404NotFound, "NotFound", "There is no such key.");
            return;
        }

        byte[] bytes;
        Core.Version version;
        long expiresAtMs;
        using (value)
        {
            // A slow reader must not keep a block of the engine pinned.
            (bytes, version, expiresAtMs) = (value.Span.ToArray(), value.Version, value.ExpiresAtMs);
        }

        context.Response.Headers.ETag = ETag(version);
        if (context.Request.Headers.IfNoneMatch.ToString().Contains(ETag(version), StringComparison.Ordinal))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        if (IsJson(query))
        {
            await WriteJsonAsync(context, StatusCodes.Status200OK, json =>
            {
                RestJson.WriteBytes(json, "key", key);
                RestJson.WriteBytes(json, "value", bytes);
                RestJson.WriteStamp(json, version, expiresAtMs, node);
            });
            return;
        }

        context.Response.ContentType = "application/octet-stream";
        context.Response.Headers["Henge-Version"] = version.ToString();
        context.Response.Headers.CacheControl = "no-store";
        if (expiresAtMs != 0)
        {
            context.Response.Headers["Henge-Ttl-Ms"] = Math.Max(0, expiresAtMs - node.Now.Milliseconds).ToString(CultureInfo.InvariantCulture);
        }

        context.Response.ContentLength = bytes.Length;
        if (context.Request.Method == "GET")
        {
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted);
        }
    }

    private async Task PutAsync(HttpContext context, byte[] key)
    {
        var query = new RestQuery(context.Request, "ttl", "format");
        long ttlMs = query.TtlMs("ttl");
        ReadOnlyMemory<byte> value = await ReadBodyAsync(context);
        if (IsJson(query))
        {
            value = ParseEnvelope(value, ref ttlMs);
        }

        CommandLimits.CheckValue(value.Span, node.Limits);
        (PutCondition condition, Core.Version ifVersion) = Condition(context);
        var options = new PutOptions { Condition = condition, IfVersion = ifVersion, Expiry = ttlMs > 0 ? Expiry.After(ttlMs) : Expiry.Never };
        var command = new ArrayBufferWriter<byte>(key.Length + value.Length + 64);
        CommandEncoder.Put(command, key, value.Span, in options);
        CommandResult result = await WriteAsync(key, command.WrittenMemory);
        if (result.Status == CommandStatus.ConditionFailed)
        {
            await FailedConditionAsync(context, result.Version);
            return;
        }

        context.Response.Headers.ETag = ETag(result.Version);
        await WriteJsonAsync(context, StatusCodes.Status200OK, json => json.WriteNumber("version", result.Version.Value));
    }

    private async Task DeleteAsync(HttpContext context, byte[] key)
    {
        _ = new RestQuery(context.Request);
        (PutCondition condition, Core.Version ifVersion) = Condition(context);
        if (condition == PutCondition.IfPresent || (condition == PutCondition.IfVersion && ifVersion.IsZero))
        {
            throw new HengeException(ErrorCode.InvalidArgument, "A deletion takes If-Match with the ETag of a version, or no condition; whether the key was there is told by the answer.");
        }

        var command = new ArrayBufferWriter<byte>(key.Length + 64);
        CommandEncoder.Delete(command, key, condition == PutCondition.IfVersion ? ifVersion : null);
        CommandResult result = await WriteAsync(key, command.WrittenMemory);
        if (result.Status == CommandStatus.ConditionFailed)
        {
            await FailedConditionAsync(context, result.Version);
        }
        else if (!result.Found)
        {
            await WriteErrorAsync(context, StatusCodes.Status404NotFound, "NotFound", "There is no such key.");
        }
        else
        {
            await WriteJsonAsync(context, StatusCodes.Status200OK, json => json.WriteNumber("version", result.Version.Value));
        }
    }

    private async Task<CommandResult> WriteAsync(byte[] key, ReadOnlyMemory<byte> command)
    {
        var operation = new KvAwaitedOperation { Kind = OperationKind.Write, Key = key, Command = command };
        await operation.RunAsync(node);
        CommandResult result = CommandResult.Of(operation, out _);
        return result.Status == CommandStatus.Failed ? throw new HengeException(result.Error, result.ErrorMessage!) : result;
    }

    private static Task FailedConditionAsync(HttpContext context, Core.Version current)
    {
        if (!current.IsZero)
        {
            context.Response.Headers.ETag = ETag(current);
        }

        return WriteErrorAsync(
            context, StatusCodes.Status412PreconditionFailed, "ConditionFailed", current.IsZero ? "The key does not exist." : $"The key is at version {current}.", current);
    }

    /// <summary>A body within the limit; one that says that it is larger is refused unread.</summary>
    private async Task<ReadOnlyMemory<byte>> ReadBodyAsync(HttpContext context)
    {
        // The envelope of JSON is larger than its value: base64 by a third, escapes by up to six times.
        int limit = node.Limits.ValueBytes * (context.Request.Query.ContainsKey("format") ? 6 : 1) + 1024;
        long? announced = context.Request.ContentLength;
        if (announced > limit)
        {
            throw new HengeException(ErrorCode.TooLarge, $"The body has {announced} bytes; the limit for values is {node.Limits.ValueBytes}. Split the value, or raise the node's limit.");
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
                    throw new HengeException(ErrorCode.TooLarge, $"The body is longer than the limit for values, {node.Limits.ValueBytes} bytes. Split the value, or raise the node's limit.");
                }

                body.Write(piece, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }

        return body.GetBuffer().AsMemory(0, (int)body.Length);
    }

    private static byte[] ParseEnvelope(ReadOnlyMemory<byte> body, ref long ttlMs)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(body);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                if (document.RootElement.TryGetProperty("ttlMs", out JsonElement ttl))
                {
                    ttlMs = ttl.TryGetInt64(out long given) && given > 0 ? given : throw new HengeException(ErrorCode.InvalidArgument, "'ttlMs' must be a whole number above 0.");
                }

                if (document.RootElement.TryGetProperty("value", out JsonElement text) && text.ValueKind == JsonValueKind.String)
                {
                    return Encoding.UTF8.GetBytes(text.GetString()!);
                }

                if (document.RootElement.TryGetProperty("valueBase64", out JsonElement encoded) && encoded.TryGetBytesFromBase64(out byte[]? bytes))
                {
                    return bytes;
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"The body is not JSON: {e.Message}", e);
        }

        throw new HengeException(ErrorCode.InvalidArgument, "With format=json the body is an object with 'value' (text) or 'valueBase64', and maybe 'ttlMs'. To store JSON as it is, leave format=json out.");
    }

    private async Task ScanAsync(HttpContext context)
    {
        var query = new RestQuery(context.Request, "prefix", "start", "end", "limit", "continue", "reverse", "keysOnly", "count", "version", "at", "consistency");
        var request = new Protocol.V1.ScanRequest
        {
            Prefix = Google.Protobuf.ByteString.CopyFromUtf8(query.Text("prefix") ?? ""),
            StartKey = Google.Protobuf.ByteString.CopyFromUtf8(query.Text("start") ?? ""),
            EndKey = Google.Protobuf.ByteString.CopyFromUtf8(query.Text("end") ?? ""),
            Limit = (uint)query.Number("limit", query.Flag("count") ? 0 : DefaultPage, 0, int.MaxValue),
            Reverse = query.Flag("reverse"),
            KeysOnly = query.Flag("keysOnly"),
            CountOnly = query.Flag("count"),
            Version = query.ReadVersion(node).Value,
            Consistency = (Protocol.V1.Consistency)Consistency(query),
            Continuation = query.Text("continue") is { } token ? Google.Protobuf.ByteString.CopyFrom(RestJson.FromToken("continue", token)) : Google.Protobuf.ByteString.Empty,
        };
        var pager = new ScanPager(node, ScanPlan.Create(request, node));
        var barrier = new KvAwaitedOperation();
        pager.LoadBarrier(barrier);
        await barrier.RunAsync(node);
        pager.Begin(barrier.Version);
        if (request.CountOnly)
        {
            await pager.CountAsync(context.RequestAborted);
        }
        else
        {
            pager.ReadPage();
        }

        // The page is in the encoding of gRPC's answer; its budget of bytes bounds this one as well.
        Protocol.V1.ScanResponse page = Protocol.V1.ScanResponse.Parser.ParseFrom(pager.Page.Span);
        await WriteJsonAsync(context, StatusCodes.Status200OK, json => WritePage(json, page, request));
    }

    private static void WritePage(Utf8JsonWriter json, Protocol.V1.ScanResponse page, Protocol.V1.ScanRequest request)
    {
        json.WriteNumber("version", page.Version);
        if (request.CountOnly)
        {
            json.WriteNumber("count", page.Count);
        }
        else
        {
            json.WriteStartArray("pairs");
            foreach (Protocol.V1.KeyValue pair in page.Pairs)
            {
                json.WriteStartObject();
                RestJson.WriteBytes(json, "key", pair.Key.Span);
                if (!request.KeysOnly)
                {
                    RestJson.WriteBytes(json, "value", pair.Value.Span);
                }

                json.WriteNumber("version", pair.Version);
                if (pair.TtlRemainingMs != 0)
                {
                    json.WriteNumber("ttlMs", pair.TtlRemainingMs);
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        if (!page.Continuation.IsEmpty)
        {
            json.WriteString("continue", RestJson.ToToken(page.Continuation.Span));
        }
    }

    private static bool IsJson(RestQuery query) => query.Text("format") switch
    {
        null or "raw" => false,
        "json" => true,
        _ => throw new HengeException(ErrorCode.InvalidArgument, "'format' is raw or json."),
    };

    private static ReadConsistency Consistency(RestQuery query) => query.Text("consistency") switch
    {
        null => ReadConsistency.Default,
        "linearizable" => ReadConsistency.Linearizable,
        "lease" => ReadConsistency.Lease,
        "stale" => ReadConsistency.Stale,
        _ => throw new HengeException(ErrorCode.InvalidArgument, "'consistency' is linearizable, lease or stale."),
    };

    private static (PutCondition Condition, Core.Version Version) Condition(HttpContext context)
    {
        string match = context.Request.Headers.IfMatch.ToString(), none = context.Request.Headers.IfNoneMatch.ToString();
        if (none.Length > 0)
        {
            return none == "*" ? (PutCondition.IfVersion, default) : throw new HengeException(ErrorCode.InvalidArgument, "If-None-Match of a write can only be *: the key must not exist.");
        }

        return match.Length == 0 ? (PutCondition.None, default)
            : match == "*" ? (PutCondition.IfPresent, default)
            : ulong.TryParse(match.Trim().Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out ulong version) && version <= Core.Version.MaxValue
                ? (PutCondition.IfVersion, new Core.Version(version))
                : throw new HengeException(ErrorCode.InvalidArgument, "If-Match must be an ETag that this server gave (a version), or *.");
    }

    private static string ETag(Core.Version version) => "\"" + version + "\"";
}
