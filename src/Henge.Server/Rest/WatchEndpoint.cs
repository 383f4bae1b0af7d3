using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Http;
using Henge.Server.Kv;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Rest;

/// <summary>
/// <c>GET /v1/watch?prefix=</c> as server-sent events (the HTML standard, section 9.2). Each batch's last event carries where the watch stands as its id, so that a browser's EventSource goes on
/// without a gap by itself (Last-Event-ID). When events are lost to a watch that fell too far behind, an event <c>error</c> says so and the stream ends.
/// </summary>
public sealed class WatchEndpoint(IHengeNode node) : IHttpEndpoint
{
    private const int BatchItems = 256, BatchBytes = 256 * 1024;
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    /// <inheritdoc/>
    public bool Matches(string path) => path == "/v1/watch";

    /// <inheritdoc/>
    public string RouteOf(string path) => path;

    /// <inheritdoc/>
    public async Task HandleAsync(HttpContext context)
    {
        IWatch watch;
        var available = new AsyncSignal();
        try
        {
            watch = node.OpenWatch(Query(context), available.Set);
        }
        catch (HengeException e)
        {
            await KvEndpoint.FailAsync(context, e);
            return;
        }

        using (watch)
        {
            context.Response.ContentType = "text/event-stream; charset=utf-8";
            context.Response.Headers.CacheControl = "no-store";
            await StreamAsync(context, watch, available);
        }
    }

    private WatchQuery Query(HttpContext context)
    {
        var query = new RestQuery(context.Request, "prefix", "start", "end", "from", "previous", "progress");
        (ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper) = KeyRange.Create(Bytes(query.Text("prefix")), Bytes(query.Text("start")), Bytes(query.Text("end")), node.Limits);
        string? last = context.Request.Headers["Last-Event-ID"];
        Core.Version start = default;
        if (query.Text("from") is { } from && (!ulong.TryParse(from, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) || (start = new Core.Version(number)) > Core.Version.Max))
        {
            throw new HengeException(ErrorCode.InvalidArgument, "'from' must be a version.");
        }

        return new WatchQuery
        {
            Lower = lower,
            Upper = upper,
            Start = start,
            Resume = string.IsNullOrEmpty(last) ? default(ReadOnlyMemory<byte>) : RestJson.FromToken("Last-Event-ID", last),
            PreviousValues = query.Flag("previous"),
            Progress = query.Flag("progress"),
        };
    }

    private static Google.Protobuf.ByteString Bytes(string? text) => Google.Protobuf.ByteString.CopyFromUtf8(text ?? "");

    private async Task StreamAsync(HttpContext context, IWatch watch, AsyncSignal available)
    {
        CancellationToken cancellation = context.RequestAborted;
        await using CancellationTokenRegistration gone = cancellation.UnsafeRegister(static s => ((AsyncSignal)s!).Set(), available);

        // A comment now and then keeps proxies from closing a quiet stream, and tells us of readers that are gone.
        int quiet = 0;
        await using ITimer timer = TimeProvider.System.CreateTimer(
            _ =>
            {
                Interlocked.Exchange(ref quiet, 1);
                available.Set();
            },
            null, KeepAlive, KeepAlive);
        var events = new EventWriter(node);
        events.Comment("watching");
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                if (watch.TryRead(events, BatchItems, BatchBytes))
                {
                    events.Identify(watch.ResumeToken);
                }
                else if (Interlocked.Exchange(ref quiet, 0) == 1)
                {
                    events.Comment("quiet");
                }
                else if (events.Buffer.WrittenCount == 0)
                {
                    await available.WaitAsync();
                    continue;
                }
            }
            catch (HengeException e)
            {
                events.Error(e);
                cancellation = new CancellationToken(canceled: true);
            }

            await context.Response.Body.WriteAsync(events.Buffer.WrittenMemory, context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            events.Buffer.ResetWrittenCount();
        }
    }

    private sealed class EventWriter(IHengeNode node) : IWatchReceiver
    {
        public ArrayBufferWriter<byte> Buffer { get; } = new();

        public void OnEvent(in WatchEventView watchEvent)
        {
            Line("event: " + (watchEvent.Reason switch
            {
                WatchReason.Put => "put",
                WatchReason.Delete => "delete",
                WatchReason.Expired => "expired",
                _ => "progress",
            }));
            Buffer.Write("data: "u8);
            using (var json = new Utf8JsonWriter(Buffer))
            {
                json.WriteStartObject();
                if (watchEvent.Reason != WatchReason.Progress)
                {
                    RestJson.WriteBytes(json, "key", watchEvent.Key);
                }

                if (watchEvent.Reason == WatchReason.Put)
                {
                    RestJson.WriteBytes(json, "value", watchEvent.Value);
                }

                RestJson.WriteStamp(json, watchEvent.Version, watchEvent.ExpiresAtMs, node);
                if (watchEvent.HasPrevious)
                {
                    RestJson.WriteBytes(json, "previousValue", watchEvent.PreviousValue);
                    json.WriteNumber("previousVersion", watchEvent.PreviousVersion.Value);
                }

                json.WriteEndObject();
            }

            Line("");
            Line("");
        }

        /// <summary>An id without data is no event, but a browser keeps it and sends it back when it connects again.</summary>
        public void Identify(byte[] token)
        {
            Line("id: " + RestJson.ToToken(token));
            Line("");
        }

        public void Comment(string text)
        {
            Line(": " + text);
            Line("");
        }

        public void Error(HengeException error)
        {
            Line("event: error");
            Line("data: " + JsonEncodedText.Encode(error.Message).ToString());
            Line("");
        }

        private void Line(string text)
        {
            Encoding.UTF8.GetBytes(text, Buffer);
            Buffer.Write("\n"u8);
        }
    }
}
