using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Server.Resp.Channels;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>Commands that publish and subscribe.</summary>
internal static class ChannelCommands
{
    public static IEnumerable<RespCommand> All =>
    [
        new LocalCommand("publish", 3, static (c, a, w) => Publish(c, a, w, ChannelKind.Channel)),
        new LocalCommand("spublish", 3, static (c, a, w) => Publish(c, a, w, ChannelKind.Shard)),
        new LocalCommand("pubsub", -2, PubSub),
        Subscribe("subscribe", ChannelKind.Channel),
        Subscribe("psubscribe", ChannelKind.Pattern),
        Subscribe("ssubscribe", ChannelKind.Shard),
        Unsubscribe("unsubscribe", ChannelKind.Channel),
        Unsubscribe("punsubscribe", ChannelKind.Pattern),
        Unsubscribe("sunsubscribe", ChannelKind.Shard),
    ];

    private static SlowCommand Subscribe(string name, ChannelKind kind) =>
        new(name, -2, (c, a, w) => c.Subscriptions.SubscribeAsync(a, w, kind)) { AllowedToSubscribers = true };

    private static SlowCommand Unsubscribe(string name, ChannelKind kind) => new(name, -1, (c, a, w) =>
    {
        c.Subscriptions.Unsubscribe(a, w, kind);
        return ValueTask.CompletedTask;
    })
    { AllowedToSubscribers = true };

    private static void Publish(RespConnection connection, RespArguments arguments, RespWriter writer, ChannelKind kind)
    {
        NodeLimits limits = connection.Node.Limits;
        if (connection.Services.RefuseChannel(connection.User, Permissions.Write, KeyRange.Key(arguments.Span(1))) is { } refused)
        {
            writer.Error(refused);
        }
        else if (arguments[1].Length > limits.KeyBytes)
        {
            writer.Error(RespErrors.ChannelNameTooLong(arguments[1].Length, limits.KeyBytes));
        }
        else if (arguments[2].Length > limits.ValueBytes)
        {
            writer.Error($"ERR the message has {arguments[2].Length} bytes; at most {limits.ValueBytes} are allowed (limit-value-bytes)");
        }
        else
        {
            writer.Integer(connection.Services.Channels.Publish(kind, arguments.Span(1), arguments.Span(2)));
        }
    }

    /// <summary>PUBSUB: who is subscribed on this node, as each node of a Redis Cluster tells it of itself.</summary>
    private static void PubSub(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        ChannelHub channels = connection.Services.Channels;
        if (arguments.Is(1, "CHANNELS"u8))
        {
            List(channels, ChannelKind.Channel, arguments, writer);
        }
        else if (arguments.Is(1, "SHARDCHANNELS"u8))
        {
            List(channels, ChannelKind.Shard, arguments, writer);
        }
        else if (arguments.Is(1, "NUMSUB"u8))
        {
            Count(channels, ChannelKind.Channel, arguments, writer);
        }
        else if (arguments.Is(1, "SHARDNUMSUB"u8))
        {
            Count(channels, ChannelKind.Shard, arguments, writer);
        }
        else if (arguments.Is(1, "NUMPAT"u8) && arguments.Count == 2)
        {
            writer.Integer(channels.Patterns);
        }
        else
        {
            writer.Error(RespErrors.Subcommand(arguments, "pubsub", "CHANNELS", "NUMPAT", "NUMSUB", "SHARDCHANNELS", "SHARDNUMSUB"));
        }
    }

    private static void List(ChannelHub channels, ChannelKind kind, RespArguments arguments, RespWriter writer)
    {
        if (arguments.Count > 3)
        {
            writer.Error($"ERR unknown subcommand or wrong number of arguments for '{arguments.Text(1)}'. Try PUBSUB HELP.");
        }
        else
        {
            KeyCollector.Write(channels.Channels(kind, arguments.Count == 3 ? arguments[2].ToArray() : null), writer);
        }
    }

    private static void Count(ChannelHub channels, ChannelKind kind, RespArguments arguments, RespWriter writer)
    {
        // A flat array in RESP3 as well, as Redis has it.
        writer.Array((arguments.Count - 2) * 2);
        for (int i = 2; i < arguments.Count; i++)
        {
            writer.Bulk(arguments.Span(i));
            writer.Integer(channels.Subscribers(kind, arguments.Span(i)));
        }
    }
}
