using System.Text.Json;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Http;
using Henge.Server.Kv;
using Henge.Server.Operations;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Rest;

/// <summary><c>GET /v1/kv?prefix=</c>: a page of a range.</summary>
internal static class RestScan
{
    private const uint DefaultPage = 100;

    public static async Task AnswerAsync(HttpContext context, IHengeNode node)
    {
        var query = new RestQuery(
            RequestTarget.Of(context),
            "prefix",
            "prefix64",
            "start",
            "start64",
            "end",
            "end64",
            "limit",
            "continue",
            "reverse",
            "keysOnly",
            "count",
            "version",
            "at",
            "consistency");
        var request = new ScanRequest
        {
            Prefix = query.ByteString("prefix"),
            StartKey = query.ByteString("start"),
            EndKey = query.ByteString("end"),
            Limit = query.Number("limit", query.Flag("count") ? 0 : DefaultPage),
            Reverse = query.Flag("reverse"),
            KeysOnly = query.Flag("keysOnly"),
            CountOnly = query.Flag("count"),
            Version = query.ReadVersion(node).Value,
            Consistency = (Consistency)query.Consistency(),
            Continuation = query.Text("continue") is { } token
                ? Google.Protobuf.ByteString.CopyFrom(RestJson.FromToken("continue", token))
                : Google.Protobuf.ByteString.Empty,
        };
        var pager = new ScanPager(node, ScanPlan.Create(request, node));
        var barrier = new AwaitedOperation();
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
        ScanResponse page = ScanResponse.Parser.ParseFrom(pager.Page.Span);
        await RestAnswer.JsonAsync(context, StatusCodes.Status200OK, json => Write(json, page, request));
    }

    private static void Write(Utf8JsonWriter json, ScanResponse page, ScanRequest request)
    {
        json.WriteNumber("version", page.Version);
        if (request.CountOnly)
        {
            json.WriteNumber("count", page.Count);
        }
        else
        {
            json.WriteStartArray("pairs");
            foreach (KeyValue pair in page.Pairs)
            {
                json.WriteStartObject();
                RestJson.WriteBytes(json, "key", pair.Key.Span);
                if (!request.KeysOnly)
                {
                    RestJson.WriteValue(json, "value", "hash", pair.Value.Span, (Storage.DataType)pair.Type);
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
}
