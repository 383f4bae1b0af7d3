using Henge.Node.Api;

namespace Henge.Server.Resp;

/// <summary>What all RESP connections of a node share.</summary>
internal sealed class RespServices(IHengeNode node)
{
    private long _connections;

    public IHengeNode Node => node;

    /// <summary>Cursors of SCAN.</summary>
    public ScanCursors Cursors { get; } = new();

    /// <summary>Most bytes of one command.</summary>
    public int CommandBytesLimit { get; init; } = node.Limits.CommandBytes + (64 * 1024);

    /// <summary>Most arguments of one command.</summary>
    public int ArgumentsLimit { get; init; } = 64 * 1024;

    /// <summary>Most subscriptions of one connection.</summary>
    public int SubscriptionsLimit { get; init; } = 128;

    /// <summary>How long replies may wait for a client that does not read.</summary>
    public TimeSpan SlowClientTimeout { get; init; } = TimeSpan.FromSeconds(60);

    public long NextConnectionId() => Interlocked.Increment(ref _connections);
}
