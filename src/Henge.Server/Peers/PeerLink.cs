using System.Net.Security;
using System.Net.Sockets;

namespace Henge.Server.Peers;

/// <summary>
/// A connection to a peer, with TLS or without. One may send and one may receive at a time. A link that broke throws
/// <see cref="SocketException"/>, <see cref="IOException"/> or <see cref="ObjectDisposedException"/>.
/// </summary>
internal sealed class PeerLink(Socket socket, SslStream? tls) : IDisposable
{
    /// <summary>
    /// Puts what the socket takes now into it, on the caller's own thread; gives how much, and -1 when the link is broken. Behind TLS
    /// nothing: a record is whole or not there, and to encrypt is no work for who waits for nothing.
    /// </summary>
    public int TrySendNow(ReadOnlySpan<byte> bytes)
    {
        if (tls is not null)
        {
            return 0;
        }

        int sent = socket.Send(bytes, SocketFlags.None, out SocketError error);
        return error switch
        {
            SocketError.Success => sent,
            SocketError.WouldBlock => 0,
            _ => -1,
        };
    }

    /// <summary>Sends all of it.</summary>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        if (tls is not null)
        {
            await tls.WriteAsync(bytes, cancellation).ConfigureAwait(false);
            return;
        }

        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, cancellation).ConfigureAwait(false)..];
        }
    }

    /// <summary>Receives some bytes; 0 at the end.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellation) =>
        tls is not null ? tls.ReadAsync(buffer, cancellation) : socket.ReceiveAsync(buffer, SocketFlags.None, cancellation);

    /// <summary>Ends it at once.</summary>
    public void Dispose()
    {
        // The socket first: TLS would say goodbye, and could wait for room to say it.
        socket.Dispose();
        tls?.Dispose();
    }
}
