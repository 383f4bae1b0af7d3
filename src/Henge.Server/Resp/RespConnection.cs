using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Net.Sockets;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Resp.Commands;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Henge.Server.Resp;

/// <summary>
/// One RESP connection. What a read from the socket held goes through the node as one batch, replies leave together, and what arrives meanwhile is the next
/// batch: so a pipeline of any depth costs one wait for each read, and memory is bounded by what one read can hold.
/// </summary>
/// <remarks>
/// Redis does a connection's commands one after another. Here reads and writes of one batch run beside each other, which nobody can tell apart as long as no key is
/// both written and touched again in the batch: a command that would do so ends the batch and begins the next.
/// </remarks>
internal sealed class RespConnection
{
    private const int BatchOperations = 4096;
    private const int FlushBytes = 64 * 1024;
    private const int OutputBufferBytes = 16 * 1024;
    private readonly ConnectionContext _connection;
    private readonly PipeReader _input;
    private readonly PipeWriter _output;
    private readonly RespParser _parser;
    private readonly RespBatch _batch = new();
    private readonly KeyConflicts _conflicts = new();
    private readonly List<ReadOnlyMemory<byte>> _arguments = [];
    private readonly List<PlannedCall> _calls = [];
    private byte[] _gathered = [];
    private long _batchReplyBytes;
    private int _neededBytes;
    private long _errorsTold;

    public RespConnection(ConnectionContext connection, RespServices services)
    {
        _connection = connection;
        _input = connection.Transport.Input;
        _output = OutputOf(connection);
        _parser = new RespParser(services.CommandBytesLimit, services.ArgumentsLimit);
        Services = services;
        Writer = new RespWriter(_output);
        Id = services.NextConnectionId();
        Transaction = new RespTransaction(this);
        Subscriptions = new RespSubscriptions(this);
    }

    public RespServices Services { get; }

    public IHengeNode Node => Services.Node;

    public RespWriter Writer { get; }

    public RespTransaction Transaction { get; }

    public RespSubscriptions Subscriptions { get; }

    /// <summary>A number of its own, for CLIENT ID.</summary>
    public long Id { get; }

    /// <summary>What the client says of itself.</summary>
    public ClientIdentity Client { get; } = new();

    /// <summary>The logical database that it has selected.</summary>
    public SelectedDatabase Database { get; } = new();

    /// <summary>The other end, for CLIENT INFO.</summary>
    public string RemoteAddress => _connection.RemoteEndPoint?.ToString() ?? "";

    /// <summary>Set by QUIT: the connection ends after the replies that are due.</summary>
    public bool Quit { get; set; }

    /// <summary>Set when either side is closed.</summary>
    public CancellationToken Closed => _connection.ConnectionClosed;

