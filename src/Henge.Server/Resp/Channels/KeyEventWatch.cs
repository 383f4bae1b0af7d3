using System.Text;
using Henge.Node.Api;
using Henge.Server.Operations;

namespace Henge.Server.Resp.Channels;

/// <summary>
/// Key events by Redis's names: a subscription to <c>__keyspace@0__:…</c> is a watch of the node as well, whose events are pushed between
/// replies. As in Redis there is no history here: a connection that is cut misses what happens meanwhile (use a watch by gRPC or REST to go
/// on without a gap). At most one pump runs at a time, on the pool, when there is something.
/// </summary>
internal sealed class KeyEventWatch : IWatchReceiver, IDisposable
{
    private const int BatchItems = 256, BatchBytes = 256 * 1024;
    private const string KeySpace = "__keyspace@0__:";
    private readonly RespConnection _connection;
    private readonly SemaphoreSlim _gate;
    private readonly ChannelSubscription _subscription;
    private readonly byte[] _keyPattern;
    private readonly IWatch _watch;
    private int _signals;
    private volatile bool _disposed;

    private KeyEventWatch(RespConnection connection, SemaphoreSlim gate, ChannelSubscription subscription, byte[] keyPattern)
    {
        (_connection, _gate, _subscription, _keyPattern) = (connection, gate, subscription, keyPattern);
        bool pattern = subscription.Kind == ChannelKind.Pattern;
        byte[] prefix = pattern ? Glob.LiteralPrefix(keyPattern) : keyPattern;
        _watch = connection.Node.OpenWatch(
            new WatchQuery { Lower = prefix, Upper = pattern ? KeyRange.EndOfPrefix(prefix) : [.. prefix, 0] },
            Signal);
        Signal();
    }

    /// <summary>
    /// Opens the watch of a subscription; null when its name says nothing of keys. Throws what <see cref="IHengeNode.OpenWatch"/> throws.
    /// </summary>
    /// <param name="connection">Where events go.</param>
    /// <param name="gate">Held by whoever writes to the connection.</param>
    /// <param name="subscription">The subscription.</param>
    public static KeyEventWatch? Open(RespConnection connection, SemaphoreSlim gate, ChannelSubscription subscription)
    {
        string name = subscription.Name;
        if (subscription.Kind != ChannelKind.Shard && name.StartsWith(KeySpace, StringComparison.Ordinal))
        {
            return new KeyEventWatch(connection, gate, subscription, Encoding.Latin1.GetBytes(name[KeySpace.Length..]));
        }

        return subscription.Kind == ChannelKind.Pattern && name is "*" or "__keyspace*" or "__key*__:*"
            ? new KeyEventWatch(connection, gate, subscription, "*"u8.ToArray())
            : null;
    }

    public void OnEvent(in WatchEventView watchEvent)
    {
        bool pattern = _subscription.Kind == ChannelKind.Pattern;
        if (watchEvent.Reason == WatchReason.Progress || (pattern && !Glob.Matches(_keyPattern, watchEvent.Key)))
        {
            return;
        }

        RespWriter writer = _connection.Writer;
        writer.Push(pattern ? 4 : 3);
        writer.Bulk(pattern ? "pmessage"u8 : "message"u8);
        if (pattern)
        {
            writer.Bulk(_subscription.NameBytes);
        }

        writer.Bulk([.. "__keyspace@0__:"u8, .. watchEvent.Key]);
        writer.Bulk(watchEvent.Reason switch { WatchReason.Put => "set"u8, WatchReason.Expired => "expired"u8, _ => "del"u8 });
    }

    public void Dispose()
    {
        _disposed = true;
        _watch.Dispose();
    }

    private void Signal()
    {
        if (Interlocked.Increment(ref _signals) == 1)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static s => _ = s.PumpAsync(), this, preferLocal: false);
        }
    }

    private async Task PumpAsync()
    {
        int seen;
        do
        {
            seen = Volatile.Read(ref _signals);
            bool more = true;
            while (more && !_disposed)
            {
                await _gate.WaitAsync();
                try
                {
                    // It may have been unsubscribed from while this waited for its turn; the connection goes on then.
                    more = !_disposed && _watch.TryRead(this, BatchItems, BatchBytes);
                    await _connection.FlushAsync();
                }
                catch (Exception e)
                {
                    // Gone connections need no news; a watch that lost events says so by ending the connection, as a slow Redis subscriber
                    // would see.
                    _connection.EndSubscriber(e);
                    return;
                }
                finally
                {
                    _gate.Release();
                }
            }
        }
        while (Interlocked.CompareExchange(ref _signals, 0, seen) != seen && !_disposed);
    }
}
