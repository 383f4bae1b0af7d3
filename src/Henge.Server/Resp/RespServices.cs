using Henge.Node.Api;
using Henge.Server.Metrics;
using Henge.Server.Resp.Commands;

namespace Henge.Server.Resp;

/// <summary>What all RESP connections of a node share.</summary>
internal sealed class RespServices(IHengeNode node, ServerMetrics? metrics)
{
    private long _connections;

    public IHengeNode Node => node;

    /// <summary>Where commands are measured; null: nowhere.</summary>
    public ServerMetrics? Metrics => metrics;

    /// <summary>Durations by <see cref="RespCommand.Index"/>; null: they are not measured.</summary>
    public DurationRecorder[]? Durations { get; } = metrics is { } measured ? [.. RespCommandTable.All.Select(c => measured.Operations("resp", c.Name))] : null;

    /// <summary>Cursors of SCAN.</summary>
    public ScanCursors Cursors { get; } = new();

    /// <summary>Most bytes of one command.</summary>
    public int CommandBytesLimit { get; init; } = node.Limits.CommandBytes + (64 * 1024);

    /// <summary>Most arguments of one command: as many as Redis promised for long. What they may have in bytes is the closer bound.</summary>
    public int ArgumentsLimit { get; init; } = 1024 * 1024;

    /// <summary>Most subscriptions of one connection.</summary>
    public int SubscriptionsLimit { get; init; } = 128;

    /// <summary>How long replies may wait for a client that does not read.</summary>
    public TimeSpan SlowClientTimeout { get; init; } = TimeSpan.FromSeconds(60);

    public long NextConnectionId() => Interlocked.Increment(ref _connections);
}
