using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Peers;

/// <summary>
/// The connection on which this node sends to one peer. A frame goes straight into the socket on the sender's own thread while the socket
/// takes it, sealed before where there is TLS; what it does not take waits in a buffer that a task empties. While there is no connection
/// frames are dropped, since Raft would only repeat them. Thread-safe.
/// </summary>
internal sealed class PeerConnection(NodeEntry peer, IReadOnlyList<string> addresses, PeerTransportOptions options, ILogger logger)
    : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stopping = new();
    private IPeerReceiver? _receiver;
    private PeerLink? _link;
    private byte[] _waiting = new byte[64 * 1024];
    private byte[] _sending = new byte[64 * 1024];
    private int _waitingBytes;
    private int _waitingMessageBytes;
    private bool _pumping;
    private long _dropped;
    private int _tries;
    private string _refusal = "";

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
    public bool IsConnected => Volatile.Read(ref _link) is not null;

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
            if (_link is not { } link)
            {
                return false;
            }

            // TLS counts what it has sealed: a record that is missing ends the connection.
            if (link.IsSealed && _waitingBytes > 0 && IsTooMuch(frame.Length, messages))
            {
                return false;
            }

            ReadOnlySpan<byte> wire;
            try
            {
                wire = link.Seal(frame);
            }
            catch (Exception e) when (IsBroken(e))
            {
                Break(link);
                return false;
            }

            int sent = 0;
            if (_waitingBytes == 0 && !_pumping)
            {
                sent = link.TrySendNow(wire);
                if (sent < 0)
                {
                    Break(link);
                    return false;
                }

                if (sent == wire.Length)
                {
                    return true;
                }
            }

            // A frame of which a part has left has to be completed, whatever the limit says.
            int rest = wire.Length - sent;
            if (sent == 0 && !link.IsSealed && IsTooMuch(rest, messages))
            {
                return false;
            }

            if (_waiting.Length - _waitingBytes < rest)
            {
                Array.Resize(ref _waiting, (int)Math.Min(int.MaxValue, Math.Max(2L * _waiting.Length, (long)_waitingBytes + rest)));
            }

            wire[sent..].CopyTo(_waiting.AsSpan(_waitingBytes));
            _waitingBytes += rest;
            _waitingMessageBytes += messages ? rest : 0;
            if (!_pumping)
            {
                StartPump(link);
            }

            return true;
        }
    }

    public void Dispose()
    {
        _stopping.Cancel();
        lock (_gate)
        {
            if (_link is { } link)
            {
                Break(link);
            }
        }
    }

    private bool IsTooMuch(int bytes, bool messages) =>
        (long)_waitingBytes + bytes > options.QueueBytes
        || (messages && _waitingMessageBytes > 0 && (long)_waitingMessageBytes + bytes > options.MessageQueueBytes);

    // By itself, since what the lambda captures would be made for each frame otherwise.
    private void StartPump(PeerLink link)
    {
        _pumping = true;
        _ = Task.Run(() => PumpAsync(link));
    }

    private async Task PumpAsync(PeerLink link)
    {
        while (true)
        {
            int count;
            lock (_gate)
            {
                count = _waitingBytes;
                if (count == 0 || _link != link)
                {
                    _pumping = false;
                    return;
                }

                (_waiting, _sending) = (_sending, _waiting);
                (_waitingBytes, _waitingMessageBytes) = (0, 0);
            }

            try
            {
                await link.SendAsync(_sending.AsMemory(0, count), _stopping.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (IsBroken(e))
            {
                lock (_gate)
                {
                    _pumping = false;
                    Break(link);
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
            PeerLink? link = await ConnectAsync().ConfigureAwait(false);
            if (link is not null && !await GreetAsync(link).ConfigureAwait(false))
            {
                link.Dispose();
                link = null;
            }

            if (link is null)
            {
                _tries++;
            }

            if (link is not null)
            {
                delayMs = options.RetryMinMs;
                _refusal = "";
                lock (_gate)
                {
                    (_waitingBytes, _waitingMessageBytes) = (0, 0);
                    _link = link;
                }

                ServerEvents.Peers.PeerConnected(logger, peer.Name, Address);

                await WaitForEndAsync(link, nothing).ConfigureAwait(false);
                lock (_gate)
                {
                    Break(link);
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

    private async Task<PeerLink?> ConnectAsync()
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
            return await PeerLink.MakeAsync(socket, host, options.Tls, timeout.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (IsBroken(e) || e is AuthenticationException)
        {
            socket.Dispose();
            if (e is AuthenticationException && e.Message != _refusal)
            {
                // Unlike a node that is down, one that cannot prove who it is does not come right by itself.
                _refusal = e.Message;
                ServerEvents.Tls.PeerIdentityRefused(logger, $"{peer.Name} at {Address}", e.Message.TrimEnd('.'));
            }

            ServerEvents.Peers.PeerConnectFailed(logger, peer.Name, Address, e.Message);
            return null;
        }
    }

    // Nothing else leaves before both have compared what they say of themselves.
    private async Task<bool> GreetAsync(PeerLink link)
    {
        try
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
            timeout.CancelAfter(options.HelloTimeoutMs);
            await link.SendAsync(link.Seal(_receiver!.HelloTo(peer.Id)).ToArray(), timeout.Token).ConfigureAwait(false);

            byte[] answer = new byte[PeerFrame.PrefixBytes];
            if (
                !await ReadAsync(link, answer, timeout.Token).ConfigureAwait(false)
                || !PeerFrame.TryReadLength(answer, PeerFrame.MaxHelloBytes, out int bytes, out _))
            {
                return false;
            }

            Array.Resize(ref answer, bytes);
            return await ReadAsync(link, answer.AsMemory(PeerFrame.PrefixBytes), timeout.Token).ConfigureAwait(false)
                && _receiver.OnHello(answer, out NodeId answered)
                && answered == peer.Id;
        }
        catch (Exception e) when (IsBroken(e))
        {
            return false;
        }
    }

    private static async Task<bool> ReadAsync(PeerLink link, Memory<byte> buffer, CancellationToken cancel)
    {
        while (!buffer.IsEmpty)
        {
            int read = await link.ReceiveAsync(buffer, cancel).ConfigureAwait(false);
            if (read == 0)
            {
                return false;
            }

            buffer = buffer[read..];
        }

        return true;
    }

    // After its hello the peer never sends anything on this connection, so a read ends when the connection does.
    private async Task WaitForEndAsync(PeerLink link, byte[] buffer)
    {
        try
        {
            await link.ReceiveAsync(buffer.AsMemory(), _stopping.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (IsBroken(e))
        {
            // However it ended, it ended.
            return;
        }
    }

    private static bool IsBroken(Exception e) =>
        e is SocketException or IOException or ObjectDisposedException or OperationCanceledException or InvalidOperationException;

    private void Break(PeerLink link)
    {
        if (_link == link)
        {
            _link = null;
            (_waitingBytes, _waitingMessageBytes) = (0, 0);
        }

        link.Dispose();
    }
}
