using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Server.Events;
using Henge.Server.Tls;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Henge.Server.Peers;

/// <summary>
/// Carries peer frames over TCP. A node sends on connections that it opens, one to each peer, and takes frames from connections that peers
/// open to it: so there is nothing to agree on when both connect at once, and a connection belongs to who opened it. Thread-safe.
/// </summary>
public sealed class PeerTransport : IPeerTransport, IDisposable
{
    private readonly ConcurrentDictionary<NodeId, PeerConnection> _connections = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<NodeId, CancellationTokenSource> _incoming = [];
    private readonly PeerTransportOptions _options;
    private readonly NodeId _self;
    private readonly ILogger _logger;
    private readonly Lock _peersGate = new();
    private IPeerReceiver? _receiver;
    private bool _disposed;

    /// <summary>Makes the transport of one of the members to the others; connects when started.</summary>
    public PeerTransport(
        NodeId self, IReadOnlyList<NodeEntry> members, PeerTransportOptions? options = null, ILoggerFactory? logging = null)
    {
        _self = self;
        _logger = (logging ?? NullLoggerFactory.Instance).CreateLogger(ServerEvents.Peers.Category);
        _options = options ?? new PeerTransportOptions();
        foreach (NodeEntry member in members)
        {
            SetPeer(member, "");
        }
    }

    /// <inheritdoc/>
    public void Start(IPeerReceiver receiver)
    {
        lock (_peersGate)
        {
            _receiver = receiver;
            foreach (PeerConnection connection in _connections.Values)
            {
                connection.Start(receiver);
            }
        }
    }

    /// <inheritdoc/>
    public void SetPeer(NodeEntry peer, string otherAddress)
    {
        if (peer.Id == _self)
        {
            return;
        }

        IReadOnlyList<string> addresses = otherAddress.Length == 0 || otherAddress == peer.Address
            ? [peer.Address]
            : [peer.Address, otherAddress];
        bool gone = peer.Address.Length == 0;
        lock (_peersGate)
        {
            if (_connections.TryGetValue(peer.Id, out PeerConnection? known))
            {
                if (!gone && known.Addresses.SequenceEqual(addresses))
                {
                    return;
                }

                known.Dispose();
                _connections.TryRemove(peer.Id, out _);
            }

            if (!gone && !_disposed)
            {
                var connection = new PeerConnection(peer, addresses, _options, _logger);
                _connections[peer.Id] = connection;
                if (_receiver is { } receiver)
                {
                    connection.Start(receiver);
                }
            }
        }

        if (gone)
        {
            EndIncoming(peer.Id);
        }
    }

    /// <inheritdoc/>
    public bool Send(NodeId to, ReadOnlySpan<byte> frame) =>
        _connections.TryGetValue(to, out PeerConnection? connection) && connection.Send(frame);

    /// <inheritdoc/>
    public bool SendMessages(NodeId to, ReadOnlySpan<byte> frame) =>
        _connections.TryGetValue(to, out PeerConnection? connection) && connection.Send(frame, messages: true);

    /// <summary>
    /// Takes frames from a connection that a peer opened, until it ends, or breaks the protocol: then the error says how. The first bytes
    /// have not been consumed. Before the peer's hello has been accepted no more than that is buffered; of each peer one connection is
    /// served, and a newer one ends the one before.
    /// </summary>
    /// <returns>What was wrong; null when the peer just closed, or was refused, which the node has told.</returns>
    public async Task<string?> ReceiveAsync(PipeReader reader, PipeWriter writer, CancellationToken cancel)
    {
        NodeId peer = NodeId.None;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel, _stopping.Token);
        try
        {
            using (var helloTimeout = CancellationTokenSource.CreateLinkedTokenSource(ending.Token))
            {
                helloTimeout.CancelAfter(_options.HelloTimeoutMs);
                (bool accepted, peer, string? error) = await GreetAsync(reader, writer, helloTimeout.Token).ConfigureAwait(false);
                if (!accepted)
                {
                    peer = NodeId.None;
                    return error;
                }
            }

            Enter(peer, ending);
            return await ReadFramesAsync(reader, peer, ending.Token).ConfigureAwait(false);
        }
        catch (IOException)
        {
            return null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        finally
        {
            if (!peer.IsNone)
            {
                Leave(peer, ending);
                _receiver?.OnDisconnected(peer);
            }
        }
    }

    private async Task<(bool Accepted, NodeId Peer, string? Error)> GreetAsync(
        PipeReader reader,
        PipeWriter writer,
        CancellationToken cancel)
    {
        while (true)
        {
            ReadResult result = await reader.ReadAsync(cancel).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            int length = 0;
            if (buffer.Length >= PeerFrame.PrefixBytes && !TryReadLength(buffer, PeerFrame.MaxHelloBytes, out length, out string? error))
            {
                return (false, NodeId.None, error);
            }

            if (length > 0 && buffer.Length >= length)
            {
                byte[] hello = buffer.Slice(0, length).ToArray();
                reader.AdvanceTo(buffer.GetPosition(length));
                if (_receiver is not { } receiver)
                {
                    return (false, NodeId.None, null);
                }

                bool accepted = receiver.OnHello(hello, out NodeId peer);
                if (peer.IsNone)
                {
                    return (false, peer, "its first frame is no hello");
                }

                await writer.WriteAsync(receiver.HelloTo(peer), cancel).ConfigureAwait(false);
                return (accepted, peer, null);
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                return (false, NodeId.None, null);
            }
        }
    }