    public async Task RunAsync()
    {
        try
        {
            while (!Quit)
            {
                // Not bound to the connection's end: a client that has closed its sending side still waits for replies.
                ReadResult read = await _input.ReadAsync();
                ReadOnlySequence<byte> buffer = read.Buffer;
                if (buffer.Length < _neededBytes && !read.IsCompleted)
                {
                    _input.AdvanceTo(buffer.Start, buffer.End);
                    continue;
                }

                ReadOnlyMemory<byte> data = buffer.IsSingleSegment ? buffer.First : Gather(buffer);
                int consumed = await ConsumeAsync(data);
                _input.AdvanceTo(buffer.GetPosition(consumed), buffer.End);
                await Subscriptions.EnterAsync();
                try
                {
                    await FlushAsync();
                }
                finally
                {
                    Subscriptions.Exit();
                }

                if (read.IsCompleted)
                {
                    return;
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ConnectionResetException or ConnectionAbortedException or IOException)
        {
            // The other end has gone, or the server stops: there is nobody to tell.
            return;
        }
        finally
        {
            await Subscriptions.DisposeAsync();
            if (!ReferenceEquals(_output, _connection.Transport.Output))
            {
                await _output.CompleteAsync();
            }
        }
    }

    /// <summary>Runs one operation by itself, between batches.</summary>
    public async ValueTask<Operation> RunOneAsync(Action<Operation> fill)
    {
        _batch.Clear();
        RespOperation operation = _batch.Add();
        fill(operation);
        await _batch.RunAsync(Node);
        return operation;
    }

    /// <summary>Cuts the connection.</summary>
    public void Abort(Exception reason) => _connection.Abort(new ConnectionAbortedException(reason.Message, reason));

    /// <summary>Sends what has been written; cuts off a client that does not take it.</summary>
    public async ValueTask FlushAsync()
    {
        ValueTask<FlushResult> flush = _output.FlushAsync();
        if (flush.IsCompletedSuccessfully)
        {
            _ = flush.Result;
            return;
        }

        Task<FlushResult> pending = flush.AsTask();
        try
        {
            await pending.WaitAsync(Services.SlowClientTimeout);
        }
        catch (TimeoutException)
        {
            _connection.Abort(new ConnectionAbortedException("The client did not take its replies in time."));
            throw new ConnectionAbortedException();
        }
    }

    /// <summary>
    /// Replies go to the socket from the thread that has written them: Kestrel's pipe would hand them to another one, for a thread's switch a batch
    /// (docs/performance.md). Behind TLS, and where there is no socket, they go by the pipe.
    /// </summary>
    private static PipeWriter OutputOf(ConnectionContext connection) =>
        connection.Features.Get<IConnectionSocketFeature>() is { } socket && connection.Features.Get<ITlsConnectionFeature>() is null
            ? PipeWriter.Create(new NetworkStream(socket.Socket, ownsSocket: false), new StreamPipeWriterOptions(minimumBufferSize: OutputBufferBytes))
            : connection.Transport.Output;

    /// <summary>A buffer in pieces as one; only large or unlucky reads need it.</summary>
    private ReadOnlyMemory<byte> Gather(ReadOnlySequence<byte> buffer)
    {
        int length = checked((int)buffer.Length);
        if (_gathered.Length < length)
        {
            _gathered = new byte[Math.Max(length, 16 * 1024)];
        }

        buffer.CopyTo(_gathered);
        ReadOnlyMemory<byte> gathered = _gathered.AsMemory(0, length);
        if (_gathered.Length > Services.CommandBytesLimit)
        {
            _gathered = [];
        }

        return gathered;
    }

    private async ValueTask<int> ConsumeAsync(ReadOnlyMemory<byte> data)
    {
        int position = 0;
        while (!Quit)
        {
            long started = Stopwatch.GetTimestamp();
            Stop stop = Plan(data, ref position, out RespCommand? slow);
            if (_batch.Count > 0)
            {
                await _batch.RunAsync(Node);
            }

            await Subscriptions.EnterAsync();
            try
            {
                for (int i = 0; i < _calls.Count; i++)
                {
                    Reply(_calls[i]);
                    _batchReplyBytes += Writer.TakeWrittenBytes();
                    if (_batchReplyBytes > FlushBytes)
                    {
                        _batchReplyBytes = 0;
                        await FlushAsync();
                    }
                }

                if (stop == Stop.Slow)
                {
                    RespArguments arguments = new(_arguments, _calls.Count == 0 ? 0 : _calls[^1].ArgumentsEnd, _arguments.Count - (_calls.Count == 0 ? 0 : _calls[^1].ArgumentsEnd));
                    await ((SlowCommand)slow!).RunAsync(this, arguments, Writer);
                }
                else if (stop == Stop.Malformed)
                {
                    Writer.Error(_parser.Error!);
                    Quit = true;
                }
            }
            finally
            {
                Subscriptions.Exit();
            }

            Measure(started, stop == Stop.Slow ? slow : null);
            _batch.Clear();
            _calls.Clear();
            _arguments.Clear();
            _conflicts.Clear();
            if (stop is Stop.NeedMore)
            {
                // A large value is not looked at again before all of it can be there.
                _neededBytes = _parser.NeededBytes;
                break;
            }
        }

        return position;
    }

    /// <summary>Commands of a batch began and ended together; those of one name that stand together are recorded at once.</summary>
    private void Measure(long started, RespCommand? slow)
    {
        if (Services.Durations is not { } durations)
        {
            return;
        }

        long elapsed = Stopwatch.GetTimestamp() - started;
        int count = 0;
        for (int i = 0; i < _calls.Count; i++)
        {
            RespCommand? command = _calls[i].Command;
            count++;
            if (i + 1 == _calls.Count || !ReferenceEquals(_calls[i + 1].Command, command))
            {
                if (command is not null)
                {
                    durations[command.Index].Record(elapsed, count);
                }

                count = 0;
            }
        }

        if (slow is not null)
        {
            durations[slow.Index].Record(elapsed);
        }

        if (Writer.Errors != _errorsTold)
        {
            Services.Metrics!.RespErrors(Writer.Errors - _errorsTold);
            _errorsTold = Writer.Errors;
        }
    }

    private Stop Plan(ReadOnlyMemory<byte> data, ref int position, out RespCommand? slow)
    {
        slow = null;
        ReadOnlySpan<byte> span = data.Span;
        while (_batch.Count < BatchOperations)
        {
            int start = position;
            RespParse parsed = _parser.Parse(span, ref position);
            if (parsed != RespParse.Command)
            {
                return parsed == RespParse.NeedMore ? Stop.NeedMore : Stop.Malformed;
            }

            if (_parser.Count == 0)
            {
                continue;
            }

            int first = _arguments.Count;
            ReadOnlyMemory<byte> memory = _parser.Unquoted is { } unquoted ? unquoted.ToArray() : data;
            foreach (RespArgument argument in _parser.Arguments)
            {
                _arguments.Add(memory.Slice(argument.Offset, argument.Length));
            }

            RespArguments arguments = new(_arguments, first, _parser.Count);
            RespCommand? command = RespCommandTable.Find(arguments.Span(0));
            if (command is DataCommand data1 && !Transaction.Open && _conflicts.Touches(arguments, data1))
            {
                // Not beside what it must come after: it begins the next batch.
                _arguments.RemoveRange(first, _arguments.Count - first);
                position = start;
                return Stop.Full;
            }

            if (command is SlowCommand && command.Fits(arguments.Count) && (!Transaction.Open || RespTransaction.RunsInside(command)) && Refuse(command) is null)
            {
                slow = command;
                return Stop.Slow;
            }

            Add(command, arguments, first);
        }

        return Stop.Full;
    }

    private void Add(RespCommand? command, RespArguments arguments, int first)
    {
        int operations = _batch.Count;
        string? error =
            command is null ? RespErrors.Unknown(arguments)
            : !command.Fits(arguments.Count) ? RespErrors.WrongArity(command.Name)
            : null;
        bool queued = Transaction.Open;
        if (queued)
        {
            error = Transaction.Queue(command, arguments, error);
        }
        else if (error is null)
        {
            error = Refuse(command!) ?? PlanData(command as DataCommand, arguments, operations);
            if (error is null)
            {
                (command as LocalCommand)?.Ahead?.Invoke(this, arguments);
            }
        }

        _calls.Add(new PlannedCall(command, first, arguments.Count, operations, _batch.Count - operations, error, queued));
    }

    private string? PlanData(DataCommand? command, RespArguments arguments, int operations)
    {
        try
        {
            return command?.Plan(arguments, Node, _batch);
        }
        catch (HengeException e)
        {
            _batch.Truncate(operations);
            return RespErrors.Of(e.Code, e.Message);
        }
    }

    /// <summary>Why the connection's state does not allow a command; null: it does.</summary>
    private string? Refuse(RespCommand command) => Subscriptions.Refuse(command) ?? Database.Refuse(command);

    private void Reply(in PlannedCall call)
    {
        if (call.Error is not null)
        {
            Writer.Error(call.Error);
        }
        else if (call.Queued)
        {
            Writer.Simple("QUEUED");
        }
        else
        {
            RespArguments arguments = new(_arguments, call.FirstArgument, call.Arguments);
            if (call.Command is DataCommand data)
            {
                data.Reply(arguments, Node, _batch, call.FirstOperation, call.Operations, Writer);
            }
            else
            {
                ((LocalCommand)call.Command!).Run(this, arguments, Writer);
            }
        }
    }

    private enum Stop : byte
    {
        NeedMore,
        Full,
        Slow,
        Malformed,
    }

    private readonly record struct PlannedCall(
        RespCommand? Command, int FirstArgument, int Arguments, int FirstOperation, int Operations, string? Error, bool Queued)
    {
        public int ArgumentsEnd => FirstArgument + Arguments;
    }
}
