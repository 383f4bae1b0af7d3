using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Henge.Client.Tests.Fakes;

/// <summary>
/// An HTTP/2 server (RFC 9113) of frames alone, for endings that no proper server has. The test says what follows a request's first bytes
/// of body.
/// </summary>
public sealed class RawHttp2Server : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Func<RawHttp2Connection, int, Task> _onRequest;
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly Task _accepting;
    private int _requests;

    /// <summary>Begins to listen. <paramref name="onRequest"/> gets the connection and the number of the stream.</summary>
    public RawHttp2Server(Func<RawHttp2Connection, int, Task> onRequest)
    {
        _onRequest = onRequest;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public string Address => _listener.LocalEndpoint.ToString()!;

    /// <summary>Requests whose bodies have begun to come.</summary>
    public int Requests => Volatile.Read(ref _requests);

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(ServeAsync(await _listener.AcceptTcpClientAsync()));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // It listens no longer; the last, when it was between two connections.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        const byte data = 0, settings = 4, ping = 6, ack = 1;
        using (client)
        {
            try
            {
                NetworkStream stream = client.GetStream();
                RawHttp2Connection connection = new(client.Client, stream);
                await stream.ReadExactlyAsync(new byte[24]);
                await connection.WriteFrameAsync(settings, 0, 0, []);
                byte[] head = new byte[9];
                while (true)
                {
                    await stream.ReadExactlyAsync(head);
                    byte[] payload = new byte[(head[0] << 16) | (head[1] << 8) | head[2]];
                    await stream.ReadExactlyAsync(payload);
                    int streamId = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5));
                    if (head[3] is settings or ping && (head[4] & ack) == 0)
                    {
                        await connection.WriteFrameAsync(head[3], ack, 0, head[3] == ping ? payload : []);
                    }
                    else if (head[3] == data && payload.Length > 0)
                    {
                        Interlocked.Increment(ref _requests);
                        await _onRequest(connection, streamId);
                    }
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections);
    }
}

/// <summary>One connection of a <see cref="RawHttp2Server"/>.</summary>
public sealed class RawHttp2Connection(Socket socket, NetworkStream stream)
{
    /// <summary>Sends one frame.</summary>
    public Task WriteFrameAsync(byte type, byte flags, int streamId, ReadOnlySpan<byte> payload)
    {
        byte[] frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        frame[3] = type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), streamId);
        payload.CopyTo(frame.AsSpan(9));
        return stream.WriteAsync(frame).AsTask();
    }

    /// <summary>RST_STREAM with an error code (RFC 9113, section 7).</summary>
    public Task ResetStreamAsync(int streamId, int code) => WriteFrameAsync(3, 0, streamId, BigEndian(code));

    /// <summary>GOAWAY that says up to which stream requests have been looked at.</summary>
    public Task GoAwayAsync(int lastStreamId, int code) => WriteFrameAsync(7, 0, 0, [.. BigEndian(lastStreamId), .. BigEndian(code)]);

    /// <summary>The head of a gRPC answer, with nothing behind it.</summary>
    public Task WriteHeadAsync(int streamId) =>
        WriteFrameAsync(1, 4, streamId, [0x88, 0, 12, .. "content-type"u8, 16, .. "application/grpc"u8]);

    /// <summary>Closes the connection in good order.</summary>
    public void Close() => socket.Shutdown(SocketShutdown.Both);

    /// <summary>Resets the TCP connection.</summary>
    public void Reset() => socket.Close(0);

    private static byte[] BigEndian(int value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }
}
