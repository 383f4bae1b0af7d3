using Henge.Server.Events;
using Henge.Server.Ports;
using Henge.Server.Tls;
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

    /// <summary>Behind TLS: only who has shown a node's certificate is a peer.</summary>
    internal bool NeedsCertificate { get; init; }

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
        var identity = ConnectionIdentity.Of(connection.Features);
        if (NeedsCertificate && !identity.IsNode)
        {
            if (logger is not null)
            {
                ServerEvents.Tls.PeerIdentityRefused(
                    logger,
                    connection.RemoteEndPoint?.ToString() ?? "?",
                    identity.Certificate is { } shown ? $"its certificate is no node's ({shown.Subject})" : "it has shown no certificate");
            }

            return;
        }

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
