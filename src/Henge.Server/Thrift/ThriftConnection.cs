using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Pipelines;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Operations;
using Henge.Server.Ports;
using Henge.Server.Tls;
using Microsoft.AspNetCore.Connections;
using Thrift;
using Thrift.Protocol;
using Thrift.Protocol.Entities;
using Problem = Thrift.TApplicationException.ExceptionType;
using Service = Henge.Thrift.Generated.KVStore;

namespace Henge.Server.Thrift;

/// <summary>
/// One connection: takes a frame, does the call that is in it, answers, and so on, in order. Frames are cut here, so that bounds and times
/// are the port's; the library reads and writes what is in them.
/// </summary>
internal sealed class ThriftConnection : IDisposable
{
    // As of the arguments of a RESP command.
    private const int StrangerBytes = 16 * 1024;
    private const int LengthBytes = sizeof(int);

    // Of a frame that is refused for its length: enough to see which call it is.
    private const int HeaderBytes = 64;
    private static readonly TimeSpan SlowClientTimeout = TimeSpan.FromSeconds(60);

    private readonly ConnectionContext _connection;
    private readonly ThriftServices _services;
    private readonly ThriftCalls _calls;
    private readonly Service.AsyncProcessor _processor;
    private readonly Caller _caller;
    private readonly Stranger? _stranger;
    private readonly FrameInput _input;
    private readonly FrameOutput _output;
    private BoundedProtocol _reader;
    private TProtocol _writer;
    private long _held;

    public ThriftConnection(ConnectionContext connection, ThriftServices services)
    {
        (_connection, _services) = (connection, services);
        _caller = new Caller(CallerHandler.ByCertificate(ConnectionIdentity.Of(connection.Features)));
        _stranger = services.Logins?.Strangers.Of(connection);
        IHengeNode node = services.Node is GuardedNode guarded ? guarded.For(_caller, "thrift", connection.RemoteEndPoint) : services.Node;
        _calls = new ThriftCalls(node, services, _caller, connection, LogIn);
        _processor = new Service.AsyncProcessor(_calls);
        _input = new FrameInput(services.Configuration);
        _output = new FrameOutput(services.Configuration);
        (_reader, _writer) = NewProtocols();
    }

    private bool IsStranger => _services.Logins is { } logins && logins.IsStranger(_caller);

