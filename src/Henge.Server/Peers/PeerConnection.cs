using System.Net;
using System.Net.Sockets;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Peers;

/// <summary>
/// The connection on which this node sends to one peer. A frame goes straight into the socket on the sender's own thread while the socket
/// takes it; what it does not take waits in a buffer that a task empties. While there is no connection frames are dropped, since Raft would
/// only repeat them. Thread-safe.
/// </summary>
internal sealed class PeerConnection(NodeEntry peer, IReadOnlyList<string> addresses, PeerTransportOptions options, ILogger logger)
    : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stopping = new();
    private IPeerReceiver? _receiver;
    private Socket? _socket;
    private byte[] _waiting = new byte[64 * 1024];
    private byte[] _sending = new byte[64 * 1024];
    private int _waitingBytes;
    private int _waitingMessageBytes;
    private bool _pumping;
    private long _dropped;
    private int _tries;

    /// <summary>Which peer.</summary>
    public NodeId Peer => peer.Id;

    /// <summary>Where the peer is tried, in turn until it answers.</summary>
    public IReadOnlyList<string> Addresses => addresses;

    private string Address => addresses[_tries % addresses.Count];

    /// <summary>Bytes that wait to leave.</summary>
    public long QueuedBytes => Volatile.Read(ref _waitingBytes);

    /// <summary>Frames that were dropped, because there was no connection or too much waited.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>True while there is a connection.</summary>
    public bool IsConnected => Volatile.Read(ref _socket) is not null;

    public void Start(IPeerReceiver receiver)
    {
        _receiver = receiver;
        _ = Task.Run(ConnectLoopAsync);
    }

    /// <summary>Takes a copy of a frame; false: it was dropped.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="messages">True for messages, which have a bound of their own, so that Raft never waits behind many of them.</param>
    public bool Send(ReadOnlySpan<byte> frame, bool messages = false)
    {
        bool taken = TrySend(frame, messages);
        if (!taken)
        {
            Interlocked.Increment(ref _dropped);
        }

        return taken;
    }

    private bool TrySend(ReadOnlySpan<byte> frame, bool messages)
    {
        lock (_gate)
        {
            if (_socket is not { } socket)
            {
                return false;
            }

            int sent = 0;
            if (_waitingBytes == 0 && !_pumping)
            {
                sent = socket.Send(frame, SocketFlags.None, out SocketError error);
                if (error is not (SocketError.Success or SocketError.WouldBlock))
                {
                    Break(socket);
                    return false;
                }

                if (error == SocketError.WouldBlock)
                {
                    sent = 0;
                }

                if (sent == frame.Length)
                {
                    return true;
                }
            }

            // A frame of which a part has left has to be completed, whatever the limit says.
            int rest = frame.Length - sent;
            if (sent == 0 && ((long)_waitingBytes + rest > options.QueueBytes
                || (messages && _waitingMessageBytes > 0 && (long)_waitingMessageBytes + rest > options.MessageQueueBytes)))
            {
                return false;
            }

            if (_waiting.Length - _waitingBytes < rest)
            {
                Array.Resize(ref _waiting, (int)Math.Min(int.MaxValue, Math.Max(2L * _waiting.Length, (long)_waitingBytes + rest)));
            }

            frame[sent..].CopyTo(_waiting.AsSpan(_waitingBytes));
            _waitingBytes += rest;
            _waitingMessageBytes += messages ? rest : 0;
            if (!_pumping)
            {
                StartPump(socket);
            }

            return true;
        }
    }

    public void Dispose()
    {
        _stopping.Cancel();
        lock (_gate)
        {
            if (_socket is { } socket)
            {
                Break(socket);
            }
        }
    }

    // By itself, since what the lambda captures would be made for each frame otherwise.
    private void StartPump(Socket socket)
    {
        _pumping = true;
        _ = Task.Run(() => PumpAsync(socket));
    }

    private async Task PumpAsync(Socket socket)
    {
        while (true)
        {
            int count;
            lock (_gate)
            {
                count = _waitingBytes;
                if (count == 0 || _socket != socket)
                {
                    _pumping = false;
                    return;
                }

                (_waiting, _sending) = (_sending, _waiting);
                (_waitingBytes, _waitingMessageBytes) = (0, 0);
            }

            try
            {
                ReadOnlyMemory<byte> rest = _sending.AsMemory(0, count);
                while (!rest.IsEmpty)
                {
                    rest = rest[await socket.SendAsync(rest, SocketFlags.None, _stopping.Token).ConfigureAwait(false)..];
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                lock (_gate)
                {
                    _pumping = false;
                    Break(socket);
                }

                return;
            }
        }
    }

    private async Task ConnectLoopAsync()
    {
        int delayMs = options.RetryMinMs;
        byte[] nothing = new byte[1];
        while (!_stopping.IsCancellationRequested)
        {
            Socket? socket = await ConnectAsync().ConfigureAwait(false);
            if (socket is not null && !await GreetAsync(socket).ConfigureAwait(false))
            {
                socket.Dispose();
                socket = null;
            }

            if (socket is null)
            {
                _tries++;
            }

            if (socket is not null)
            {
                delayMs = options.RetryMinMs;
                lock (_gate)
                {
                    (_waitingBytes, _waitingMessageBytes) = (0, 0);
                    _socket = socket;
                }

                ServerEvents.Peers.PeerConnected(logger, peer.Name, Address);

                await WaitForEndAsync(socket, nothing).ConfigureAwait(false);
                lock (_gate)
                {
                    Break(socket);
                }

                _receiver?.OnDisconnected(peer.Id);
                if (!_stopping.IsCancellationRequested)
                {
                    ServerEvents.Peers.PeerDisconnected(logger, peer.Name, Address);
                }
            }

            try
            {
                await Task.Delay(delayMs, _stopping.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            delayMs = Math.Min(2 * delayMs, options.RetryMaxMs);
        }
    }

    private async Task<Socket?> ConnectAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
            timeout.CancelAfter(options.ConnectTimeoutMs);
            int colon = Address.LastIndexOf(':');
            string host = Address[..colon].Trim('[', ']');
            int port = int.Parse(Address.AsSpan(colon + 1), System.Globalization.CultureInfo.InvariantCulture);
            EndPoint endPoint = IPAddress.TryParse(host, out IPAddress? ip) ? new IPEndPoint(ip, port) : new DnsEndPoint(host, port);
            await socket.ConnectAsync(endPoint, timeout.Token).ConfigureAwait(false);
            socket.Blocking = false;
            return socket;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            socket.Dispose();
            ServerEvents.Peers.PeerConnectFailed(logger, peer.Name, Address, e.Message);
            return null;
        }
    }

    // Nothing else leaves before both have compared what they say of themselves.
    private async Task<bool> GreetAsync(Socket socket)
    {
        try
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
            timeout.CancelAfter(options.HelloTimeoutMs);
            ReadOnlyMemory<byte> hello = _receiver!.HelloTo(peer.Id);
            while (!hello.IsEmpty)
            {
                hello = hello[await socket.SendAsync(hello, SocketFlags.None, timeout.Token).ConfigureAwait(false)..];
            }

            byte[] answer = new byte[PeerFrame.PrefixBytes];
            if (
                !await ReadAsync(socket, answer, timeout.Token).ConfigureAwait(false)
                || !PeerFrame.TryReadLength(answer, PeerFrame.MaxHelloBytes, out int bytes, out _))
            {
                return false;
            }

            Array.Resize(ref answer, bytes);
            return await ReadAsync(socket, answer.AsMemory(PeerFrame.PrefixBytes), timeout.Token).ConfigureAwait(false)
                && _receiver.OnHello(answer, out NodeId answered)
                && answered == peer.Id;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            return false;
        }
    }

    private static async Task<bool> ReadAsync(Socket socket, Memory<byte> buffer, CancellationToken cancel)
    {
        while (!buffer.IsEmpty)
        {
            int read = await socket.ReceiveAsync(buffer, SocketFlags.None, cancel).ConfigureAwait(false);
            if (read == 0)
            {
                return false;
            }

            buffer = buffer[read..];
        }

        return true;
    }

    // After its hello the peer never sends anything on this connection, so a read ends when the connection does.
    private async Task WaitForEndAsync(Socket socket, byte[] buffer)
    {
        try
        {
            await socket.ReceiveAsync(buffer.AsMemory(), SocketFlags.None, _stopping.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // However it ended, it ended.
            return;
        }
    }

    private void Break(Socket socket)
    {
        if (_socket == socket)
        {
            _socket = null;
            (_waitingBytes, _waitingMessageBytes) = (0, 0);
        }

        socket.Dispose();
    }
}
