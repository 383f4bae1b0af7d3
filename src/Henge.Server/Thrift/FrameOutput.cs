using System.Buffers.Binary;
using Henge.Server.Operations;
using Thrift;
using Thrift.Transport;

namespace Henge.Server.Thrift;

/// <summary>The frame of an answer, as what the library's protocols write to. One thread at a time.</summary>
internal sealed class FrameOutput(TConfiguration configuration) : TTransport
{
    private const int LengthBytes = sizeof(int);
    private readonly OperationBuffer _bytes = new();

    /// <inheritdoc/>
    public override bool IsOpen => true;

    /// <inheritdoc/>
    public override TConfiguration Configuration => configuration;

    /// <summary>Begins a frame, in place of what was written before.</summary>
    public void Begin()
    {
        _bytes.Truncate(0);
        _bytes.Append(stackalloc byte[LengthBytes]);
    }

    /// <summary>The whole frame, its length first; it stays until the next one is begun or memory is let go of.</summary>
    public ReadOnlyMemory<byte> End()
    {
        Span<byte> length = stackalloc byte[LengthBytes];
        BinaryPrimitives.WriteInt32BigEndian(length, _bytes.Length - LengthBytes);
        int end = _bytes.Length;
        _bytes.Truncate(0);
        _bytes.Append(length);
        _bytes.Truncate(end);
        return _bytes.Memory;
    }

    /// <summary>Lets go of a large frame's memory.</summary>
    public void Clear() => _bytes.Clear();

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
    }

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int length, CancellationToken cancellationToken)
    {
        _bytes.Append(buffer.AsSpan(offset, length));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask<int> ReadAsync(byte[] buffer, int offset, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException("The frame of an answer is only written.");

    /// <inheritdoc/>
    public override Task OpenAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public override void Close()
    {
    }

    /// <inheritdoc/>
    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
    }
}
