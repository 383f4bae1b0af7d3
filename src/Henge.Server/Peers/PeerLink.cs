using System.Net.Security;
using System.Net.Sockets;
using Henge.Server.Tls;

namespace Henge.Server.Peers;

/// <summary>
/// A connection to a peer, with TLS or without. One may send and one may receive at a time. A link that broke throws
/// <see cref="SocketException"/>, <see cref="IOException"/>, <see cref="ObjectDisposedException"/> or
/// <see cref="InvalidOperationException"/>.
/// </summary>
internal sealed class PeerLink : IDisposable
{
    private readonly Socket _socket;
    private readonly SealingStream? _sealing;
    private readonly SslStream? _tls;

    private PeerLink(Socket socket, SealingStream? sealing, SslStream? tls)
    {
        _socket = socket;
        _sealing = sealing;
        _tls = tls;
        socket.Blocking = false;
    }

    /// <summary>True behind TLS: what was sealed must be sent.</summary>
    public bool IsSealed => _tls is not null;

    /// <summary>Makes a link of a socket that is connected, with TLS where there is a connector.</summary>
    public static async Task<PeerLink> MakeAsync(Socket socket, string host, TlsConnector? connector, CancellationToken cancellation)
    {
        if (connector is null)
        {
            return new PeerLink(socket, null, null);
        }

        SealingStream sealing = new(new NetworkStream(socket, ownsSocket: true));
        SslStream tls = await connector.ConnectAsync(sealing, host, null, cancellation).ConfigureAwait(false);
        sealing.Keep();
        return new PeerLink(socket, sealing, tls);
    }

    /// <summary>What of a frame goes over the wire; good until the next call.</summary>
    public ReadOnlySpan<byte> Seal(ReadOnlySpan<byte> frame)
    {
        if (_tls is null)
        {
            return frame;
        }

        _tls.Write(frame);
        return _sealing!.Take().Span;
    }

    /// <summary>
    /// Puts what the socket takes now of what has been sealed into it, on the caller's own thread; gives how much, and -1 when the link is
    /// broken.
    /// </summary>
    public int TrySendNow(ReadOnlySpan<byte> wire)
    {
        int sent = _socket.Send(wire, SocketFlags.None, out SocketError error);
        return error switch
        {
            SocketError.Success => sent,
            SocketError.WouldBlock => 0,
            _ => -1,
        };
    }

    /// <summary>Sends all of what has been sealed.</summary>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> wire, CancellationToken cancellation)
    {
        while (!wire.IsEmpty)
        {
            wire = wire[await _socket.SendAsync(wire, SocketFlags.None, cancellation).ConfigureAwait(false)..];
        }
    }

    /// <summary>Receives some bytes; 0 at the end.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellation) =>
        _tls is not null ? _tls.ReadAsync(buffer, cancellation) : _socket.ReceiveAsync(buffer, SocketFlags.None, cancellation);

    /// <summary>Ends it at once.</summary>
    public void Dispose()
    {
        _socket.Dispose();
        _tls?.Dispose();
    }
}
