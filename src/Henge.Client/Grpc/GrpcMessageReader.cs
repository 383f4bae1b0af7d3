using System.Buffers;
using Henge.Core;
using Henge.Protocol.Grpc;

namespace Henge.Client.Grpc;

/// <summary>
/// Cuts a body into messages. Its buffer grows with the largest message seen, never beyond the limit, and only once that many bytes have been announced
/// within the limit. One reader at a time.
/// </summary>
/// <param name="stream">The body; not owned.</param>
/// <param name="limitBytes">Largest message that is taken.</param>
/// <param name="address">The node, for messages of errors.</param>
/// <param name="initialBytes">Size of the buffer as long as no message needs more.</param>
internal sealed class GrpcMessageReader(Stream stream, int limitBytes, string address, int initialBytes = GrpcMessageReader.StreamBytes) : IDisposable
{
    /// <summary>For a stream of messages: several arrive by one read.</summary>
    public const int StreamBytes = 16 * 1024;

    /// <summary>For one small answer. With a thousand calls under way the pool cannot hold large buffers for all of them.</summary>
    public const int UnaryBytes = 1024;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(initialBytes);
    private int _start;
    private int _end;

    /// <summary>
    /// The next message, valid until the next call; null at the end of the body. Throws <see cref="AttemptFailedException"/> for broken framing, and
    /// whatever the stream throws.
    /// </summary>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (TryTake(out ReadOnlyMemory<byte> message))
            {
                return message;
            }

            int read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            if (read == 0)
            {
                if (_end > _start)
                {
                    throw new AttemptFailedException(
                        ErrorCode.Internal, $"The answer of {address} ended in the middle of a message.", AttemptOutcome.Unknown, connectionFailed: true);
                }

                return null;
            }

            _end += read;
        }
    }

    /// <summary>True when a whole message is in the buffer already, so that <see cref="ReadAsync"/> would not wait.</summary>
    private bool TryTake(out ReadOnlyMemory<byte> message)
    {
        message = default;
        int available = _end - _start;
        if (available == 0)
        {
            _start = _end = 0;
            return false;
        }

        if (available < GrpcFrame.PrefixBytes)
        {
            MakeRoom(GrpcFrame.PrefixBytes);
            return false;
        }

        int length;
        bool compressed;
        try
        {
            length = GrpcFrame.ReadPrefix(_buffer.AsSpan(_start, GrpcFrame.PrefixBytes), limitBytes, out compressed);
        }
        catch (GrpcException e)
        {
            ErrorCode code = e.Code == ErrorCode.None ? ErrorCode.Internal : e.Code;
            throw new AttemptFailedException(code, $"{address} sent what this client does not take: {e.Message}", AttemptOutcome.Unknown, inner: e);
        }

        int total = GrpcFrame.PrefixBytes + length;
        if (available < total)
        {
            MakeRoom(total);
            return false;
        }

        ReadOnlyMemory<byte> body = _buffer.AsMemory(_start + GrpcFrame.PrefixBytes, length);
        _start += total;
        message = compressed ? Decompress(body) : body;
        return true;
    }

    private byte[] Decompress(ReadOnlyMemory<byte> body)
    {
        try
        {
            return GrpcGzip.Decompress(new ReadOnlySequence<byte>(body), limitBytes);
        }
        catch (GrpcException e)
        {
            throw new AttemptFailedException(ErrorCode.Internal, $"{address} sent what this client does not take: {e.Message}", AttemptOutcome.Unknown, inner: e);
        }
    }

    private void MakeRoom(int needed)
    {
        int available = _end - _start;
        if (_buffer.Length - _start >= needed && _end < _buffer.Length)
        {
            return;
        }

        byte[] target = _buffer.Length >= needed ? _buffer : ArrayPool<byte>.Shared.Rent(Math.Max(needed, initialBytes));
        _buffer.AsSpan(_start, available).CopyTo(target);
        if (!ReferenceEquals(target, _buffer))
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = target;
        }

        _start = 0;
        _end = available;
    }

    /// <summary>Gives the buffer back. No message may be in use.</summary>
    public void Dispose()
    {
        byte[] buffer = Interlocked.Exchange(ref _buffer, []);
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
