using System.Text.Json;
using Henge.Node.Api;
using Henge.Server.Http;
using Henge.Server.Operations;
using Henge.Storage;
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
            [.. RestQuery.RangeNames, "limit", "continue", "reverse", "keysOnly", "count", "version", "at", "consistency"]);
        bool counts = query.Flag("count");
        var terms = new ScanTerms
        {
            Prefix = query.Bytes("prefix"),
            Start = query.Bytes("start"),
            End = query.Bytes("end"),
            Limit = query.Number("limit", counts ? 0 : DefaultPage),
            Reverse = query.Flag("reverse"),
            KeysOnly = query.Flag("keysOnly"),
            Version = query.ReadVersion(node),
            Consistency = query.Consistency(),
            Continuation = query.Text("continue") is { } token ? RestJson.FromToken("continue", token) : default(ReadOnlyMemory<byte>),
        };
        RangeScan scan = RangeScan.Create(node, terms);
        await scan.BeginAsync();
        ulong count = 0;
        if (counts)
        {
            count = await scan.CountAsync(context.RequestAborted);
        }
        else
        {
            await scan.PrepareAsync();
        }

        await RestAnswer.JsonAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteNumber("version", scan.Version.Value);
            if (counts)
            {
                json.WriteNumber("count", count);
            }
            else
            {
                json.WriteStartArray("pairs");
                scan.ReadPage(new PairWriter(json, scan, terms.KeysOnly));
                json.WriteEndArray();
            }

            if (scan.HasMore)
            {
                json.WriteString("continue", RestJson.ToToken(scan.Continuation().Span));
            }
        });
    }

    /// <summary>Prints entries as they come from the engine. How many bytes a page may have bounds what is printed.</summary>
    private sealed class PairWriter(Utf8JsonWriter json, RangeScan scan, bool keysOnly) : IScanReceiver
    {
        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
        {
            json.WriteStartObject();
            RestJson.WriteBytes(json, "key", key);
            if (!keysOnly)
            {
                RestJson.WriteValue(json, "value", "hash", value, EntryType.Of(kind));
            }

            json.WriteNumber("version", version.Value);
            if (scan.TtlRemaining(expiresAtMs) is > 0 and long left)
            {
                json.WriteNumber("ttlMs", left);
            }

            json.WriteEndObject();
        }
    }
}
