using System.Collections.Concurrent;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Kv;
using Henge.Server.Resp.Commands;

namespace Henge.Server.Resp;

/// <summary>
/// Key events by Redis's names: SUBSCRIBE and PSUBSCRIBE to <c>__keyspace@0__:…</c>. Each subscription is a watch of the node; its events are pushed between
/// replies. As in Redis there is no history here: a connection that is cut misses what happens meanwhile (use a watch by gRPC or REST to go on without a gap).
/// </summary>
internal sealed class RespSubscriptions(RespConnection connection) : IAsyncDisposable
{
    private const int BatchItems = 256, BatchBytes = 256 * 1024;
    private const string KeySpace = "__keyspace@0__:";
    private readonly ConcurrentDictionary<string, Subscription> _open = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _gate = new(1, 1);
    private bool _used, _held;

    /// <summary>How many there are.</summary>
    public int Count => _open.Count;

    /// <summary>Keeps pushes out while replies are written. Free of cost as long as nothing was ever subscribed to.</summary>
    public ValueTask EnterAsync() => _used ? EnterSlowAsync() : ValueTask.CompletedTask;

    /// <summary>Lets pushes in again.</summary>
    public void Exit()
    {
        if (_held)
        {
            _held = false;
            _gate.Release();
        }
    }

    private async ValueTask EnterSlowAsync()
    {
        await _gate.WaitAsync();
        _held = true;
    }

    /// <summary>In RESP2 a connection with subscriptions may do little else; the error, if so.</summary>
    public string? Refuse(RespCommand command) =>
        Count > 0 && connection.Writer.Protocol == 2 && command.Name is not ("ping" or "subscribe" or "psubscribe" or "unsubscribe" or "punsubscribe" or "quit" or "reset")
            ? $"ERR Can't execute '{command.Name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
            : null;

    /// <summary>SUBSCRIBE or PSUBSCRIBE.</summary>
    public void Subscribe(RespArguments arguments, RespWriter writer, bool pattern)
    {
        if (!_used)
        {
            // Nobody else can have it yet; from here on the replies under way hold it as if they had entered.
            _held = _used = _gate.Wait(0);
        }

        // All of a command's channels or none: a client counts on one confirmation for each.
        int more = Enumerable.Range(1, arguments.Count - 1).Select(i => IdOf(Name(arguments, i), pattern)).Distinct(StringComparer.Ordinal).Count(id => !_open.ContainsKey(id));
        if (Count + more > connection.Services.SubscriptionsLimit)
        {
            writer.Error($"ERR too many subscriptions: at most {connection.Services.SubscriptionsLimit} a connection; nothing was subscribed to");
            return;
        }

        for (int i = 1; i < arguments.Count; i++)
        {
            string channel = Name(arguments, i), id = IdOf(channel, pattern);
            if (!_open.ContainsKey(id))
            {
                try
                {
                    _open[id] = new Subscription(this, channel, pattern);
                }
                catch (HengeException e)
                {
                    writer.Error(RespErrors.Of(e.Code, e.Message));
                    return;
                }
            }

            Confirm(writer, pattern ? "psubscribe" : "subscribe", channel);
        }
    }

    /// <summary>UNSUBSCRIBE or PUNSUBSCRIBE; without names: all of the kind.</summary>
    public void Unsubscribe(RespArguments arguments, RespWriter writer, bool pattern)
    {
        string verb = pattern ? "punsubscribe" : "unsubscribe", kind = pattern ? "p" : "s";
        string[] channels = arguments.Count > 1
            ? [.. Enumerable.Range(1, arguments.Count - 1).Select(i => Name(arguments, i))]
            : [.. _open.Keys.Where(k => k.StartsWith(kind, StringComparison.Ordinal)).Select(k => k[1..])];
        foreach (string channel in channels)
        {
            if (_open.TryRemove(kind + channel, out Subscription? subscription))
            {
                subscription.Dispose();
            }

            Confirm(writer, verb, channel);
        }

        if (channels.Length == 0)
        {
            Confirm(writer, verb, null);
        }
    }

