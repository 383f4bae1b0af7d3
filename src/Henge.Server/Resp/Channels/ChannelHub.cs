using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Metrics;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Channels;

/// <summary>
/// The channels of a node: who is subscribed here, and the way of messages from here to the other nodes and from them to here. Nothing of
/// it is kept: a message goes to those who are subscribed when it comes, at most once (docs/decisions/0160-publish-at-most-once.md). All
/// subscribers of a node see its messages in one order. Thread-safe.
/// </summary>
/// <remarks>
/// A message between nodes: <c>kind u8 | length of the channel u32 | channel | payload</c>, little-endian (docs/formats.md, "Peer frames").
/// </remarks>
internal sealed class ChannelHub
{
    private const int HeadBytes = 5;
    private const int StackBytes = 512;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, HashSet<ChannelSubscription>> _channels = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HashSet<ChannelSubscription>> _shards = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HashSet<ChannelSubscription>> _patterns = new(StringComparer.Ordinal);
    private readonly IPeerMessages? _peers;
    private readonly ChannelMetrics _metrics;

    /// <summary>Creates the hub of a node.</summary>
    /// <param name="peers">The way to other nodes; null: there are none.</param>
    /// <param name="metrics">Where messages are counted.</param>
    public ChannelHub(IPeerMessages? peers, ChannelMetrics metrics)
    {
        (_peers, _metrics) = (peers, metrics);
        if (peers is not null)
        {
            peers.Receiver = OnPeerMessage;
        }
    }

    /// <summary>How many patterns somebody here is subscribed to, each once.</summary>
    public int Patterns
    {
        get
        {
            lock (_gate)
            {
                return _patterns.Count;
            }
        }
    }

    public void Add(ChannelSubscription subscription)
    {
        lock (_gate)
        {
            Dictionary<string, HashSet<ChannelSubscription>> table = TableOf(subscription.Kind);
            if (!table.TryGetValue(subscription.Name, out HashSet<ChannelSubscription>? subscribers))
            {
                table.Add(subscription.Name, subscribers = []);
            }

            subscribers.Add(subscription);
        }

        _metrics.Subscriptions(1);
    }

    public void Remove(ChannelSubscription subscription)
    {
        subscription.Ended = true;
        lock (_gate)
        {
            Dictionary<string, HashSet<ChannelSubscription>> table = TableOf(subscription.Kind);
            if (!table.TryGetValue(subscription.Name, out HashSet<ChannelSubscription>? subscribers) || !subscribers.Remove(subscription))
            {
                return;
            }

            if (subscribers.Count == 0)
            {
                table.Remove(subscription.Name);
            }
        }

        _metrics.Subscriptions(-1);
    }

    /// <summary>Publishes on all nodes. To the others it leaves with the next <see cref="Flush"/>.</summary>
    /// <returns>How many subscriptions of this node got it.</returns>
    public long Publish(ChannelKind kind, ReadOnlySpan<byte> channel, ReadOnlySpan<byte> payload)
    {
        long receivers = Deliver(kind, channel, payload);
        _metrics.Published();
        if (_peers is not null)
        {
            byte[]? rented = channel.Length + HeadBytes > StackBytes ? ArrayPool<byte>.Shared.Rent(channel.Length + HeadBytes) : null;
            Span<byte> head = (rented ?? stackalloc byte[StackBytes])[..(channel.Length + HeadBytes)];
            head[0] = (byte)kind;
            BinaryPrimitives.WriteUInt32LittleEndian(head[1..], (uint)channel.Length);
            channel.CopyTo(head[HeadBytes..]);
            _peers.Post(head, payload);
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }

        return receivers;
    }

    /// <summary>Sends what was published to the other nodes.</summary>
    public void Flush() => _peers?.Flush();

    /// <summary>Names of channels that somebody here is subscribed to.</summary>
    public List<byte[]> Channels(ChannelKind kind, byte[]? pattern)
    {
        string[] names;
        lock (_gate)
        {
            names = [.. TableOf(kind).Keys];
        }

        return [.. names.Select(Encoding.Latin1.GetBytes).Where(n => pattern is null || Glob.Matches(pattern, n))];
    }

    /// <summary>How many subscriptions a channel has here, patterns not counted.</summary>
    public int Subscribers(ChannelKind kind, ReadOnlySpan<byte> channel)
    {
        string name = Encoding.Latin1.GetString(channel);
        lock (_gate)
        {
            return TableOf(kind).TryGetValue(name, out HashSet<ChannelSubscription>? subscribers) ? subscribers.Count : 0;
        }
    }

    private void OnPeerMessage(NodeId from, ReadOnlySpan<byte> message)
    {
        // What makes no sense is dropped, as if it had been lost; a newer build may know more kinds.
        if (message.Length < HeadBytes || (ChannelKind)message[0] is not (ChannelKind.Channel or ChannelKind.Shard))
        {
            return;
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(message[1..]);
        if (length <= (uint)(message.Length - HeadBytes))
        {
            _metrics.Received();
            Deliver((ChannelKind)message[0], message.Slice(HeadBytes, (int)length), message[(HeadBytes + (int)length)..]);
        }
    }

    private long Deliver(ChannelKind kind, ReadOnlySpan<byte> channel, ReadOnlySpan<byte> payload)
    {
        long receivers = 0;
        ChannelMessage? shared = null;
        Span<char> small = stackalloc char[StackBytes];
        ReadOnlySpan<char> name =
            channel.Length <= StackBytes ? small[..Encoding.Latin1.GetChars(channel, small)] : Encoding.Latin1.GetString(channel);
        lock (_gate)
        {
            if (TableOf(kind).GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out HashSet<ChannelSubscription>? subscribers))
            {
                receivers += DeliverTo(subscribers, ref shared, channel, payload);
            }

            if (kind == ChannelKind.Channel)
            {
                foreach (HashSet<ChannelSubscription> matching in _patterns.Values)
                {
                    if (Glob.Matches(matching.First().NameBytes, channel))
                    {
                        receivers += DeliverTo(matching, ref shared, channel, payload);
                    }
                }
            }
        }

        _metrics.Delivered(receivers);
        return receivers;
    }

    private static int DeliverTo(
        HashSet<ChannelSubscription> subscribers,
        ref ChannelMessage? shared,
        ReadOnlySpan<byte> channel,
        ReadOnlySpan<byte> payload)
    {
        shared ??= new ChannelMessage(channel.ToArray(), payload.ToArray());
        foreach (ChannelSubscription subscription in subscribers)
        {
            subscription.Inbox.Add(subscription, shared);
        }

        return subscribers.Count;
    }

    private Dictionary<string, HashSet<ChannelSubscription>> TableOf(ChannelKind kind) => kind switch
    {
        ChannelKind.Channel => _channels,
        ChannelKind.Pattern => _patterns,
        _ => _shards,
    };
}
