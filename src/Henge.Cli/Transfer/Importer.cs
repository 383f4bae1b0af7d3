using System.IO.Hashing;
using System.Threading.Channels;
using Henge.Cli.Outcome;
using Henge.Client;
using Henge.Client.Errors;
using Henge.Core;

namespace Henge.Cli.Transfer;

/// <summary>
/// Writes records from a stream with many puts under way. Records of one key are written in the order of the file; a record is done when
/// its put was acknowledged. Memory is bounded by <see cref="LimitBytesUnderWay"/> whatever the size of the stream.
/// </summary>
/// <param name="client">Where to write to.</param>
/// <param name="format">Form of the lines.</param>
/// <param name="concurrency">Puts under way at a time.</param>
/// <param name="prefix">Put before every key.</param>
/// <param name="watermark">Told what is done.</param>
/// <param name="onInvalid">Told of each line that makes no sense or that the cluster refuses, which is then passed over; null: such a line
/// ends the import.</param>
internal sealed class Importer(
    HengeClient client,
    TransferFormat format,
    int concurrency,
    string prefix,
    Watermark watermark,
    Action<string>? onInvalid = null)
{
    public const long LimitBytesUnderWay = 64L * 1024 * 1024;

    private static readonly long LimitTtlMs = (long)TimeSpan.MaxValue.TotalMilliseconds;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly ByteBudget _budget = new(LimitBytesUnderWay);
    private readonly byte[] _prefix = System.Text.Encoding.UTF8.GetBytes(prefix);

    /// <summary>Bytes of the file that have been read.</summary>
    public long BytesRead { get; private set; }

    private long BytesDone { get; set; }

    /// <summary>
    /// Imports all lines. Throws <see cref="UsageException"/> naming the line that makes no sense, and what the client throws.
    /// </summary>
    public async Task RunAsync(Stream input, string name, long offset, long line, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Channel<Pending>[] lanes = new Channel<Pending>[concurrency];
        Task[] workers = new Task[concurrency];
        for (int i = 0; i < concurrency; i++)
        {
            lanes[i] = Channel.CreateBounded<Pending>(new BoundedChannelOptions(8) { SingleReader = true, SingleWriter = true });
            workers[i] = WorkAsync(lanes[i].Reader, name, stop);
        }

        Exception? failure = null;
        try
        {
            await ReadAsync(input, name, offset, line, lanes, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            failure = e;
        }
        catch (Exception e)
        {
            // What is under way may still end well; only reading stops.
            failure = e;
        }

        foreach (Channel<Pending> lane in lanes)
        {
            lane.Writer.TryComplete();
        }

        // A worker's own failure is the cause; that reading was cancelled is only what came of it.
        await Task.WhenAll(workers).ConfigureAwait(false);
        if (failure is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }

    private async Task ReadAsync(
        Stream input,
        string name,
        long offset,
        long line,
        Channel<Pending>[] lanes,
        CancellationToken cancellationToken)
    {
        using LineReader reader = new(input, offset);
        BytesDone = offset;
        while (true)
        {
            TransferRecord record;
            try
            {
                if (await reader.ReadAsync(cancellationToken).ConfigureAwait(false) is not { } text)
                {
                    return;
                }

                line++;
                BytesRead = reader.Offset;
                if (text.IsEmpty)
                {
                    continue;
                }

                record = format == TransferFormat.JsonLines ? JsonRecord.Parse(text.Span) : TsvRecord.Parse(text.Span);
            }
            catch (FormatException e) when (onInvalid is not null && reader.Offset > BytesDone)
            {
                onInvalid($"{name}:{line}: {e.Message}.");
                watermark.Complete(watermark.Begin(reader.Offset, line, isRecord: false));
                continue;
            }
            catch (FormatException e)
            {
                // A line that is too long was not cut off, so it was not counted either.
                throw new UsageException($"{name}:{(reader.Offset > BytesDone ? line : line + 1)}: {e.Message}.");
            }
            finally
            {
                BytesDone = reader.Offset;
            }

            ReadOnlyMemory<byte> key = _prefix.Length == 0 ? record.Key : (byte[])[.. _prefix, .. record.Key.Span];
            int size = key.Length + record.Value.Length + 200;
            await _budget.TakeAsync(size, cancellationToken).ConfigureAwait(false);
            Pending pending = new(record with { Key = key }, watermark.Begin(reader.Offset, line), size);
            Channel<Pending> lane = lanes[XxHash64.HashToUInt64(key.Span) % (ulong)lanes.Length];
            await lane.Writer.WriteAsync(pending, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task WorkAsync(ChannelReader<Pending> lane, string name, CancellationTokenSource stop)
    {
        try
        {
            await foreach (Pending pending in lane.ReadAllAsync(stop.Token).ConfigureAwait(false))
            {
                try
                {
                    await PutAsync(pending.Record, stop.Token).ConfigureAwait(false);
                }
                catch (HengeException e) when (onInvalid is not null && e.Code is ErrorCode.InvalidArgument or ErrorCode.TooLarge)
                {
                    onInvalid($"{name}:{pending.Item.Line}: {e.Message}");
                    pending.Item.IsRecord = false;
                }
                catch (HengeException e)
                {
                    throw ErrorFactory.Create(e.Code, $"{name}:{pending.Item.Line}: {e.Message}", inner: e.InnerException);
                }

                watermark.Complete(pending.Item);
                _budget.Release(pending.Size);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Another lane failed, or the user wants to stop: the watermark says what is done.
            return;
        }
        catch
        {
            await stop.CancelAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async ValueTask PutAsync(TransferRecord record, CancellationToken cancellationToken)
    {
        PutOptions options = new()
        {
            Deadline = Deadline,
            Type = record.Type,
            TimeToLive = record.TtlMs == 0 ? null : record.TtlMs < LimitTtlMs ? TimeSpan.FromMilliseconds(record.TtlMs) : TimeSpan.MaxValue,
        };
        try
        {
            await client.PutAsync(record.Key, record.Value, options, cancellationToken).ConfigureAwait(false);
        }
        catch (UnknownOutcomeException)
        {
            // The same value once more does no harm: the lane still holds back later records of this key.
            await client.PutAsync(record.Key, record.Value, options, cancellationToken).ConfigureAwait(false);
        }
    }

    private readonly record struct Pending(TransferRecord Record, Watermark.Item Item, int Size);
}
