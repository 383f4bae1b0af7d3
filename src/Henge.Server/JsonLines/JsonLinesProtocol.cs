using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Metrics;
using Henge.Server.Ports;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.JsonLines;

/// <summary>
/// JSON over TCP as the Aryavarth articles have it: <c>{"Set":{"key":"a","value":"b"}}</c> is answered by <c>{"Ok":null}</c>. One request
/// after another on a connection, with or without line ends between them; a client may also close its sending side after one request, as
/// the articles' does.
/// </summary>
public sealed class JsonLinesProtocol(IHengeNode node, ServerMetrics? metrics = null) : IConnectionProtocol
{
    /// <summary>Finds out who is there; null: nobody is asked.</summary>
    internal Logins? Logins { get; init; }

    /// <inheritdoc/>
    public string Name => "json";

    /// <inheritdoc/>
    public bool Matches(ReadOnlySpan<byte> first, out bool needMore)
    {
        needMore = false;
        return first[0] == (byte)'{';
    }

    /// <inheritdoc/>
    public byte[] ErrorOf(string message) => System.Text.Encoding.UTF8.GetBytes($"{{\"Err\":\"{message}\"}}\n");

    /// <inheritdoc/>
    public Task RunAsync(ConnectionContext connection) => new JsonLinesConnection(connection, node, metrics, Logins).RunAsync();
}
