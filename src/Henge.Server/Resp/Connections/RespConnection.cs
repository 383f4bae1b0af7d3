using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Net.Sockets;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Operations;
using Henge.Server.Resp.Wire;
using Henge.Server.Tls;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Henge.Server.Resp.Connections;

/// <summary>
/// One RESP connection. What a read from the socket held goes through the node as one batch, replies leave together, and what arrives
/// meanwhile is the next batch: so a pipeline of any depth costs one wait for each read, and memory is bounded by what one read can hold.
/// </summary>
/// <remarks>
/// Redis does a connection's commands one after another. Here reads and writes of one batch run beside each other, which nobody can tell
/// apart as long as no key is both written and touched again in the batch: a command that would do so ends the batch and begins the next.
/// </remarks>
internal sealed class RespConnection
{
    private const int BatchOperations = 4096;
    private const int FlushBytes = 64 * 1024;
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(10);

    // While more than this waits for the client, what it asks is read and not done.
    private const int PauseBytes = 256 * 1024;
    private readonly ConnectionContext _connection;
    private readonly RespCommandTable _commands;
    private readonly RespWaitingBytes _waiting;
    private readonly RespIntake _intake;
    private readonly RespOutput _output;
    private readonly RespParser _parser;
    private readonly Stranger? _stranger;
    private readonly RespBatch _batch = new();
    private readonly KeyConflicts _conflicts = new();
    private readonly List<ReadOnlyMemory<byte>> _arguments = [];
    private readonly List<PlannedCall> _calls = [];
    private long _batchReplyBytes;
    private int _neededBytes;
    private long _errorsTold;

    public RespConnection(ConnectionContext connection, RespServices services)
    {
        _connection = connection;
        _commands = services.Commands;
        Func<bool>? isStranger = services.Logins is null ? null : () => IsStranger;
        _stranger = services.Logins?.Strangers.Of(connection);
        _waiting = new RespWaitingBytes(services.Waiting, isStranger);
        _intake = new RespIntake(connection.Transport.Input, _waiting, services.CommandBytesLimit);
        _output = new RespOutput(OutputOf(connection), _waiting, services.SlowClientTimeout, Abort);
        _parser = new RespParser(services.CommandBytesLimit, services.ArgumentsLimit, isStranger);
        Services = services;
        Caller = new Caller(CallerHandler.ByCertificate(ConnectionIdentity.Of(connection.Features)));
        FirstLogin = Caller.Login;
        Node = services.Node is GuardedNode guarded ? guarded.For(Caller, "resp", connection.RemoteEndPoint) : services.Node;
        Writer = new RespWriter(_output);
        Id = services.NextConnectionId();
        Transaction = new RespTransaction(this);
        Subscriptions = new RespSubscriptions(this, _output, _waiting);
    }

    public RespServices Services { get; }

    /// <summary>The node, as this client may use it.</summary>
    public IHengeNode Node { get; }

    /// <summary>Who is at the other end.</summary>
    public Caller Caller { get; }

    /// <summary>The user at the other end; null: nobody has logged in.</summary>
    public string? User => Services.Logins is { } logins ? Caller.UserIn(logins.Access.Access) : Caller.Login?.User;

    /// <summary>Whether the client has to log in, and has not.</summary>
    private bool IsStranger => Services.Logins is { } logins && logins.IsStranger(Caller);

    /// <summary>Who it was when it came, by its certificate; null: nobody.</summary>
    public Login? FirstLogin { get; }

    /// <summary>Where the client is.</summary>
    public System.Net.EndPoint? RemoteEndPoint => _connection.RemoteEndPoint;

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

    public async Task RunAsync()
    {
        try
        {
            LogIn(Caller.Login);
            await ServeAsync();
        }
        catch (RespOverflowException e)
        {
            await EndAsync(e);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // The other end has gone, or the server stops: there is nobody to tell.
        }
        finally
        {
            _stranger?.Leave();
            Services.Channels.Flush();
            await Subscriptions.DisposeAsync();
            await _output.CompleteAsync();
            _waiting.GiveBackAll();
        }
    }

