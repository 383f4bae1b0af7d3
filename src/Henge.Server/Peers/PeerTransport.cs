using System.Buffers;
using System.IO.Pipelines;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Peers;

namespace Henge.Server.Peers;

/// <summary>
/// Carries peer frames over TCP. A node sends on connections that it opens, one to each peer, and takes frames from connections that peers open
/// to it: so there is nothing to agree on when both connect at once, and a connection belongs to who opened it. Thread-safe.
/// </summary>
public sealed class PeerTransport : IPeerTransport, IDisposable
{
    private readonly Dictionary<NodeId, PeerConnection> _connections = [];
    private readonly CancellationTokenSource _stopping = new();
    private IPeerReceiver? _receiver;

    /// <summary>Makes the transport of one of the members to the others; connects when started.</summary>
    public PeerTransport(NodeId self, IReadOnlyList<NodeEntry> members, PeerTransportOptions? options = null)
    {
        foreach (NodeEntry member in members)
        {
            if (member.Id != self)
            {
                _connections.Add(member.Id, new PeerConnection(member.Id, member.Address, options ?? new PeerTransportOptions()));
            }
        }
    }

    /// <inheritdoc/>
    public void Start(IPeerReceiver receiver)
    {
        _receiver = receiver;
        foreach (PeerConnection connection in _connections.Values)
        {
            connection.Start(receiver);
        }
    }

    /// <inheritdoc/>
    public bool Send(NodeId to, ReadOnlySpan<byte> frame) => _connections.TryGetValue(to, out PeerConnection? connection) && connection.Send(frame);

    /// <summary>
    /// Takes frames from a connection that a peer opened, until it ends, or breaks the protocol: then the error says how. The first bytes have not been consumed.
    /// </summary>
    /// <returns>What was wrong; null when the peer just closed.</returns>
    public async Task<string?> ReceiveAsync(PipeReader reader, CancellationToken cancel)
    {
        NodeId peer = NodeId.None;
        byte[] large = [];
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel, _stopping.Token);
        try
        {
            while (true)
            {
                ReadResult result = await reader.ReadAsync(ending.Token).ConfigureAwait(false);
                ReadOnlySequence<byte> buffer = result.Buffer;
                long needed = PeerFrame.PrefixBytes;
                while (TryTake(ref buffer, ref large, ref peer, ref needed, out string? error))
                {
                }

                if (needed < 0)
                {
                    return ErrorOf(buffer);
                }

                reader.AdvanceTo(buffer.Start, buffer.End);
                if (result.IsCompleted)
                {
                    return null;
                }
            }
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
                _receiver?.OnDisconnected(peer);
            }
        }
    }

    /// <summary>The connections on which this node sends.</summary>
    internal IEnumerable<PeerConnection> Connections => _connections.Values;

    /// <summary>Closes all connections: those to peers, and those from them that are being read.</summary>
    public void Dispose()
    {
        _stopping.Cancel();
        foreach (PeerConnection connection in _connections.Values)
        {
            connection.Dispose();
        }
    }

    private static string ErrorOf(ReadOnlySequence<byte> buffer)
    {
        Span<byte> prefix = stackalloc byte[PeerFrame.PrefixBytes];
        buffer.Slice(0, PeerFrame.PrefixBytes).CopyTo(prefix);
        PeerFrame.TryReadLength(prefix, out _, out string? error);
        return error ?? "what came is not a peer frame";
    }

    private bool TryTake(ref ReadOnlySequence<byte> buffer, ref byte[] large, ref NodeId peer, ref long needed, out string? error)
    {
        error = null;
        if (buffer.Length < PeerFrame.PrefixBytes)
        {
            return false;
        }

        Span<byte> prefix = stackalloc byte[PeerFrame.PrefixBytes];
        buffer.Slice(0, PeerFrame.PrefixBytes).CopyTo(prefix);
        if (!PeerFrame.TryReadLength(prefix, out int length, out error))
        {
            needed = -1;
            return false;
        }

        if (buffer.Length < length)
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

        peer = PeerFrame.SenderOf(span);
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

    /// <summary>Milliseconds before the first new try to connect; doubled up to <see cref="RetryMaxMs"/>.</summary>
    public int RetryMinMs { get; init; } = 20;

    /// <summary>Most milliseconds between two tries to connect.</summary>
    public int RetryMaxMs { get; init; } = 500;

    /// <summary>Milliseconds after which a try to connect is given up.</summary>
    public int ConnectTimeoutMs { get; init; } = 2_000;
}
