using System.Net.Sockets;

namespace Henge.Server.Peers;

/// <summary>
/// Lies between the TLS of a connection to a peer and its socket. Reads come from the socket. What TLS writes goes there as well until the
/// handshake is over; from then on it stays here, and who sends takes it: so a sealed frame leaves as a cleartext one does, on the sender's
/// own thread and without waiting. One may read and one may write at a time.
/// </summary>
internal sealed class SealingStream(NetworkStream socket) : Stream
{
    private byte[] _kept = new byte[4096];
    private int _count;
    private bool _keeps;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>The handshake is over.</summary>
    public void Keep() => _keeps = true;

    /// <summary>What was written since the last call; good until the next write.</summary>
    public ReadOnlyMemory<byte> Take()
    {
        int count = _count;
        _count = 0;
        return _kept.AsMemory(0, count);
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (!_keeps)
        {
            socket.Write(buffer);
            return;
        }

        if (_kept.Length - _count < buffer.Length)
        {
            Array.Resize(ref _kept, Math.Max(2 * _kept.Length, _count + buffer.Length));
        }

        buffer.CopyTo(_kept.AsSpan(_count));
        _count += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!_keeps)
        {
            return socket.WriteAsync(buffer, cancellationToken);
        }

        Write(buffer.Span);
        return default;
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => socket.Read(buffer, offset, count);

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        socket.ReadAsync(buffer, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        socket.ReadAsync(buffer, offset, count, cancellationToken);

    public override void Flush()
    {
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            socket.Dispose();
        }

        base.Dispose(disposing);
    }
}
