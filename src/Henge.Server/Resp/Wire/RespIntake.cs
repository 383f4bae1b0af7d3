using System.Buffers;
using System.IO.Pipelines;

namespace Henge.Server.Resp.Wire;

/// <summary>
/// The requests of a connection on their way in. Reads on while replies wait for the client, so that a client which sends a long pipeline
/// before it reads is not dead-locked; what is read and not done counts against the bound on what waits. Not thread-safe.
/// </summary>
internal sealed class RespIntake(PipeReader input, RespWaitingBytes waiting, int commandBytesLimit)
{
    private const int GatheredBytes = 1024 * 1024;
    private byte[] _gathered = [];
    private ReadOnlySequence<byte> _buffer;
    private bool _begun;
    private long _held;

    /// <summary>True when the client has closed its side: nothing comes any more.</summary>
    public bool Completed { get; private set; }

    /// <summary>Bytes that were read and not consumed.</summary>
    public long Length => _buffer.Length;

    /// <summary>Waits for more than there is: for so many bytes at least, or the end.</summary>
    public async ValueTask ReadAsync(long needed)
    {
        do
        {
            Release();
            ReadResult read = await input.ReadAsync();
            Take(read);
        }
        while (_buffer.Length < needed && !Completed);
    }

    /// <summary>What there is in one piece: at least so many bytes if they are there, and not much more than a batch can use.</summary>
    public ReadOnlyMemory<byte> Data(long needed)
    {
        if (_buffer.IsSingleSegment)
        {
            return _buffer.First;
        }

        int length = (int)Math.Min(_buffer.Length, Math.Max(2 * needed, GatheredBytes));
        if (_gathered.Length < length)
        {
            _gathered = new byte[Math.Max(length, 16 * 1024)];
        }

        _buffer.Slice(0, length).CopyTo(_gathered);
        ReadOnlyMemory<byte> data = _gathered.AsMemory(0, length);
        if (_gathered.Length > commandBytesLimit)
        {
            _gathered = [];
        }

        return data;
    }

    /// <summary>Takes bytes away from the front. Memory that <see cref="Data"/> gave stays as it is until the next read.</summary>
    public void Consume(int bytes) => _buffer = _buffer.Slice(bytes);

    /// <summary>
    /// Reads on until so few bytes of replies wait. What has not been consumed stays where it is, as a pipe neither moves nor reuses it.
    /// Throws <see cref="RespOverflowException"/> when more would wait than may.
    /// </summary>
    public async Task HoldAsync(RespOutput output, long bytes)
    {
        Task drained = output.WaitAsync(bytes);
        while (!drained.IsCompleted && !Completed)
        {
            Release();
            Task<ReadResult> read = input.ReadAsync().AsTask();
            if (await Task.WhenAny(read, drained) == drained)
            {
                input.CancelPendingRead();
            }

            Take(await read);
            long more = _buffer.Length - _held;
            if (more > 0)
            {
                if (!waiting.TryTake(more))
                {
                    throw new RespOverflowException(waiting.Problem);
                }

                _held += more;
            }
        }

        await drained;
    }

    /// <summary>Reads and throws away until the client closes its side or the time is over.</summary>
    public async Task DiscardAsync(CancellationToken stop)
    {
        try
        {
            while (!Completed)
            {
                _buffer = _buffer.Slice(_buffer.End);
                Release();
                Take(await input.ReadAsync(stop));
            }
        }
        catch (OperationCanceledException)
        {
            // Long enough.
        }
    }

    private void Take(in ReadResult read)
    {
        (_buffer, Completed, _begun) = (read.Buffer, read.IsCompleted, true);
    }

    private void Release()
    {
        if (!_begun)
        {
            return;
        }

        input.AdvanceTo(_buffer.Start, _buffer.End);
        if (_held > _buffer.Length)
        {
            waiting.GiveBack(_held - _buffer.Length);
            _held = _buffer.Length;
        }
    }
}
