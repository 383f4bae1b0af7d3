using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Unicode;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Metrics;
using Henge.Server.Operations;
using Henge.Storage;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.JsonLines;

/// <summary>
/// One connection: reads a JSON value, does what it says, answers, and so on. What is not JSON ends it with an error that says so.
/// </summary>
internal sealed class JsonLinesConnection(ConnectionContext connection, IHengeNode node, ServerMetrics? metrics)
{
    private static readonly TimeSpan SlowClientTimeout = TimeSpan.FromSeconds(60);

    // Text grows by escapes to six times its length at most.
    private readonly long _requestBytesLimit = ((long)(node.Limits.KeyBytes + node.Limits.ValueBytes) * 6) + 1024;
    private readonly ArrayBufferWriter<byte> _answer = new();

    public async Task RunAsync()
    {
        PipeReader input = connection.Transport.Input;
        try
        {
            while (true)
            {
                // Not bound to the connection's end: a client that has closed its sending side still waits for answers.
                ReadResult read = await input.ReadAsync();
                ReadOnlySequence<byte> buffer = read.Buffer;
                bool sound = true;
                while (sound && TryCut(ref buffer, read.IsCompleted, out ReadOnlySequence<byte> request, out string? error))
                {
                    sound = error is null;
                    await AnswerAsync(request, error);
                }

                bool tooLong = buffer.Length > _requestBytesLimit;
                if (sound && tooLong)
                {
                    await AnswerAsync(default, $"The request is longer than {_requestBytesLimit} bytes.");
                }

                input.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted || !sound || tooLong)
                {
                    return;
                }
            }
        }
        catch (Exception e)
            when (e is OperationCanceledException or IOException or TimeoutException)
        {
            // The other end has gone, or takes nothing: there is nobody to tell.
            connection.Abort();
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
            metrics?.Failed(e.Code);
            Write(json => json.WriteString("Err", e.Message));
        }

        metrics?.Operations("json_lines", "request").RecordSince(started);
        connection.Transport.Output.Write(_answer.WrittenSpan);
        ValueTask<FlushResult> flush = connection.Transport.Output.FlushAsync();
        if (!flush.IsCompletedSuccessfully)
        {
            await flush.AsTask().WaitAsync(SlowClientTimeout);
        }
    }

    private async ValueTask DoAsync(byte[] request)
    {
        JsonLinesRequest action = JsonLinesRequest.Parse(request);
        byte[] key = action.Key;
        KvValidation.CheckKey(given: true, key, node.Limits);
        var command = new ArrayBufferWriter<byte>();
        switch (action.Kind)
        {
            case JsonLinesKind.Get:
                await GetAsync(key);
                return;
            case JsonLinesKind.Set:
                byte[] value = action.Value!;
                KvValidation.CheckValue(value, node.Limits);
                CommandEncoder.Put(command, key, value);
                break;
            default:
                CommandEncoder.Delete(command, key);
                break;
        }

        await KeyOperations.WriteAsync(node, key, command.WrittenMemory);
        Write(static json => json.WriteNull("Ok"));
    }

    private async ValueTask GetAsync(byte[] key)
    {
        StoredValue? found = await KeyOperations.GetAsync(node, key);
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
