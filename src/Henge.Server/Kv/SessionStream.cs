using System.Diagnostics;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Messages;
using Henge.Server.Calls;
using Henge.Server.Operations;

namespace Henge.Server.Kv;

/// <summary>
/// One Session call: reads batches of operations, submits each batch as one group, and answers with whatever has completed by the time the
/// last answer was handed to the connection. No timers: what waits while a flush is under way is the next batch. Bounded in operations and
/// bytes: over the bound it stops reading, and HTTP/2's flow control stops the caller.
/// </summary>
internal sealed class SessionStream
{
    private const int MessageBytes = 128 * 1024;

    private static long _streams;
    private readonly ulong _pipeline = (ulong)Interlocked.Increment(ref _streams);
    private readonly IHengeNode _node;
    private readonly StreamLimits _limits;
    private readonly IAsyncStreamReader<SessionBatch> _batches;
    private readonly IServerStreamWriter<SessionAnswer> _answers;
    private readonly ServerCallContext _call;
    private readonly CallTerms _terms;
    private readonly SessionAnswer _answer = new();
    private readonly AsyncSignal _completed = new();
    private readonly AsyncSignal _room = new();
    private readonly Stack<SessionOperation> _pool = new();
    private readonly List<Operation> _batch = [];
    private SessionOperation? _done;
    private long _loadTimestamp;
    private int _operations;
    private int _bytes;
    private int _isWaitingForRoom;
    private bool _isRequestStreamEnded;
    private bool _isReaderGone;

    public SessionStream(
        IHengeNode node,
        StreamLimits limits,
        IAsyncStreamReader<SessionBatch> batches,
        IServerStreamWriter<SessionAnswer> answers,
        ServerCallContext call)
    {
        _node = node;
        _limits = limits;
        _batches = batches;
        _answers = answers;
        _call = call;
        _terms = CallTerms.Of(call);
    }

    /// <summary>Serves the stream until the caller ends it and everything is answered.</summary>
    public async Task RunAsync()
    {
        await _terms.SendHeadersAsync(_call);
        Task writer = WriteAsync();
        try
        {
            await ReadAsync();
        }
        finally
        {
            // Operations point into memory of this stream until they have completed: none is left behind, whatever happened.
            Volatile.Write(ref _isRequestStreamEnded, true);
            _completed.Set();
            await writer;
        }
    }

    /// <summary>Takes back an operation that has completed. Any thread; quick.</summary>
    public void Complete(SessionOperation operation)
    {
        SessionOperation? head = Volatile.Read(ref _done);
        while (true)
        {
            operation.NextDone = head;
            SessionOperation? seen = Interlocked.CompareExchange(ref _done, operation, head);
            if (ReferenceEquals(seen, head))
            {
                break;
            }

            head = seen;
        }

        if (head is null)
        {
            _completed.Set();
        }
    }

    /// <summary>Puts an unexpected error into the server's log.</summary>
    public void ReportFailure(Exception exception) => _terms.Gate.Errors.Report(_call.GetHttpContext(), exception);

    private async Task ReadAsync()
    {
        CancellationToken cancellation = _terms.Cancellation;
        while (await _batches.MoveNext(cancellation))
        {
            using SessionBatch batch = _batches.Current;
            ReadOnlyMemory<byte> message = batch.Bytes;
            int position = 0;
            while (position < message.Length)
            {
                while (!HasRoom)
                {
                    await WaitForRoomAsync();
                }

                position += LoadBatch(message.Span[position..]);
            }
        }
    }

    private bool HasRoom => Volatile.Read(ref _operations) < _limits.SessionOperations && Volatile.Read(ref _bytes) < _limits.SessionBytes;

    private async ValueTask WaitForRoomAsync()
    {
        // The flag first, then the look: the writer looks at the flag after it has made room.
        Interlocked.Exchange(ref _isWaitingForRoom, 1);
        if (!HasRoom)
        {
            await _room.WaitAsync();
        }
    }

    /// <summary>Submits operations until the message or the room ends; returns the bytes of the message that were used.</summary>
    private int LoadBatch(ReadOnlySpan<byte> message)
    {
        FieldReader reader = new(message);
        long nowMs = _node.MonotonicMs;
        _loadTimestamp = Stopwatch.GetTimestamp();
        try
        {
            while (HasRoom && reader.Read())
            {
                if (reader.Tag == SessionOperationFields.Tag)
                {
                    Load(reader.Bytes, nowMs);
                }
            }
        }
        finally
        {
            if (_batch.Count > 0)
            {
                _node.Submit(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_batch));
                _batch.Clear();
            }
        }

