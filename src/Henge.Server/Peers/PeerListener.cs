using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Henge.Server.Peers;

/// <summary>
/// Takes peers' connections on a port of its own: for nodes without the public port (tests, benchmarks). The public port hands over the
/// same connections, told by their first bytes.
/// </summary>
public sealed class PeerListener : IDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stopping = new();
    private PeerTransport? _transport;

    /// <summary>Listens; port 0 for any that is free.</summary>
    public PeerListener(IPEndPoint endPoint)
    {
        _listener = new TcpListener(endPoint);
        _listener.Start();
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

    /// <summary>Begins to hand connections to a transport, or from now on to another one.</summary>
    public void Start(PeerTransport transport)
    {
        if (Interlocked.Exchange(ref _transport, transport) is null)
        {
            _ = Task.Run(AcceptAsync);
        }
    }

    /// <summary>Closes the port and all connections.</summary>
    public void Dispose()
    {
        _stopping.Cancel();
        _listener.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptSocketAsync(_stopping.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                return;
            }

            _ = ServeAsync(socket, Volatile.Read(ref _transport)!);
        }
    }

    private async Task ServeAsync(Socket socket, PeerTransport transport)
    {
        await using var stream = new NetworkStream(socket, ownsSocket: true);
        PipeReader reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 * 1024, leaveOpen: true));
        PipeWriter writer = PipeWriter.Create(stream, new StreamPipeWriterOptions(leaveOpen: true));
        await transport.ReceiveAsync(reader, writer, _stopping.Token).ConfigureAwait(false);
        await writer.CompleteAsync().ConfigureAwait(false);
        await reader.CompleteAsync().ConfigureAwait(false);
    }
}
