using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Unicode;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Access;
using Henge.Server.Metrics;
using Henge.Server.Operations;
using Henge.Server.Tls;
using Henge.Storage;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.JsonLines;

/// <summary>
/// One connection: reads a JSON value, does what it says, answers, and so on. What is not JSON ends it with an error that says so.
/// </summary>
internal sealed class JsonLinesConnection
{
    // As of the arguments of a RESP command.
    private const int StrangerBytes = 16 * 1024;
    private static readonly TimeSpan SlowClientTimeout = TimeSpan.FromSeconds(60);

    private readonly ConnectionContext _connection;
    private readonly IHengeNode _node;
    private readonly ServerMetrics? _metrics;
    private readonly Logins? _logins;
    private readonly Caller _caller;
    private readonly Stranger? _stranger;
    private readonly long _requestBytesLimit;
    private readonly ArrayBufferWriter<byte> _answer = new();

    public JsonLinesConnection(ConnectionContext connection, IHengeNode node, ServerMetrics? metrics, Logins? logins)
    {
        _connection = connection;
        _caller = new Caller(CallerHandler.ByCertificate(ConnectionIdentity.Of(connection.Features)));
        _node = node is GuardedNode guarded ? guarded.For(_caller, "json-lines", connection.RemoteEndPoint) : node;
        _metrics = metrics;
        _logins = logins;
        _stranger = logins?.Strangers.Of(connection);

        // Text grows by escapes to six times its length at most.
        _requestBytesLimit = ((long)(node.Limits.KeyBytes + node.Limits.ValueBytes) * 6) + 1024;
    }

    private bool IsStranger => _logins is { } logins && logins.IsStranger(_caller);

