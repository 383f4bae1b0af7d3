using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Operations;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Channels;

/// <summary>
/// Key events by Redis's names: a subscription to <c>__keyspace@0__:…</c> is a watch of the node as well, whose events are pushed between
/// replies. As in Redis there is no history here: a connection that is cut misses what happens meanwhile (use a watch by gRPC or REST to go
/// on without a gap).
/// </summary>
internal sealed class KeyEventWatch : IWatchOutput, IDisposable
{
    private const int BatchItems = 256, BatchBytes = 256 * 1024;
    private const string KeySpace = "__keyspace@0__:";
    private readonly SubscriberOutput _output;
    private readonly ChannelSubscription _subscription;
    private readonly byte[] _keyPattern;
    private readonly WatchPump _pump;

    private KeyEventWatch(IHengeNode node, SubscriberOutput output, ChannelSubscription subscription, byte[] keyPattern)
    {
        (_output, _subscription, _keyPattern) = (output, subscription, keyPattern);
        bool pattern = subscription.Kind == ChannelKind.Pattern;
        byte[] prefix = pattern ? Glob.LiteralPrefix(keyPattern) : keyPattern;
        _pump = new WatchPump(
            node,
            new WatchQuery { Lower = prefix, Upper = pattern ? KeyRange.EndOfPrefix(prefix) : [.. prefix, 0] },
            new WatchPace(BatchItems, BatchBytes));
    }

    /// <summary>
    /// Opens the watch of a subscription; null when its name says nothing of keys. Throws what <see cref="IHengeNode.OpenWatch"/> and
    /// <see cref="IWatch.TryOpen"/> throw.
    /// </summary>
    /// <param name="node">The node.</param>
    /// <param name="output">Where events go.</param>
    /// <param name="subscription">The subscription.</param>
    public static async ValueTask<KeyEventWatch?> OpenAsync(IHengeNode node, SubscriberOutput output, ChannelSubscription subscription)
    {
        if (Create(node, output, subscription) is not { } watch)
        {
            return null;
        }

        try
        {
            await watch._pump.OpenAsync(CancellationToken.None);
        }
        catch
        {
            watch.Dispose();
            throw;
        }

        _ = watch.RunAsync();
        return watch;
    }

    private static KeyEventWatch? Create(IHengeNode node, SubscriberOutput output, ChannelSubscription subscription)
    {
        string name = subscription.Name;
        if (subscription.Kind != ChannelKind.Shard && name.StartsWith(KeySpace, StringComparison.Ordinal))
        {
            return new KeyEventWatch(node, output, subscription, Encoding.Latin1.GetBytes(name[KeySpace.Length..]));
        }

        return subscription.Kind == ChannelKind.Pattern && name is "*" or "__keyspace*" or "__key*__:*"
            ? new KeyEventWatch(node, output, subscription, "*"u8.ToArray())
            : null;
    }

    public void OnEvent(in WatchEventView watchEvent)
    {
        bool pattern = _subscription.Kind == ChannelKind.Pattern;
        if (watchEvent.Reason == WatchReason.Progress || (pattern && !Glob.Matches(_keyPattern, watchEvent.Key)))
        {
            return;
        }

        RespWriter writer = _output.Writer;
        writer.Push(pattern ? 4 : 3);
        writer.Bulk(pattern ? "pmessage"u8 : "message"u8);
        if (pattern)
        {
            writer.Bulk(_subscription.NameBytes);
        }

        writer.Bulk([.. "__keyspace@0__:"u8, .. watchEvent.Key]);
        writer.Bulk(watchEvent.Reason switch { WatchReason.Put => "set"u8, WatchReason.Expired => "expired"u8, _ => "del"u8 });
    }

    ValueTask IWatchOutput.EnterAsync() => new(_output.EnterAsync());

    bool IWatchOutput.OnRead(IWatch watch) => false;

    ValueTask IWatchOutput.SendAsync(IWatch watch, bool isQuiet)
    {
        _output.Flush();
        return ValueTask.CompletedTask;
    }

    void IWatchOutput.Exit() => _output.Exit();

    public void Dispose() => _pump.Dispose();

    private async Task RunAsync()
    {
        try
        {
            await _pump.RunAsync(this, CancellationToken.None);
        }
        catch (Exception e)
        {
            // Gone connections need no news; a watch that lost events says so by ending the connection, as a slow Redis subscriber would
            // see.
            _output.End(e);
        }
    }
}
