using System.Buffers;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Resp.Wire;

/// <summary>
/// The replies of a connection on their way out. What the socket takes at once is sent by the thread that wrote it; what it does not take
/// waits here, while the connection goes on reading (decision 0147). What waits counts against the bounds of a
/// <see cref="RespWaitingBudget"/>.
/// </summary>
/// <remarks>
/// One writer at a time; sending what waits goes on beside it. Allocates nothing for replies that the socket takes at once.
/// </remarks>
/// <param name="stream">Where to. Disposed of with this.</param>
/// <param name="waiting">What this connection may keep waiting.</param>
/// <param name="timeout">How long the other end may take nothing before the connection is cut.</param>
/// <param name="failed">Called once, on any thread, when sending has failed.</param>
internal sealed class RespOutput(Stream stream, RespWaitingBytes waiting, TimeSpan timeout, Action<Exception> failed) : IBufferWriter<byte>
{
    private const int FirstBytes = 16 * 1024;
    private const int NextBytes = 64 * 1024;
    private readonly Lock _gate = new();
    private readonly List<Segment> _written = [];
    private readonly LinkedList<Segment> _queue = new();
    private Segment _tail;
    private long _queued;
    private volatile bool _sending;
    private volatile Exception? _failure;
    private TaskCompletionSource? _waiter;
    private long _waiterBytes;

    /// <summary>Bytes that were handed over and that the socket has not taken.</summary>
    public long WaitingBytes => Volatile.Read(ref _queued);

    /// <summary>Set when a last error must still go out, whatever waits.</summary>
    public bool Unbounded { get; set; }

    /// <inheritdoc/>
    public void Advance(int count) => _tail.Length += count;

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        MakeRoom(sizeHint);
        return _tail.Buffer.AsMemory(_tail.Length);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        MakeRoom(sizeHint);
        return _tail.Buffer.AsSpan(_tail.Length);
    }

    /// <summary>Where it stands now, for <see cref="Rollback"/>.</summary>
    public (int Segments, int Length) Mark() => (_written.Count, _tail.Length);

    /// <summary>Takes back what was written since a mark. What was flushed since cannot be taken back.</summary>
    public void Rollback((int Segments, int Length) mark)
    {
        if (_written.Count < mark.Segments || (_written.Count == mark.Segments && _tail.Length < mark.Length))
        {
            return;
        }

        while (_written.Count > mark.Segments)
        {
            GiveBack(_tail);
            _tail = _written[^1];
            _written.RemoveAt(_written.Count - 1);
        }

        _tail.Length = mark.Length;
    }

    /// <summary>
    /// Hands over what has been written, and does not wait: what the socket does not take is sent later. Throws
    /// <see cref="ConnectionAbortedException"/> when sending has failed.
    /// </summary>
    public void Flush()
    {
        if (_failure is { } failure)
        {
            throw new ConnectionAbortedException(failure.Message, failure);
        }

        if (_tail.Length > 0)
        {
            _written.Add(_tail);
            _tail = default;
        }

        int next = 0;
        while (next < _written.Count && !TryEnqueue(next))
        {
            // Nobody sends: only the writer begins to, so nobody comes between.
            Segment segment = _written[next++];
            ValueTask sent = stream.WriteAsync(segment.Buffer.AsMemory(0, segment.Length));
            if (sent.IsCompletedSuccessfully)
            {
                sent.GetAwaiter().GetResult();
                GiveBack(segment);
                continue;
            }

            Interlocked.Add(ref _queued, segment.Length);
            _sending = true;
            _ = SendAsync(sent, segment);
        }

        _written.Clear();
    }

    /// <summary>Completes when at most so many bytes wait, or when sending has failed.</summary>
    public Task WaitAsync(long bytes)
    {
        lock (_gate)
        {
            if (!_sending || _queued <= bytes || _failure is not null)
            {
                return Task.CompletedTask;
            }

            _waiter ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiterBytes = bytes;
            return _waiter.Task;
        }
    }

    /// <summary>Ends it, after what waits has been sent or cannot be.</summary>
    public async ValueTask CompleteAsync()
    {
        await WaitAsync(0);
        Rollback((0, 0));
        GiveBack(_tail);
        _tail = default;
        await stream.DisposeAsync();
        waiting.GiveBackAll();
    }

    private void MakeRoom(int sizeHint)
    {
        if (_tail.Buffer is { } buffer && buffer.Length - _tail.Length >= Math.Max(sizeHint, 1))
        {
            return;
        }

        // One small buffer for each connection that replies is free; what is more than that is counted.
        bool first = _written.Count == 0 && _tail.Buffer is null && !_sending;
        byte[] rented = ArrayPool<byte>.Shared.Rent(Math.Max(sizeHint, first ? FirstBytes : NextBytes));
        int counted = first ? 0 : rented.Length;
        if (counted > 0 && !waiting.TryTake(counted, Unbounded))
        {
            ArrayPool<byte>.Shared.Return(rented);
            throw new RespOverflowException(waiting.Problem);
        }

        if (_tail.Buffer is not null)
        {
            _written.Add(_tail);
        }

        _tail = new Segment { Buffer = rented, Counted = counted };
    }

    // While others are being sent, these go behind them; small ones share a buffer.
    private bool TryEnqueue(int next)
    {
        if (!_sending)
        {
            return false;
        }

        lock (_gate)
        {
            if (!_sending)
            {
                return false;
            }

            for (; next < _written.Count; next++)
            {
                Segment segment = _written[next];
                _queued += segment.Length;
                if (_queue.Last is { } last && last.Value.Buffer.Length - last.Value.Length >= segment.Length)
                {
                    segment.Buffer.AsSpan(0, segment.Length).CopyTo(last.Value.Buffer.AsSpan(last.Value.Length));
                    last.ValueRef.Length += segment.Length;
                    GiveBack(segment);
                }
                else
                {
                    _queue.AddLast(segment);
                }
            }
        }

        return true;
    }

    private async Task SendAsync(ValueTask sent, Segment segment)
    {
        try
        {
            while (true)
            {
                await sent.AsTask().WaitAsync(timeout);
                lock (_gate)
                {
                    _queued -= segment.Length;
                    GiveBack(segment);
                    _sending = _queue.Count > 0;
                    if (!_sending || _queued <= _waiterBytes)
                    {
                        Tell();
                    }

                    if (!_sending)
                    {
                        return;
                    }

                    segment = _queue.First!.Value;
                    _queue.RemoveFirst();
                }

                sent = stream.WriteAsync(segment.Buffer.AsMemory(0, segment.Length));
            }
        }
        catch (Exception e)
        {
            Exception reason =
                e is TimeoutException
                    ? new TimeoutException($"The client took none of its replies for {timeout.TotalSeconds:0} seconds.")
                    : e;
            lock (_gate)
            {
                // The buffer under way is not given back: the socket may still have it.
                _failure = reason;
                _queue.Clear();
                Tell();
            }

            failed(reason);
        }
    }

    private void Tell()
    {
        _waiter?.TrySetResult();
        _waiter = null;
    }

    private void GiveBack(in Segment segment)
    {
        if (segment.Buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(segment.Buffer);
            waiting.GiveBack(segment.Counted);
        }
    }

    private struct Segment
    {
        public byte[] Buffer;
        public int Length;
        public int Counted;
    }
}
