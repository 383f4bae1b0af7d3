using Henge.Node.Api;
using Henge.Server.Metrics;
using Henge.Server.Ports;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Resp;

/// <summary>The RESP door: RESP2 and RESP3, told apart from other protocols by <c>*</c>, <c>$</c> or the letter that an inline command begins with.</summary>
public sealed class RespProtocol(IHengeNode node, ServerMetrics? metrics = null) : IConnectionProtocol
{
    private readonly RespServices _services = new(node, metrics);

    /// <inheritdoc/>
    public string Name => "resp";

    /// <inheritdoc/>
    public bool Matches(ReadOnlySpan<byte> first, out bool needMore)
    {
        needMore = false;
        return first[0] is (byte)'*' or (byte)'$' or (byte)'\r' or (byte)'\n' or (byte)' ' or (byte)'\t' || char.IsAsciiLetter((char)first[0]);
    }

    /// <inheritdoc/>
    public Task RunAsync(ConnectionContext connection) => new RespConnection(connection, _services).RunAsync();
}
