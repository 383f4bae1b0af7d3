using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Ports;

/// <summary>
/// A protocol that shares the one port. Connections are told apart by their first bytes, so a protocol says whether it knows them, and then
/// gets the connection with nothing of it consumed. Thread-safe.
/// </summary>
public interface IConnectionProtocol
{
    /// <summary>The name, for logs and metrics: <c>resp</c>, <c>json</c>, <c>thrift</c>, <c>peer</c>.</summary>
    string Name { get; }

    /// <summary>True when a connection that begins with these bytes speaks this protocol.</summary>
    /// <param name="first">What has arrived so far: at least one byte, at most <see cref="PortLimits.SniffBytes"/>.</param>
    /// <param name="needMore">
    /// With a result of false: true when more bytes may still turn it into a match. Ignored when there are no more to come within the
    /// bound.
    /// </param>
    bool Matches(ReadOnlySpan<byte> first, out bool needMore);

    /// <summary>
    /// True for connections between nodes: they have places of their own when there are too many connections, and bound by themselves what
    /// they buffer.
    /// </summary>
    bool IsBetweenNodes => false;

    /// <summary>
    /// An error in the protocol's own language, for a connection that is refused or closed for want of room; empty: it is closed without a
    /// word.
    /// </summary>
    byte[] ErrorOf(string message) => [];

    /// <summary>
    /// Serves the connection until it ends. Must bound its memory and its idle time by itself, and end soon after
    /// <c>IConnectionLifetimeNotificationFeature.ConnectionClosedRequested</c>, which says that the server is stopping.
    /// </summary>
    Task RunAsync(ConnectionContext connection);
}