    public async Task RunAsync()
    {
        PipeReader input = _connection.Transport.Input;
        try
        {
            LogIn(_caller.Login);
            bool goesOn = true, isTooLong = false;
            while (goesOn)
            {
                // Not bound to the connection's end: a client that has closed its sending side still waits for answers.
                ReadResult read = await input.ReadAsync();
                ReadOnlySequence<byte> buffer = read.Buffer;
                while (goesOn && TryCut(ref buffer, out ReadOnlySequence<byte> frame, out string? problem))
                {
                    goesOn = await AnswerAsync(frame, problem);
                    isTooLong = problem is not null;
                }

                input.AdvanceTo(buffer.Start, buffer.End);
                goesOn &= !read.IsCompleted;
            }

            if (isTooLong)
            {
                // The client is still sending it.
                await InputDrain.RunAsync(input);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or TimeoutException)
        {
            // The other end has gone, or takes nothing: there is nobody to tell.
            _connection.Abort();
        }
        finally
        {
            _stranger?.Leave();
            _services.Answers.TryChange(ref _held, 0);
            _output.Clear();
        }
    }

    public void Dispose()
    {
        _input.Dispose();
        _output.Dispose();
    }

    /// <summary>
    /// Cuts a frame off the front. One that is longer than it may be is not waited for: its beginning comes instead, and the problem.
    /// </summary>
    private bool TryCut(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> frame, out string? problem)
    {
        (frame, problem) = (default, null);
        if (buffer.Length < LengthBytes)
        {
            return false;
        }

        Span<byte> head = stackalloc byte[LengthBytes];
        buffer.Slice(0, LengthBytes).CopyTo(head);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(head);
        problem =
            length > StrangerBytes && IsStranger
                ? $"Unauthenticated frame length: before a client has logged in, a frame has at most {StrangerBytes} bytes, and this one "
                    + $"has {length}. Call auth first."
            : length > _services.FrameBytes
                ? $"The frame has {length} bytes; the limit is {_services.FrameBytes}. Split the request, or raise the node's limits for "
                    + $"values and commands."
            : null;
        long wanted = problem is null ? length : HeaderBytes;
        if (buffer.Length - LengthBytes < wanted)
        {
            return false;
        }

        frame = buffer.Slice(LengthBytes, wanted);
        buffer = buffer.Slice(problem is null ? frame.End : buffer.End);
        return true;
    }

    /// <summary>Answers a frame; false when nothing behind it is read.</summary>
    private async ValueTask<bool> AnswerAsync(ReadOnlySequence<byte> frame, string? problem)
    {
        _output.Begin();
        _input.Begin(frame);
        TMessage message = new("", TMessageType.Call, 0);
        bool isSound = false, isTooLong = problem is not null;
        try
        {
            message = await _reader.BeginAsync(CancellationToken.None);
            isSound = !isTooLong;
            if (isSound)
            {
                await CallAsync(message);
            }
        }
        catch (Exception e) when (BoundedProtocol.IsMalformed(e))
        {
            problem ??= "The frame is no message of this protocol: " + e.Message;
            (_reader, _writer) = NewProtocols();
        }

        if (problem is not null)
        {
            _services.Metrics?.Failed(isTooLong ? ErrorCode.TooLarge : ErrorCode.InvalidArgument);
            _output.Begin();
            await ThriftAnswers.WriteProblemAsync(_writer, message, Problem.ProtocolError, problem);
        }

        if (message.Type != TMessageType.Oneway)
        {
            await SendAsync(_output.End());
        }

        _output.Clear();
        _calls.TakeFault()?.Throw();
        return isSound;
    }

    /// <summary>Does a call and writes its answer. Throws what the library throws for a message that cannot be read.</summary>
    private async ValueTask CallAsync(TMessage message)
    {
        if (message.Type is not (TMessageType.Call or TMessageType.Oneway))
        {
            await ThriftAnswers.WriteProblemAsync(
                _writer, message, Problem.InvalidMessageType, $"A message of type {(int)message.Type} is no call.");
            return;
        }

        if (!ThriftMethod.All.TryGetValue(message.Name, out ThriftMethod? method))
        {
            _services.Metrics?.Failed(ErrorCode.InvalidArgument);
            await ThriftAnswers.WriteProblemAsync(
                _writer,
                message,
                Problem.UnknownMethod,
                $"There is no such call. There are: {string.Join(", ", ThriftMethod.All.Keys.Order(StringComparer.Ordinal))}.");
            return;
        }

        if (method != ThriftMethod.Auth && IsStranger)
        {
            // Also one that was not asked when it came, or whose login has ended. The check of the operation answers it.
            _stranger!.Enter();
        }

        long started = Stopwatch.GetTimestamp();
        await _processor.ProcessAsync(_reader, _writer, CancellationToken.None);
        _services.Metrics?.Operations("thrift", method.Name).RecordSince(started);
    }

    private async ValueTask SendAsync(ReadOnlyMemory<byte> frame)
    {
        _connection.Transport.Output.Write(frame.Span);
        ValueTask<FlushResult> flush = _connection.Transport.Output.FlushAsync();
        if (flush.IsCompletedSuccessfully)
        {
            return;
        }

        if (!_services.Answers.TryChange(ref _held, Math.Max(0, frame.Length - InputBudget.FreeBytes)))
        {
            _services.Metrics?.ConnectionRefused("memory");
            throw new TimeoutException("Too many bytes of answers wait for clients who do not take them (limit-input-memory).");
        }

        await flush.AsTask().WaitAsync(SlowClientTimeout);
        _services.Answers.TryChange(ref _held, 0);
    }

    private void LogIn(Login? login)
    {
        _caller.Login = login;
        if (IsStranger)
        {
            _stranger!.Enter();
        }
        else
        {
            _stranger?.Leave();
        }
    }

    // What is left in the library's objects of a message that could not be read must not meet the next one.
    private (BoundedProtocol Reader, TProtocol Writer) NewProtocols() =>
        (new BoundedProtocol(_services.ProtocolOver(_input), _services.Elements), _services.ProtocolOver(_output));
}
