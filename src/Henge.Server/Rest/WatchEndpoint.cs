using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Http;
using Henge.Server.Operations;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Rest;

/// <summary>
/// <c>GET /v1/watch?prefix=</c> as server-sent events (the HTML standard, section 9.2). Each event carries where the watch stands behind it
/// as its id, and the first, <c>position</c>, says where it begins; so a browser's EventSource that was cut off goes on by itself
/// (Last-Event-ID), without gap or repetition. When events are lost to a watch that fell too far behind, an event <c>error</c> says so and
/// the stream ends.
/// </summary>
internal sealed class WatchEndpoint(IHengeNode node)
{
    private const int LimitReadBytes = 256 * 1024;

    // A word now and then keeps proxies from closing a quiet stream, tells us of readers that are gone, and keeps the reader's id from
    // growing older than history.
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    /// <summary>Answers a request.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method))
        {
            await RestAnswer.NotAllowedAsync(context, "GET");
            return;
        }

        WatchPump? pump = null;
        EventPosition? last;
        try
        {
            string? id = context.Request.Headers["Last-Event-ID"];
            last = string.IsNullOrEmpty(id) ? null : EventPosition.Parse(id);

            // One version at a time: only behind whole versions is there a place to resume at.
            pump = new WatchPump(node, Query(context, last), new WatchPace(1, LimitReadBytes, KeepAlive));
            await pump.OpenAsync(context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            pump?.Dispose();
            return;
        }
        catch (HengeException e)
        {
            pump?.Dispose();
            await RestAnswer.FailAsync(context, e);
            return;
        }

        using (pump)
        {
            context.Response.ContentType = "text/event-stream; charset=utf-8";
            context.Response.Headers.CacheControl = "no-store";
            await new EventStream(context, node, last).RunAsync(pump);
        }
    }

    private WatchQuery Query(HttpContext context, EventPosition? last)
    {
        var query = new RestQuery(RequestTarget.Of(context), [.. RestQuery.RangeNames, "from", "previous", "progress"]);
        KeyRange range = RequestedRange.Of(
            query.Bytes("prefix"),
            query.Bytes("start"),
            query.Bytes("end"),
            node.Limits);
        return new WatchQuery
        {
            Lower = range.Start,
            Upper = range.End,
            Start = query.Text("from") is { } from ? KvValidation.Version(from, "from") : default,
            Resume = last?.Token ?? default(ReadOnlyMemory<byte>),
            PreviousValues = query.Flag("previous"),
            Progress = query.Flag("progress"),
        };
    }
}
