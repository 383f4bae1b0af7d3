using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Messages;
using Henge.Protocol.V1;
using Henge.Server.Calls;
using Henge.Server.Operations;
using WatchReason = Henge.Node.Api.WatchReason;

namespace Henge.Server.Kv;

/// <summary>One Watch call: events are encoded straight into the connection's buffer, as <see cref="WatchPump"/> gives them.</summary>
internal sealed class WatchStream(
    IHengeNode node, StreamLimits limits, IServerStreamWriter<EncodedMessage> events, ServerCallContext call) : IWatchOutput
{
    private readonly OperationBuffer _last = new();
    private readonly EncodedMessage _event = new();
    private readonly CallTerms _terms = CallTerms.Of(call);
    private bool _hasLast;

    public async Task RunAsync(WatchRequest request)
    {
        WatchQuery query = CreateQuery(request, node.Limits);
        using WatchPump pump = new(node, query, new WatchPace(limits.WatchBatchItems, limits.WatchBatchBytes));
        await pump.OpenAsync(_terms.Cancellation);
        await _terms.SendHeadersAsync(call);
        if (query.Progress)
        {
            // Where the watch begins: a caller whose connection breaks before the first event goes on from here.
            await WriteMarkAsync(node.Now, pump.Watch.ResumeToken);
        }

        await pump.RunAsync(this, _terms.Cancellation);
    }

    ValueTask IWatchOutput.EnterAsync() => ValueTask.CompletedTask;

    bool IWatchOutput.OnRead(IWatch watch) => false;

    ValueTask IWatchOutput.SendAsync(IWatch watch, bool isQuiet) => new(WriteLastAsync(watch.ResumeToken));

    void IWatchOutput.Exit()
    {
    }

    void IWatchReceiver.OnEvent(in WatchEventView watchEvent)
    {
        // The token says where the whole batch ends, so it belongs to the last event only: each event waits until the next one is there.
        if (_hasLast)
        {
            // Another one follows, so it is not flushed, and was written when this returns.
            Task written = WriteAsync(flush: false);
            if (!written.IsCompletedSuccessfully)
            {
                throw written.Exception?.InnerException
                    ?? new InvalidOperationException("A message that is not flushed was not written at once.");
            }
        }

        _last.Truncate(0);
        Encode(watchEvent);
        _hasLast = true;
    }

    private static WatchQuery CreateQuery(WatchRequest request, NodeLimits limits)
    {
        KeyRange range = RequestedRange.Of(
            request.KeyPrefix.Memory,
            request.StartKey.Memory,
            request.EndKey.Memory,
            limits);
        return new WatchQuery
        {
            Lower = range.Start,
            Upper = range.End,
            Start = KvValidation.Version(request.StartVersion, "start_version"),
            Resume = request.ResumeToken.Memory,
            PreviousValues = request.PreviousValues,
            Progress = request.Progress,
        };
    }

    private Task WriteMarkAsync(Core.Version version, ReadOnlySpan<byte> token)
    {
        Encode(new WatchEventView { Reason = WatchReason.Progress, Version = version });
        _hasLast = true;
        return WriteLastAsync(token);
    }

    private Task WriteLastAsync(ReadOnlySpan<byte> token)
    {
        if (!_hasLast)
        {
            return Task.CompletedTask;
        }

        FieldWriter writer = new(_last.GetSpan(WatchEventFields.SizeOfToken(token.Length)));
        WatchEventFields.WriteToken(ref writer, token);
        _last.Advance(writer.Position);
        Task taken = WriteAsync(flush: true);
        _last.Clear();
        _hasLast = false;
        return taken.IsCompletedSuccessfully ? Task.CompletedTask : _terms.TakenAsync(taken);
    }

    private Task WriteAsync(bool flush)
    {
        _event.Bytes = _last.Memory;
        events.WriteOptions = _terms.OptionsOf(_event.Bytes.Length, flush);
        return events.WriteAsync(_event);
    }

    private void Encode(in WatchEventView watchEvent)
    {
        WatchEventFields fields = new()
        {
            Key = watchEvent.Key,
            Value = watchEvent.Value,
            Version = watchEvent.Version.Value,
            Reason = (Protocol.V1.WatchReason)watchEvent.Reason,
            HasPrevious = watchEvent.HasPrevious,
            Type = (DataType)watchEvent.Type,
        };
        if (watchEvent.HasPrevious)
        {
            fields.Previous = new KeyValueFields
            {
                Key = watchEvent.Key,
                Value = watchEvent.PreviousValue,
                Version = watchEvent.PreviousVersion.Value,
                Type = (DataType)watchEvent.PreviousType,
            };
        }

        FieldWriter writer = new(_last.GetSpan(fields.Size));
        fields.Write(ref writer);
        _last.Advance(writer.Position);
    }
}