    private async Task<string?> ReadFramesAsync(PipeReader reader, NodeId peer, CancellationToken cancel)
    {
        byte[] large = [];
        while (true)
        {
            ReadResult result = await reader.ReadAsync(cancel).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = result.Buffer;
            string? error;
            while (TryTake(ref buffer, ref large, peer, out error))
            {
            }

            if (error is not null)
            {
                return error;
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (result.IsCompleted)
            {
                return null;
            }
        }
    }

    private void Enter(NodeId peer, CancellationTokenSource ending)
    {
        CancellationTokenSource? before;
        lock (_incoming)
        {
            _incoming.TryGetValue(peer, out before);
            _incoming[peer] = ending;
            try
            {
                before?.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // It has just ended by itself.
                return;
            }
        }
    }

    private void EndIncoming(NodeId peer)
    {
        lock (_incoming)
        {
            try
            {
                _incoming.GetValueOrDefault(peer)?.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // It has just ended by itself.
                return;
            }
        }
    }

    private void Leave(NodeId peer, CancellationTokenSource ending)
    {
        lock (_incoming)
        {
            if (_incoming.TryGetValue(peer, out CancellationTokenSource? current) && current == ending)
            {
                _incoming.Remove(peer);
            }
        }
    }

    /// <summary>True when there is anybody to hear from.</summary>
    public bool HasPeers => !_connections.IsEmpty;

    /// <summary>The connections on which this node sends.</summary>
    internal IEnumerable<PeerConnection> Connections => _connections.Values;

    /// <summary>Closes all connections: those to peers, and those from them that are being read.</summary>
    public void Dispose()
    {
        _stopping.Cancel();
        lock (_peersGate)
        {
            _disposed = true;
            foreach (PeerConnection connection in _connections.Values)
            {
                connection.Dispose();
            }
        }
    }

    private static bool TryReadLength(in ReadOnlySequence<byte> buffer, int limitBytes, out int length, out string? error)
    {
        Span<byte> prefix = stackalloc byte[PeerFrame.PrefixBytes];
        buffer.Slice(0, PeerFrame.PrefixBytes).CopyTo(prefix);
        return PeerFrame.TryReadLength(prefix, limitBytes, out length, out error);
    }

    private bool TryTake(ref ReadOnlySequence<byte> buffer, ref byte[] large, NodeId peer, out string? error)
    {
        error = null;
        if (
            buffer.Length < PeerFrame.PrefixBytes
            || !TryReadLength(buffer, PeerFrame.MaxBytes, out int length, out error)
            || buffer.Length < length)
        {
            return false;
        }

        ReadOnlySequence<byte> frame = buffer.Slice(0, length);
        ReadOnlySpan<byte> span = frame.FirstSpan;
        if (!frame.IsSingleSegment)
        {
            if (large.Length < length)
            {
                large = new byte[Math.Max(length, 2 * large.Length)];
            }

            frame.CopyTo(large);
            span = large.AsSpan(0, length);
        }

        if (PeerFrame.SenderOf(span) != peer)
        {
            error = $"a frame of {PeerFrame.SenderOf(span)} came on a connection of {peer}";
            return false;
        }

        _receiver?.OnFrame(span);
        buffer = buffer.Slice(length);
        return true;
    }
}

/// <summary>Settings of a <see cref="PeerTransport"/>.</summary>
public sealed record PeerTransportOptions
{
    /// <summary>Most bytes that wait for one peer; over it frames are dropped, and Raft recovers.</summary>
    public int QueueBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>
    /// Most bytes of messages that wait for one peer and may still go to the back of the queue; over it they are dropped. One alone is
    /// always taken.
    /// </summary>
    public int MessageQueueBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Milliseconds before the first new try to connect; doubled up to <see cref="RetryMaxMs"/>.</summary>
    public int RetryMinMs { get; init; } = 20;

    /// <summary>Most milliseconds between two tries to connect.</summary>
    public int RetryMaxMs { get; init; } = 500;

    /// <summary>Milliseconds after which a try to connect is given up.</summary>
    public int ConnectTimeoutMs { get; init; } = 2_000;

    /// <summary>Milliseconds that a peer may take to say its hello, and to answer this node's.</summary>
    public int HelloTimeoutMs { get; init; } = 10_000;

    /// <summary>Speaks TLS with the peers; null: connections are cleartext.</summary>
    internal TlsConnector? Tls { get; init; }
}
