using System.Buffers;
using Thrift;
using Thrift.Protocol;
using Thrift.Transport;

namespace Henge.Server.Thrift;

/// <summary>
/// One frame that has arrived, as what the library's protocols read from: in place, and never behind its end. What a frame announces is
/// compared with what is left of it before memory is taken for it. One thread at a time.
/// </summary>
internal sealed class FrameInput(TConfiguration configuration) : TTransport
{
    private ReadOnlySequence<byte> _rest;

    /// <summary>Bytes that have not been read.</summary>
    public long Remaining => _rest.Length;

    /// <inheritdoc/>
    public override bool IsOpen => true;

    /// <inheritdoc/>
    public override TConfiguration Configuration => configuration;

    /// <summary>Goes on with another frame, which stays where it is until it has been read.</summary>
    public void Begin(in ReadOnlySequence<byte> frame) => _rest = frame;

    /// <inheritdoc/>
    public override void UpdateKnownMessageSize(long size)
    {
    }

    /// <inheritdoc/>
    public override void ResetMessageSizeAndConsumedBytes(long newSize = -1)
    {
    }

    /// <inheritdoc/>
    public override void CheckReadBytesAvailable(long numBytes)
    {
        if (numBytes < 0 || numBytes > Remaining)
        {
            throw new TProtocolException(
                TProtocolException.SIZE_LIMIT,
                $"something of {numBytes} bytes is announced, and {Remaining} bytes of the frame are left");
        }
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(byte[] buffer, int offset, int length, CancellationToken cancellationToken) =>
        ReadAllAsync(buffer, offset, (int)Math.Min(length, Remaining), cancellationToken);

    /// <inheritdoc/>
    public override ValueTask<int> ReadAllAsync(byte[] buffer, int offset, int length, CancellationToken cancellationToken)
    {
        CheckReadBytesAvailable(length);
        _rest.Slice(0, length).CopyTo(buffer.AsSpan(offset, length));
        _rest = _rest.Slice(length);
        return ValueTask.FromResult(length);
    }

    /// <inheritdoc/>
    public override Task OpenAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public override void Close()
    {
    }

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException("A frame that has arrived is only read.");

    /// <inheritdoc/>
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
    }
}
