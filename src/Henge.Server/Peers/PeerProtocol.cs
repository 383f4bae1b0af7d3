using Henge.Server.Events;
using Henge.Server.Ports;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Peers;

/// <summary>
/// Peers on the public port: connections whose first bytes are those of a peer frame go to the node's transport. Thread-safe.
/// </summary>
public sealed class PeerProtocol(PeerTransport transport, ILogger? logger = null) : IConnectionProtocol
{
    private const int CertainBytes = 3;

    /// <inheritdoc/>
    public string Name => "peer";

    /// <inheritdoc/>
    public bool IsBetweenNodes => true;

    // The version, behind the three letters, is looked at later: one that is not known gets a message, not silence.
    private static ReadOnlySpan<byte> Letters => "HGP"u8;

    /// <inheritdoc/>
    public bool Matches(ReadOnlySpan<byte> first, out bool needMore)
    {
        int common = Math.Min(first.Length, CertainBytes);
        bool fits = first[..common].SequenceEqual(Letters[..common]);
        needMore = fits && common < CertainBytes;
        return fits && common == CertainBytes;
    }

    /// <inheritdoc/>
    public async Task RunAsync(ConnectionContext connection)
    {
        CancellationToken stopping =
            connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.ConnectionClosedRequested ?? default;
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(stopping, connection.ConnectionClosed);
        string? error = await transport
            .ReceiveAsync(connection.Transport.Input, connection.Transport.Output, cancel.Token)
            .ConfigureAwait(false);
        if (error is not null && logger is not null)
        {
            ServerEvents.Peers.PeerProtocolBroken(logger, connection.RemoteEndPoint?.ToString() ?? "?", error);
        }
    }
}
