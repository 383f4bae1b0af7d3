using Grpc.Core;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Calls;
using Henge.Server.Operations;
using WatchReason = Henge.Node.Api.WatchReason;

namespace Henge.Server.Kv;

/// <summary>
/// One Watch call: events are encoded straight into the connection's buffer, a bounded batch at a time, and no more are taken from the node
/// until the caller has taken those. A slow caller costs one batch; what it has yet to get stays in the node's history.
/// </summary>
internal sealed class WatchStream(
    IHengeNode node, StreamLimits limits, IServerStreamWriter<EncodedMessage> events, ServerCallContext call) : IWatchReceiver
{
    private static readonly byte[] Put = "PUT"u8.ToArray();
    private static readonly byte[] Delete = "DELETE"u8.ToArray();
    private static readonly byte[] Progress = "PROGRESS"u8.ToArray();

    private readonly OperationBuffer _last = new();
    private readonly AsyncSignal _available = new();
    private readonly EncodedMessage _event = new();
    private readonly CallTerms _terms = CallTerms.Of(call);
    private bool _hasLast;

    public async Task RunAsync(WatchRequest request)
    {
        WatchQuery query = CreateQuery(request, node.Limits);
        CancellationToken cancellation = _terms.Cancellation;
        using IWatch watch = node.OpenWatch(query, _available.Set);
        await using CancellationTokenRegistration registration = cancellation.UnsafeRegister(
            static signal => ((AsyncSignal)signal!).Set(),
            _available);
        await _terms.SendHeadersAsync(call);
        if (query.Progress)
        {
            // Where the watch begins: a caller whose connection breaks before the first event goes on from here.
            await WriteMarkAsync(node.Now, watch.ResumeToken);
        }

        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            if (watch.TryRead(this, limits.WatchBatchItems, limits.WatchBatchBytes))
            {
                await WriteLastAsync(watch.ResumeToken);
            }
            else
            {
                await _available.WaitAsync();
            }
        }
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
        (ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper) = KeyRange.Create(
            request.KeyPrefix,
            request.StartKey,
            request.EndKey,
            limits);
        return new WatchQuery
        {
            Lower = lower,
            Upper = upper,
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

        ProtoWriter writer = new(_last.GetSpan(ProtoWriter.SizeOfMessage(token.Length)));
        writer.Write(7, token);
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
        byte[] type = watchEvent.Reason switch
        {
            WatchReason.Put => Put,
            WatchReason.Progress => Progress,
            _ => Delete,
        };
        int previous = watchEvent.HasPrevious
            ? ProtoWriter.SizeOfBytes(watchEvent.Key.Length)
                + ProtoWriter.SizeOfBytes(watchEvent.PreviousValue.Length)
                + ProtoWriter.SizeOf(watchEvent.PreviousVersion.Value)
                + ProtoWriter.SizeOf((ulong)watchEvent.PreviousType)
            : 0;
        int size =
            ProtoWriter.SizeOfBytes(watchEvent.Key.Length)
            + ProtoWriter.SizeOfBytes(watchEvent.Value.Length)
            + ProtoWriter.SizeOfBytes(type.Length)
            + ProtoWriter.SizeOf(watchEvent.Version.Value)
            + ProtoWriter.SizeOf((ulong)watchEvent.Reason)
            + ProtoWriter.SizeOf((ulong)watchEvent.Type)
            + (watchEvent.HasPrevious ? ProtoWriter.SizeOfMessage(previous) : 0);
        ProtoWriter writer = new(_last.GetSpan(size));
        writer.Write(1, watchEvent.Key);
        writer.Write(2, watchEvent.Value);
        writer.Write(3, type);
        writer.Write(4, watchEvent.Version.Value);
        writer.Write(5, (ulong)watchEvent.Reason);
        if (watchEvent.HasPrevious)
        {
            writer.BeginMessage(6, previous);
            writer.Write(1, watchEvent.Key);
            writer.Write(2, watchEvent.PreviousValue);
            writer.Write(3, watchEvent.PreviousVersion.Value);
            writer.Write(5, (ulong)watchEvent.PreviousType);
        }

        writer.Write(8, (ulong)watchEvent.Type);

        _last.Advance(writer.Position);
    }
}
