using System.Buffers;
using System.Text;
using System.Text.Json;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Operations;

namespace Henge.Server.Rest;

/// <summary>
/// Writes server-sent events (the HTML standard, section 9.2). Each event is one block that holds its data and, as its id, the place behind
/// it: an id in a block of its own is dropped by most clients. One thread at a time.
/// </summary>
internal sealed class EventStreamWriter(IHengeNode node)
{
    private readonly ArrayBufferWriter<byte> _buffer = new();

    /// <summary>Bytes that were written and not yet taken.</summary>
    public ReadOnlyMemory<byte> Written => _buffer.WrittenMemory;

    /// <summary>Forgets what was written, once it has been sent.</summary>
    public void Clear() => _buffer.ResetWrittenCount();

    /// <summary>An event of the watch, or a progress mark.</summary>
    public void Event(in WatchEventView watchEvent, string id)
    {
        Begin(watchEvent.Reason switch
        {
            WatchReason.Put => "put",
            WatchReason.Delete => "delete",
            WatchReason.Expired => "expired",
            _ => "progress",
        });
        using (var json = new Utf8JsonWriter(_buffer))
        {
            json.WriteStartObject();
            if (watchEvent.Reason != WatchReason.Progress)
            {
                RestJson.WriteBytes(json, "key", watchEvent.Key);
            }

            if (watchEvent.Reason == WatchReason.Put)
            {
                RestJson.WriteValue(json, "value", "hash", watchEvent.Value, watchEvent.Type);
            }

            RestJson.WriteStamp(json, watchEvent.Version, TimeToLive.Remaining(watchEvent.ExpiresAtMs, default, node));
            if (watchEvent.HasPrevious)
            {
                RestJson.WriteValue(json, "previousValue", "previousHash", watchEvent.PreviousValue, watchEvent.PreviousType);
                json.WriteNumber("previousVersion", watchEvent.PreviousVersion.Value);
            }

            json.WriteEndObject();
        }

        End(id);
    }

    /// <summary>Where the watch stands, for who has yet to see an event: <c>event: position</c>, whose data is an empty object.</summary>
    public void Position(string id)
    {
        Begin("position");
        _buffer.Write("{}"u8);
        End(id);
    }

    /// <summary>Why the stream ends. It has no id: a client that connects again is told once more.</summary>
    public void Error(HengeException error)
    {
        Begin("error");
        using (var json = new Utf8JsonWriter(_buffer))
        {
            json.WriteStartObject();
            json.WriteString("code", error.Code.ToString());
            json.WriteString("message", error.Message);
            json.WriteEndObject();
        }

        End(null);
    }

    private void Begin(string name)
    {
        Text("event: " + name);
        Text("\ndata: ");
    }

    private void End(string? id) => Text(id is null ? "\n\n" : "\nid: " + id + "\n\n");

    private void Text(string text) => Encoding.UTF8.GetBytes(text, _buffer);
}
