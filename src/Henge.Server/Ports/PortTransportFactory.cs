using System.Net;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Ports;

/// <summary>Binds handed-over endpoints to their own listeners, and all others to sockets.</summary>
internal sealed class PortTransportFactory(IConnectionListenerFactory sockets) : IConnectionListenerFactory
{
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        endpoint is HandoffEndPoint handoff ? ValueTask.FromResult<IConnectionListener>(handoff.Listener) : sockets.BindAsync(endpoint, cancellationToken);
}
