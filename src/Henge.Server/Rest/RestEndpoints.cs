using Henge.Node.Api;
using Henge.Server.Http;
using Henge.Server.Operations;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Henge.Server.Rest;

/// <summary>
/// Maps the endpoints of the REST API, and describes them. Each takes all methods: which are not allowed, and which are, it says by itself.
/// </summary>
internal static class RestEndpoints
{
    private const string Json = "application/json";
    private const string Bytes = "application/octet-stream";
    private const string Tag = "REST";

    private static readonly string[] Reading = ["GET", "HEAD"];

    private static readonly (string, string)[] ReadTimes =
    [
        ("version", "The version to read at; left out: now."),
        ("at", "The moment to read at: how long ago (5m), @ and Unix seconds, a date and time, or now."),
        ("consistency", "linearizable, lease or stale; left out: what the node is set to."),
    ];

    private static readonly (string, string)[] Ranges =
    [
        ("prefix", "Keys that begin with these bytes, percent-encoded; or prefix64, in base64."),
        ("start", "From this key on; or start64."),
        ("end", "Up to this key, which is not among them; or end64."),
    ];

    private static readonly (string, string)[] Conditions =
    [
        ("If-Match", "Only if the key is at one of these versions, or exists (*)."),
        ("If-None-Match", "Only if the key is at none of these versions, or does not exist (*)."),
    ];

    public static void Map(IEndpointRouteBuilder routes, IHengeNode node)
    {
        KvEndpoint all = new(node);
        WatchEndpoint allWatches = new(node);
        RequestDelegate kv = context =>
            node.For(context) is var own && own == node ? all.HandleAsync(context) : new KvEndpoint(own).HandleAsync(context);
        RequestDelegate watch = context =>
            node.For(context) is var own && own == node ? allWatches.HandleAsync(context) : new WatchEndpoint(own).HandleAsync(context);
        const string Key = "/v1/kv/{**key}";
        ApiDescription.Of(
            routes.MapMethods(Key, Reading, kv),
            Tag,
            "Reads a key.",
            static d =>
                d.Key()
                    .Query(ReadTimes)
                    .Query(("format", "json: the value in an object, with its version."))
                    .Header(Conditions)
                    .Answer(200, "The value as it is, with its version in ETag and Henge-Version.", Bytes, Json)
                    .Answer(304, "It is at one of the versions in If-None-Match.")
                    .Answer(404, "There is no such key.", Json)
                    .Answer(412, "A condition did not hold.", Json)
                    .Errors());
        ApiDescription.Of(
            routes.MapPut(Key, kv),
            Tag,
            "Writes a key.",
            static d =>
                d.Key()
                    .Query(
                        ("ttl", "How long it lives (30s, 1h30m); left out: for ever."),
                        ("format", "json: the body is an object with the value."))
                    .Header(Conditions)
                    .Body("The value as it is; or with format=json an object with value or valueBase64, and maybe ttlMs.", Bytes, Json)
                    .Answer(200, "Written, at the version that the answer names.", Json)
                    .Answer(412, "A condition did not hold.", Json)
                    .Errors());
        ApiDescription.Of(
            routes.MapDelete(Key, kv),
            Tag,
            "Deletes a key.",
            static d =>
                d.Key()
                    .Header(Conditions)
                    .Answer(200, "Deleted, at the version that the answer names.", Json)
                    .Answer(404, "There is no such key.", Json)
                    .Answer(412, "A condition did not hold.", Json)
                    .Errors());
        ApiDescription.Of(
            routes.MapMethods("/v1/kv", Reading, kv),
            Tag,
            "Reads a page of a range; or the key that the query names.",
            static d =>
                d.Query(Ranges)
                    .Query(ReadTimes)
                    .Query(("limit", "Most pairs; left out: 100."), ("continue", "Where to go on: what the page before gave."))
                    .Query(
                        (
                            "key",
                            "Instead of a range: the key that is meant, for keys that a path does not keep; or key64. PUT and DELETE take "
                                + "it too."))
                    .Switch(("reverse", "From the end."), ("keysOnly", "Without values."), ("count", "Only how many there are."))
                    .Answer(200, "An object with pairs, and with continue where there are more.", Json)
                    .Errors());
        ApiDescription.Of(
            routes.MapGet("/v1/watch", watch),
            Tag,
            "Streams changes as server-sent events.",
            static d =>
                d.Query(Ranges)
                    .Query(("from", "The version from which on events are wanted; left out: now."))
                    .Switch(("previous", "With the values before."), ("progress", "With marks that say how far the stream is."))
                    .Header(("Last-Event-ID", "The id of the last event that was seen: the stream goes on behind it."))
                    .Answer(200, "Events: position, put, delete, expired, progress, error.", "text/event-stream")
                    .Errors());
        foreach (string path in (string[])[Key, "/v1/kv"])
        {
            routes.Map(path, kv);
        }

        routes.Map("/v1/watch", watch);
    }
}
