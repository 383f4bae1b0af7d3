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
    private const int LimitBufferBytes = 64 * 1024;
    private const int LimitReadBytes = 256 * 1024;
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    /// <summary>Answers a request.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method))
        {
            await RestAnswer.NotAllowedAsync(context, "GET");
            return;
        }

        IWatch watch;
        EventPosition? last;
        var available = new AsyncSignal();
        try
        {
            string? id = context.Request.Headers["Last-Event-ID"];
            last = string.IsNullOrEmpty(id) ? null : EventPosition.Parse(id);
            watch = node.OpenWatch(Query(context, last), available.Set);
        }
        catch (HengeException e)
        {
            await RestAnswer.FailAsync(context, e);
            return;
        }

        using (watch)
        {
            context.Response.ContentType = "text/event-stream; charset=utf-8";
            context.Response.Headers.CacheControl = "no-store";
            var writer = new EventStreamWriter(node);
            await StreamAsync(context, watch, available, writer, new EventBatch(writer, last));
        }
    }

    private WatchQuery Query(HttpContext context, EventPosition? last)
    {
        var query = new RestQuery(
            RequestTarget.Of(context),
            "prefix",
            "prefix64",
            "start",
            "start64",
            "end",
            "end64",
            "from",
            "previous",
            "progress");
        (ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper) = KeyRange.Create(
            query.ByteString("prefix"),
            query.ByteString("start"),
            query.ByteString("end"),
            node.Limits);
        return new WatchQuery
        {
            Lower = lower,
            Upper = upper,
            Start = query.Text("from") is { } from ? KvValidation.Version(from, "from") : default,
            Resume = last?.Token ?? default(ReadOnlyMemory<byte>),
            PreviousValues = query.Flag("previous"),
            Progress = query.Flag("progress"),
        };
    }

    private static async Task StreamAsync(
        HttpContext context, IWatch watch, AsyncSignal available, EventStreamWriter writer, EventBatch batch)
    {
        CancellationToken cancellation = context.RequestAborted;
        await using CancellationTokenRegistration gone = cancellation.UnsafeRegister(static s => ((AsyncSignal)s!).Set(), available);

        // A word now and then keeps proxies from closing a quiet stream, tells us of readers that are gone, and keeps the reader's id from
        // growing older than history.
        int quiet = 0;
        await using ITimer timer = TimeProvider.System.CreateTimer(
            _ =>
            {
                Interlocked.Exchange(ref quiet, 1);
                available.Set();
            },
            null, KeepAlive, KeepAlive);
        byte[] token = watch.ResumeToken;
        writer.Position(batch.Position(token));
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                // One version at a time: only behind whole versions is there a place to resume at.
                while (writer.Written.Length < LimitBufferBytes && watch.TryRead(batch, 1, LimitReadBytes))
                {
                    byte[] before = token;
                    token = watch.ResumeToken;
                    batch.Write(before, token);
                }

                bool tick = Interlocked.Exchange(ref quiet, 0) == 1;
                if (writer.Written.IsEmpty && tick)
                {
                    token = watch.ResumeToken;
                    writer.Position(batch.Position(token));
                }
                else if (writer.Written.IsEmpty)
                {
                    await available.WaitAsync();
                    continue;
                }
            }
            catch (HengeException e)
            {
                writer.Error(e);
                cancellation = new CancellationToken(canceled: true);
            }

            await context.Response.Body.WriteAsync(writer.Written, context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            writer.Clear();
        }
    }
}
