using System.Net;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Ports;

/// <summary>Binds handed-over endpoints to their own listeners; all others are left to the sockets.</summary>
internal sealed class HandoffListenerFactory : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <inheritdoc/>
    public bool CanBind(EndPoint endpoint) => endpoint is HandoffEndPoint;

    /// <inheritdoc/>
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        ValueTask.FromResult<IConnectionListener>(((HandoffEndPoint)endpoint).Listener);
}