    /// <summary>The client has proved to be somebody; null: it is nobody any more, and has to log in where access is checked.</summary>
    public void LogIn(Login? login)
    {
        Caller.Login = login;
        if (IsStranger)
        {
            _stranger!.Enter();
        }
        else
        {
            _stranger?.Leave();
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

    /// <summary>
    /// Waits until this node has everything that was acknowledged to anybody; the version up to which it has, or the error to reply.
    /// </summary>
    public async ValueTask<(Core.Version Version, string? Error)> NowAsync()
    {
        Operation barrier = await RunOneAsync(static o => (o.Kind, o.AllShards) = (OperationKind.Barrier, true));
        return barrier.Error == ErrorCode.None ? (barrier.Version, null) : (default, RespErrors.Of(barrier.Error, barrier.ErrorMessage));
    }

    /// <summary>Runs several operations together, between batches; the first that failed, or null.</summary>
    public async ValueTask<Operation?> RunManyAsync(Action<RespBatch> fill)
    {
        _batch.Clear();
        fill(_batch);
        await _batch.RunAsync(Node);
        for (int i = 0; i < _batch.Count; i++)
        {
            if (_batch[i].Error != ErrorCode.None)
            {
                return _batch[i];
            }
        }

        return null;
    }

    /// <summary>Cuts the connection.</summary>
    public void Abort(Exception reason) => _connection.Abort(new ConnectionAbortedException(reason.Message, reason));

    /// <summary>Cuts the connection of a subscriber that has not taken what was sent to it, or is gone.</summary>
    public void EndSubscriber(Exception reason)
    {
        if (reason is RespOverflowException)
        {
            Services.SubscriberCut(RemoteAddress, reason.Message);
        }
        else if (reason is HengeException { Code: ErrorCode.PermissionDenied or ErrorCode.Unauthenticated })
        {
            Services.Ended(RemoteAddress, reason.Message);
        }

        Abort(reason);
    }

    /// <summary>
    /// Replies go to the socket from the thread that has written them: Kestrel's pipe would hand them to another one, for a thread's switch
    /// a batch (docs/performance.md). Behind TLS, and where there is no socket, they go by the pipe.
    /// </summary>
    private static Stream OutputOf(ConnectionContext connection) =>
        connection.Features.Get<IConnectionSocketFeature>() is { } socket && connection.Features.Get<ITlsConnectionFeature>() is null
            ? new NetworkStream(socket.Socket, ownsSocket: false)
            : connection.Transport.Output.AsStream(leaveOpen: true);

    private async Task ServeAsync()
    {
        while (!Quit)
        {
            // Not bound to the connection's end: a client that has closed its sending side still waits for replies.
            await _intake.ReadAsync(_neededBytes);
            bool more = true;
            while (more && !Quit)
            {
                ReadOnlyMemory<byte> data = _intake.Data(_neededBytes);
                _neededBytes = 0;
                int consumed = await ConsumeAsync(data);
                _intake.Consume(consumed);
                await Subscriptions.EnterAsync();
                try
                {
                    _output.Flush();
                }
                finally
                {
                    Subscriptions.Exit();
                }

                if (_output.WaitingBytes > PauseBytes && !Quit)
                {
                    await _intake.HoldAsync(_output, PauseBytes / 2);
                }

                more = _intake.Length > 0 && (_neededBytes == 0 || _intake.Length >= _neededBytes);
            }

            if (_intake.Completed)
            {
                return;
            }
        }
    }

    /// <summary>
    /// Ends a connection for which too much waits: what was done is replied to, then comes the error. What the client still sends is thrown
    /// away, so that one which only writes comes to the point where it reads.
    /// </summary>
    private async Task EndAsync(RespOverflowException reason)
    {
        Services.Ended(RemoteAddress, reason.Message);
        using var timeout = new CancellationTokenSource(EndTimeout);
        try
        {
            // Nothing is pushed any more, neither into the error nor behind it.
            await Subscriptions.DisposeAsync();
            _output.Unbounded = true;
            Writer.Error("ERR Closing this connection: " + reason.Message);
            CountErrors();
            _output.Flush();
            Task sent = _output
                .WaitAsync(0)
                .ContinueWith(
                    _ => _connection.Features.Get<IConnectionSocketFeature>()?.Socket.Shutdown(SocketShutdown.Send),
                    CancellationToken.None,
                    TaskContinuationOptions.None,
                    TaskScheduler.Default);
            await _intake.DiscardAsync(timeout.Token);
            await sent.WaitAsync(timeout.Token);
        }
        catch (Exception e)
            when (e is OperationCanceledException or IOException or SocketException or InvalidOperationException)
        {
            // It does not want to know.
        }

        Abort(reason);
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
                        _output.Flush();
                        if (_output.WaitingBytes > PauseBytes)
                        {
                            await _intake.HoldAsync(_output, PauseBytes / 2);
                        }
                    }
                }

                if (stop == Stop.Slow)
                {
                    RespArguments arguments = new(
                        _arguments,
                        _calls.Count == 0 ? 0 : _calls[^1].ArgumentsEnd,
                        _arguments.Count - (_calls.Count == 0 ? 0 : _calls[^1].ArgumentsEnd));
                    await RunSlowAsync((SlowCommand)slow!, arguments);
                }
                else if (stop == Stop.Malformed)
                {
                    Writer.Error(_parser.Error ?? RespErrors.IsHttp);
                    Quit = true;
                }
            }
            finally
            {
                Subscriptions.Exit();
            }