    public async Task RunAsync()
    {
        PipeReader input = _connection.Transport.Input;
        try
        {
            LogIn(_caller.Login);
            while (true)
            {
                // Not bound to the connection's end: a client that has closed its sending side still waits for answers.
                ReadResult read = await input.ReadAsync();
                ReadOnlySequence<byte> buffer = read.Buffer;
                bool sound = true;
                while (sound && TryCut(ref buffer, read.IsCompleted, out ReadOnlySequence<byte> request, out string? error))
                {
                    error ??= ProblemOf(request.Length);
                    sound = error is null;
                    await AnswerAsync(request, error);
                }

                string? tooLong = ProblemOf(buffer.Length);
                if (sound && tooLong is not null)
                {
                    await AnswerAsync(default, tooLong);
                }

                input.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted || !sound || tooLong is not null)
                {
                    return;
                }
            }
        }
        catch (Exception e)
            when (e is OperationCanceledException or IOException or TimeoutException)
        {
            // The other end has gone, or takes nothing: there is nobody to tell.
            _connection.Abort();
        }
        finally
        {
            _stranger?.Leave();
        }
    }

    // Of what has not all arrived, or is about to be copied.
    private string? ProblemOf(long length) =>
        length > StrangerBytes && IsStranger
            ? $"Protocol error: unauthenticated request length. Before a client has logged in, a request has at most "
                + $"{StrangerBytes} bytes."
            : length > _requestBytesLimit ? $"The request is longer than {_requestBytesLimit} bytes."
            : null;

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

    /// <summary>Cuts one whole JSON value off the front; with an error when there can be none.</summary>
    private static bool TryCut(ref ReadOnlySequence<byte> buffer, bool last, out ReadOnlySequence<byte> request, out string? error)
    {
        request = default;
        error = null;
        var reader = new SequenceReader<byte>(buffer);
        reader.AdvancePastAny((byte)' ', (byte)'\t', (byte)'\r', (byte)'\n');
        buffer = buffer.Slice(reader.Position);
        if (buffer.IsEmpty)
        {
            return false;
        }

        try
        {
            var json = new Utf8JsonReader(buffer, isFinalBlock: last, default);
            if (!json.Read() || !json.TrySkip())
            {
                return false;
            }

            SequencePosition end = buffer.GetPosition(json.BytesConsumed);
            request = buffer.Slice(0, end);
            buffer = buffer.Slice(end);
        }
        catch (JsonException e)
        {
            error = "This is not JSON: " + e.Message;
            buffer = buffer.Slice(buffer.End);
        }

        return true;
    }

    private async ValueTask AnswerAsync(ReadOnlySequence<byte> request, string? error)
    {
        _answer.ResetWrittenCount();
        long started = Stopwatch.GetTimestamp();
        try
        {
            if (error is not null)
            {
                throw new HengeException(ErrorCode.InvalidArgument, error);
            }

            await DoAsync(request.ToArray());
        }
        catch (HengeException e)
        {
            _metrics?.Failed(e.Code);
            Write(json => json.WriteString("Err", e.Message));
        }

        _metrics?.Operations("json_lines", "request").RecordSince(started);
        _connection.Transport.Output.Write(_answer.WrittenSpan);
        ValueTask<FlushResult> flush = _connection.Transport.Output.FlushAsync();
        if (!flush.IsCompletedSuccessfully)
        {
            await flush.AsTask().WaitAsync(SlowClientTimeout);
        }
    }

    private async ValueTask DoAsync(byte[] request)
    {
        JsonLinesRequest action = JsonLinesRequest.Parse(request);
        if (action.Kind != JsonLinesKind.Auth && IsStranger)
        {
            // Also one that was not asked when it came, or whose login has ended. The check of the operation answers it.
            _stranger!.Enter();
        }

        if (action.Kind == JsonLinesKind.Auth)
        {
            await LogInAsync(action);
            return;
        }

        byte[] key = action.Key;
        KvValidation.CheckKey(given: true, key, _node.Limits);
        var command = new ArrayBufferWriter<byte>();
        switch (action.Kind)
        {
            case JsonLinesKind.Get:
                await GetAsync(key);
                return;
            case JsonLinesKind.Set:
                byte[] value = action.Value!;
                KvValidation.CheckValue(value, _node.Limits);
                CommandEncoder.Put(command, key, value);
                break;
            default:
                CommandEncoder.Delete(command, key);
                break;
        }

        await KeyOperations.WriteAsync(_node, key, command.WrittenMemory);
        Write(static json => json.WriteNull("Ok"));
    }

    // As with Redis, who was logged in before stays so when the next one is refused.
    private async ValueTask LogInAsync(JsonLinesRequest request)
    {
        if (_logins is not { IsNeeded: true })
        {
            throw new HengeException(ErrorCode.InvalidArgument, "This cluster does not ask who you are: access is not checked.");
        }

        LogIn(request.Token is { } token
            ? await _logins.ByTokenAsync(token, _connection.RemoteEndPoint)
            : await _logins.ByPasswordAsync(request.User!, request.Password!, _connection.RemoteEndPoint));
        Write(static json => json.WriteNull("Ok"));
    }

    private async ValueTask GetAsync(byte[] key)
    {
        StoredValue? found = await KeyOperations.GetAsync(_node, key);
        if (found is null)
        {
            Write(static json => json.WriteNull("Ok"));
            return;
        }

        if (found.Type != DataType.Bytes)
        {
            throw new HengeException(
                ErrorCode.WrongType, "The value is a hash, which this protocol cannot carry; read it by another door.");
        }

        if (!Utf8.IsValid(found.Bytes))
        {
            throw new HengeException(
                ErrorCode.WrongType,
                "The value is not UTF-8 text, so this protocol cannot carry it; read it by another door.");
        }

        Write(json => json.WriteString("Ok", found.Bytes));
    }

    private void Write(Action<Utf8JsonWriter> write)
    {
        _answer.ResetWrittenCount();
        using (var json = new Utf8JsonWriter(_answer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        _answer.Write("\n"u8);
    }
}
