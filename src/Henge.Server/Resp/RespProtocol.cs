using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Metrics;
using Henge.Server.Ports;
using Henge.Server.Resp.Commands;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Resp;

/// <summary>
/// The RESP door: RESP2 and RESP3, told apart from other protocols by <c>*</c>, <c>$</c> or the letter that an inline command begins with.
/// </summary>
/// <param name="node">The node behind it.</param>
/// <param name="metrics">Where commands are measured; null: nowhere.</param>
/// <param name="limits">Bounds; null: the defaults.</param>
/// <param name="logger">Takes what operators should read; null: nobody does.</param>
/// <param name="peers">The way of published messages to other nodes; null: there are none.</param>
public sealed class RespProtocol(
    IHengeNode node,
    ServerMetrics? metrics = null,
    RespLimits? limits = null,
    ILogger? logger = null,
    IPeerMessages? peers = null
) : IConnectionProtocol
{
    private readonly RespServices _services = new(RespCommands.Table, node, metrics, limits, logger, peers);

    /// <summary>Bytes of requests and replies of all connections that wait now.</summary>
    internal long WaitingBytes => _services.Waiting.TakenBytes;

    /// <summary>Finds out who is there; null: nobody is asked.</summary>
    internal Logins? Logins
    {
        init => _services.Logins = value;
    }

    /// <inheritdoc/>
    public string Name => "resp";

    /// <inheritdoc/>
    public bool Matches(ReadOnlySpan<byte> first, out bool needMore)
    {
        needMore = false;
        return first[0] is (byte)'*' or (byte)'$' or (byte)'\r' or (byte)'\n' or (byte)' ' or (byte)'\t'
            || char.IsAsciiLetter((char)first[0]);
    }

    /// <inheritdoc/>
    public byte[] ErrorOf(string message) => System.Text.Encoding.UTF8.GetBytes($"-ERR {message}\r\n");

    /// <inheritdoc/>
    public Task RunAsync(ConnectionContext connection) => new RespConnection(connection, _services).RunAsync();
}