            // What was published together leaves together.
            Services.Channels.Flush();
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

            if (_output.WaitingBytes > PauseBytes)
            {
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

        CountErrors();
    }

    private void CountErrors()
    {
        if (Writer.Errors != _errorsTold)
        {
            Services.Metrics?.RespErrors(Writer.Errors - _errorsTold);
            _errorsTold = Writer.Errors;
        }
    }

    private async ValueTask RunSlowAsync(SlowCommand command, RespArguments arguments)
    {
        (int, int) mark = _output.Mark();
        try
        {
            await command.RunAsync(this, arguments, Writer);
        }
        catch (Exception e) when (!IsEnd(e))
        {
            _output.Rollback(mark);
            Writer.Error(Services.Failed(e));
        }
        catch (RespOverflowException)
        {
            _output.Rollback(mark);
            throw;
        }
    }

    /// <summary>True for what ends a connection; all else is the matter of one command.</summary>
    private static bool IsEnd(Exception e) =>
        e is RespOverflowException or OperationCanceledException or ConnectionResetException or ConnectionAbortedException;

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
            RespCommand? command = _commands.Find(arguments.Span(0));
            if (command is null && RespErrors.LooksLikeHttp(arguments.Span(0)))
            {
                _arguments.RemoveRange(first, _arguments.Count - first);
                return Stop.Malformed;
            }

            if (command is DataCommand data1 && !Transaction.Open && _conflicts.Touches(arguments, data1))
            {
                // Not beside what it must come after: it begins the next batch.
                _arguments.RemoveRange(first, _arguments.Count - first);
                position = start;
                return Stop.Full;
            }

            if (
                command is SlowCommand
                && command.Fits(arguments.Count)
                && (!Transaction.Open || RespTransaction.RunsInside(command))
                && Refuse(command) is null)
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
            : !command.Fits(arguments.Count) ? command.ArityError(arguments)
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
    private string? Refuse(RespCommand command)
    {
        if (command.IsForStrangers || !IsStranger)
        {
            return Subscriptions.Refuse(command) ?? Database.Refuse(command);
        }

        // Also one that was not asked when it came, or whose login has ended.
        _stranger!.Enter();
        return RespErrors.NoAuthentication;
    }

    /// <summary>
    /// The reply of one command. What goes wrong with a read (a replica that is being rebuilt, a damaged table) is the error of that
    /// command alone.
    /// </summary>
    private void Reply(in PlannedCall call)
    {
        (int, int) mark = _output.Mark();
        try
        {
            Write(call);
        }
        catch (RespOverflowException)
        {
            _output.Rollback(mark);
            throw;
        }
        catch (Exception e) when (!IsEnd(e))
        {
            _output.Rollback(mark);
            Writer.Error(Services.Failed(e));
        }
    }

    private void Write(in PlannedCall call)
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
