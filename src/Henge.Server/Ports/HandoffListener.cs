using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Ports;

/// <summary>
/// Gives Kestrel connections that were accepted elsewhere. Kestrel builds the HTTP protocol of an endpoint behind its own accept loop only,
/// so a listener that accepts nothing by itself is the public way to it (docs/decisions/0050-one-port.md).
/// </summary>
internal sealed class HandoffListener(string name) : IConnectionListener
{
    private readonly Channel<ConnectionContext> _accepted =
        Channel.CreateUnbounded<ConnectionContext>(new UnboundedChannelOptions { SingleReader = true });

    public EndPoint EndPoint { get; } = new IPEndPoint(IPAddress.None, 0);

    /// <summary>Serves a connection through this endpoint; ends when the connection has ended there.</summary>
    public async Task ServeAsync(ConnectionContext connection)
    {
        HandoffConnection handed = new(connection);
        if (!_accepted.Writer.TryWrite(handed))
        {
            connection.Abort(new ConnectionAbortedException("The server is stopping."));
            return;
        }

        await handed.Ended;
    }

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _accepted.Reader.WaitToReadAsync(cancellationToken))
        {
            if (_accepted.Reader.TryRead(out ConnectionContext? connection))
            {
                return connection;
            }
        }

        return null;
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _accepted.Writer.TryComplete();
        return default;
    }

    public async ValueTask DisposeAsync()
    {
        _accepted.Writer.TryComplete();
        while (_accepted.Reader.TryRead(out ConnectionContext? connection))
        {
            connection.Abort();
            await connection.DisposeAsync();
        }
    }

    public override string ToString() => name;
}
