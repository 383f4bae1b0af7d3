using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Events;
using Henge.Server.Metrics;
using Henge.Server.Resp.Channels;
using Henge.Server.Resp.Wire;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Henge.Server.Resp.Connections;

/// <summary>What all RESP connections of a node share.</summary>
internal sealed class RespServices
{
    private const int LogPauseMs = 10_000;
    private readonly ILogger _logger;
    private readonly ChannelMetrics _channelMetrics;
    private long _connections;
    private long _logAgainMs;
    private long _unlogged;

    /// <param name="commands">The commands that there are.</param>
    /// <param name="node">The node.</param>
    /// <param name="metrics">Where commands are measured; null: nowhere.</param>
    /// <param name="limits">Bounds; null: the defaults.</param>
    /// <param name="logger">Takes what operators should read; null: nobody does.</param>
    /// <param name="peers">The way of published messages to other nodes; null: there are none.</param>
    public RespServices(
        RespCommandTable commands,
        IHengeNode node,
        ServerMetrics? metrics,
        RespLimits? limits = null,
        ILogger? logger = null,
        IPeerMessages? peers = null)
    {
        (Commands, Node, Metrics) = (commands, node, metrics);
        _logger = logger ?? NullLogger.Instance;
        _channelMetrics = metrics?.Channels ?? new ChannelMetrics(null);
        Durations = metrics is null ? null : [.. commands.All.Select(c => metrics.Operations("resp", c.Name))];
        CommandBytesLimit = node.Limits.CommandBytes + (64 * 1024);
        Waiting = new RespWaitingBudget(limits ?? new RespLimits());
        Channels = new ChannelHub(peers, _channelMetrics);
    }

    /// <summary>The commands that there are.</summary>
    public RespCommandTable Commands { get; }

    public IHengeNode Node { get; }

    /// <summary>Finds out who is there; null: nobody is asked.</summary>
    public Logins? Logins { get; set; }

    /// <summary>Whether clients have to say who they are.</summary>
    public bool AsksWho => Logins is { IsNeeded: true };

    /// <summary>Where commands are measured; null: nowhere.</summary>
    public ServerMetrics? Metrics { get; }

    /// <summary>Durations by <see cref="RespCommand.Index"/>; null: they are not measured.</summary>
    public DurationRecorder[]? Durations { get; }

    /// <summary>Most bytes of one command.</summary>
    public int CommandBytesLimit { get; init; }

    /// <summary>
    /// Most arguments of one command: as many as Redis promised for long. What they may have in bytes is the closer bound.
    /// </summary>
    public int ArgumentsLimit { get; init; } = 1024 * 1024;

    /// <summary>What all connections together may keep waiting.</summary>
    public RespWaitingBudget Waiting { get; }

    /// <summary>Most subscriptions of one connection.</summary>
    public int SubscriptionsLimit { get; init; } = 1024;

    /// <summary>Most bytes of the names of what one connection is subscribed to.</summary>
    public int SubscriptionNamesBytesLimit { get; init; } = 1024 * 1024;

    /// <summary>The channels on which clients publish.</summary>
    public ChannelHub Channels { get; }

    /// <summary>How long replies may wait for a client that does not read.</summary>
    public TimeSpan SlowClientTimeout { get; init; } = TimeSpan.FromSeconds(60);

    public long NextConnectionId() => Interlocked.Increment(ref _connections);

    /// <summary>
    /// The reply for a command that failed on this node, outside of what the node reports by itself. Said in the log once in ten seconds.
    /// </summary>
    public string Failed(Exception e)
    {
        if (e is HengeException { Code: not (ErrorCode.Corruption or ErrorCode.Internal) } known)
        {
            return RespErrors.Of(known.Code, known.Message);
        }

        if (MayLog(out long unlogged))
        {
            ServerEvents.Resp.RespCommandFailed(_logger, e.Message, unlogged);
        }

        return e is HengeException damage
            ? RespErrors.Of(damage.Code, damage.Message)
            : $"ERR the command failed on this node: {e.Message}";
    }

    /// <summary>Takes note of a connection that was ended for what waited.</summary>
    public void Ended(string address, string problem)
    {
        if (MayLog(out long unlogged))
        {
            ServerEvents.Resp.RespConnectionEnded(_logger, address, problem, unlogged);
        }
    }

    /// <summary>Takes note of a subscriber that was cut off for what waited.</summary>
    public void SubscriberCut(string address, string problem)
    {
        _channelMetrics.Cut();
        Ended(address, problem);
    }

    /// <summary>Why a client may not publish or subscribe: a channel is as a key of its name. Null: it may.</summary>
    public string? RefuseChannel(string? user, Permissions permission, KeyRange names)
    {
        if (Logins is not { } logins || logins.Access.Access is not { IsEnabled: true } view)
        {
            return null;
        }

        return user is not null && view.IsKnown && view.Allows(user, permission, names.Start.Span, names.End.Span)
            ? null
            : "NOPERM this user has no permissions to access one of the channels used as arguments";
    }

    private bool MayLog(out long unlogged)
    {
        long now = Environment.TickCount64, again = Volatile.Read(ref _logAgainMs);
        if (now < again || Interlocked.CompareExchange(ref _logAgainMs, now + LogPauseMs, again) != again)
        {
            Interlocked.Increment(ref _unlogged);
            unlogged = 0;
            return false;
        }

        unlogged = Interlocked.Exchange(ref _unlogged, 0);
        return true;
    }
}