        return reader.Position;
    }

    private void Load(ReadOnlySpan<byte> message, long nowMs)
    {
        SessionOperationFields fields = SessionOperationFields.Read(message);
        SessionOperation operation = Rent();
        operation.Id = fields.Id;
        operation.DeadlineMs = fields.TimeoutMs == 0 ? 0 : nowMs + fields.TimeoutMs;
        operation.StartTimestamp = _loadTimestamp;
        operation.Pipeline = _pipeline;
        Interlocked.Increment(ref _operations);
        try
        {
            operation.Load(fields.Kind, fields.Content);
        }
        catch (Exception e) when (e is HengeException or MessageFormatException)
        {
            HengeException refusal = e as HengeException ?? CallErrors.Malformed((MessageFormatException)e);
            operation.Refuse(refusal.Code, refusal.Message);
            Complete(operation);
            return;
        }

        Interlocked.Add(ref _bytes, operation.RequestBytes);
        operation.Accounted = operation.RequestBytes;
        _batch.Add(operation);
    }

    private SessionOperation Rent()
    {
        lock (_pool)
        {
            if (_pool.TryPop(out SessionOperation? operation))
            {
                return operation;
            }
        }

        return new SessionOperation(_node, this);
    }

    private async Task WriteAsync()
    {
        while (true)
        {
            SessionOperation? list = Reverse(Interlocked.Exchange(ref _done, null));
            if (list is null)
            {
                if (Volatile.Read(ref _isRequestStreamEnded) && Volatile.Read(ref _operations) == 0)
                {
                    return;
                }

                await _completed.WaitAsync();
                continue;
            }

            while (list is not null)
            {
                list = await WriteMessageAsync(list);
            }
        }
    }

    /// <summary>Writes one SessionResponse from the head of a list, and returns what is left of the list.</summary>
    private async ValueTask<SessionOperation?> WriteMessageAsync(SessionOperation first)
    {
        SessionOperation? end = Prepare(first, out int size, out int count, out int bytes);
        Task? taken = null;
        if (!_isReaderGone)
        {
            _answer.Load(first, end, size);
            _answers.WriteOptions = _terms.OptionsOf(size, flush: true);
            taken = _answers.WriteAsync(_answer);
            if (_answer.IsLoaded && !taken.IsCompleted)
            {
                // The headers are out, so that the library writes at once; should it ever not, the results must stay until it has.
                await taken.ContinueWith(
                    static _ => { },
                    CancellationToken.None,
                    TaskContinuationOptions.ExecuteSynchronously,
                    TaskScheduler.Default);
            }
        }

        MakeRoom(first, end, count, bytes);
        try
        {
            if (taken is { IsCompletedSuccessfully: false })
            {
                await _terms.TakenAsync(taken);
            }
        }
        catch (Exception)
        {
            // The client does not read answers any more; operations under way are still waited for.
            _isReaderGone = true;
        }

        return end;
    }

    /// <summary>Makes the results at the head of a list ready for a message; returns the first that is not among them.</summary>
    private SessionOperation? Prepare(SessionOperation first, out int size, out int count, out int bytes)
    {
        (size, count, bytes) = (0, 0, 0);
        SessionOperation? end = first;
        var durations = new DurationRun(_terms.Gate.Metrics);
        while (end is not null && (size < MessageBytes || count == 0))
        {
            end.ResultBytes = end.Prepare();
            size += end.ResultBytes;
            bytes += end.Accounted;
            durations.Add(end);
            count++;
            end = end.NextDone;
        }

        durations.Flush();
        return end;
    }

    private void MakeRoom(SessionOperation? first, SessionOperation? end, int count, int bytes)
    {
        for (SessionOperation? operation = first; !ReferenceEquals(operation, end);)
        {
            SessionOperation? next = operation!.NextDone;
            Return(operation);
            operation = next;
        }

        Interlocked.Add(ref _bytes, -bytes);
        Interlocked.Add(ref _operations, -count);
        if (Interlocked.Exchange(ref _isWaitingForRoom, 0) == 1)
        {
            _room.Set();
        }
    }

    private void Return(SessionOperation operation)
    {
        operation.Recycle();
        lock (_pool)
        {
            if (_pool.Count < 4096)
            {
                _pool.Push(operation);
            }
        }
    }

    /// <summary>Durations of operations that leave together: those of one kind that came together too are recorded at once.</summary>
    private ref struct DurationRun(Metrics.ServerMetrics metrics)
    {
        private readonly long _now = Stopwatch.GetTimestamp();
        private KvRequestKind _kind;
        private long _started;
        private int _count;

        public void Add(SessionOperation operation)
        {
            if (operation.Error != ErrorCode.None)
            {
                metrics.Failed(operation.Error);
            }

            if (_count > 0 && (operation.Request != _kind || operation.StartTimestamp != _started))
            {
                Flush();
            }

            (_kind, _started) = (operation.Request, operation.StartTimestamp);
            _count++;
        }

        public void Flush()
        {
            if (_count > 0)
            {
                metrics.SessionOperations(_kind).Record(_now - _started, _count);
                _count = 0;
            }
        }
    }

    private static SessionOperation? Reverse(SessionOperation? list)
    {
        SessionOperation? reversed = null;
        while (list is not null)
        {
            SessionOperation? next = list.NextDone;
            list.NextDone = reversed;
            reversed = list;
            list = next;
        }

        return reversed;
    }
}