    public ValueTask DisposeAsync()
    {
        Clear();
        return ValueTask.CompletedTask;
    }

    /// <summary>Ends all of them without a confirmation.</summary>
    public void Clear()
    {
        foreach (Subscription subscription in _open.Values)
        {
            subscription.Dispose();
        }

        _open.Clear();
    }

    // Names are bytes: each is kept as the character of the same number, which loses nothing.
    private static string Name(RespArguments arguments, int index) => Encoding.Latin1.GetString(arguments.Span(index));

    private static string IdOf(string channel, bool pattern) => (pattern ? "p" : "s") + channel;

    private void Confirm(RespWriter writer, string verb, string? channel)
    {
        writer.Push(3);
        writer.Bulk(verb);
        if (channel is null)
        {
            writer.Null();
        }
        else
        {
            writer.Bulk(Encoding.Latin1.GetBytes(channel));
        }

        writer.Integer(Count);
    }

    /// <summary>One watch and the pushes that it leads to: at most one pump runs at a time, on the pool, when there is something.</summary>
    private sealed class Subscription : IWatchReceiver, IDisposable
    {
        private readonly RespSubscriptions _owner;
        private readonly string _channel;
        private readonly bool _pattern;
        private readonly byte[] _keyPattern;
        private readonly IWatch? _watch;
        private int _signals;
        private volatile bool _disposed;

        public Subscription(RespSubscriptions owner, string channel, bool pattern)
        {
            (_owner, _channel, _pattern) = (owner, channel, pattern);
            bool keys = channel.StartsWith(KeySpace, StringComparison.Ordinal);
            _keyPattern = Encoding.Latin1.GetBytes(keys ? channel[KeySpace.Length..] : "");
            if (!keys && !(pattern && channel is "*" or "__keyspace*" or "__key*__:*"))
            {
                // Other channels exist in Redis, but nobody can publish on them here.
                return;
            }

            _keyPattern = keys ? _keyPattern : "*"u8.ToArray();
            byte[] prefix = pattern ? Glob.LiteralPrefix(_keyPattern) : _keyPattern;
            _watch = owner.Connection.Node.OpenWatch(
                new WatchQuery { Lower = prefix, Upper = pattern ? KeyRange.EndOfPrefix(prefix) : [.. prefix, 0] }, Signal);
            Signal();
        }

        public void OnEvent(in WatchEventView watchEvent)
        {
            if (watchEvent.Reason == WatchReason.Progress || (_pattern && !Glob.Matches(_keyPattern, watchEvent.Key)))
            {
                return;
            }

            RespWriter writer = _owner.Connection.Writer;
            writer.Push(_pattern ? 4 : 3);
            writer.Bulk(_pattern ? "pmessage" : "message");
            if (_pattern)
            {
                writer.Bulk(Encoding.Latin1.GetBytes(_channel));
            }

            writer.Bulk([.. "__keyspace@0__:"u8, .. watchEvent.Key]);
            writer.Bulk(watchEvent.Reason switch { WatchReason.Put => "set", WatchReason.Expired => "expired", _ => "del" });
        }

        public void Dispose()
        {
            _disposed = true;
            _watch?.Dispose();
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
                    await _owner._gate.WaitAsync();
                    try
                    {
                        // It may have been unsubscribed from while this waited for its turn; the connection goes on then.
                        more = !_disposed && _watch is not null && _watch.TryRead(this, BatchItems, BatchBytes);
                        await _owner.Connection.FlushAsync();
                    }
                    catch (Exception e)
                    {
                        // Gone connections need no news; a watch that lost events says so by ending the connection, as a slow Redis subscriber would see.
                        _owner.Connection.Abort(e);
                        return;
                    }
                    finally
                    {
                        _owner._gate.Release();
                    }
                }
            }
            while (Interlocked.CompareExchange(ref _signals, 0, seen) != seen && !_disposed);
        }
    }

    private RespConnection Connection => connection;
}
