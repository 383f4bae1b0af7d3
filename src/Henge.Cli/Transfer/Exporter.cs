using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Henge.Core;

namespace Henge.Cli.Transfer;

/// <summary>
/// Writes a range, as of one version, page by page. Memory is bounded by a page. One run at a time; the counters may be read from
/// elsewhere.
/// </summary>
internal sealed class Exporter(ScanOptions options, TransferFormat format)
{
    private long _bytes;
    private long _records;
    private ReadOnlyMemory<byte> _continuation;

    public long Bytes => Volatile.Read(ref _bytes);

    public long Records => Volatile.Read(ref _records);

    /// <summary>Writes everything to an output.</summary>
    public async Task ToAsync(HengeClient client, OutputWriter output, CancellationToken cancellationToken)
    {
        do
        {
            await PageAsync(client, output, null, cancellationToken).ConfigureAwait(false);
        }
        while (!_continuation.IsEmpty);
    }

    /// <summary>
    /// Writes everything to a file, leaving a checkpoint beside it after every few pages, so that a later run goes on as of the same
    /// version. Throws <see cref="UsageException"/> when the file must not be overwritten.
    /// </summary>
    public async Task ToFileAsync(
        HengeClient client,
        string path,
        bool resume,
        bool force,
        CliContext context,
        CancellationToken cancellationToken)
    {
        string request = Describe();
        Checkpoint? old = Checkpoint.Load(path);
        if (old is not null && resume)
        {
            if (old.Request != request || !File.Exists(path) || new FileInfo(path).Length < old.Offset)
            {
                throw new UsageException(
                    $"The interrupted export to {path} was another one. Give the same range and form, or begin anew with --force.");
            }

            _continuation = old.Continuation;
            _bytes = old.Offset;
            _records = old.Records;
        }
        else if (!force && File.Exists(path))
        {
            throw new UsageException(old is null
                ? $"{path} exists already; overwrite it with --force."
                : $"An export to {path} was interrupted. Go on with --resume, or begin anew with --force.");
        }

        using FileStream stream = new(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, 1);

        // What came after the checkpoint is written once more.
        stream.SetLength(_bytes);
        stream.Position = _bytes;
        OutputWriter output = new(stream);
        long savedAt = context.Time.GetTimestamp();
        try
        {
            do
            {
                await PageAsync(client, output, stream, cancellationToken).ConfigureAwait(false);
                if (!_continuation.IsEmpty && context.Time.GetElapsedTime(savedAt) > TimeSpan.FromSeconds(2))
                {
                    Save(stream, path, request);
                    savedAt = context.Time.GetTimestamp();
                }
            }
            while (!_continuation.IsEmpty);
        }
        catch (Exception e) when (e is HengeException or OperationCanceledException)
        {
            if (_continuation.IsEmpty)
            {
                // Not one page came: nothing to go on with.
                stream.Close();
                File.Delete(path);
                throw;
            }

            Save(stream, path, request);
            await context.Error.WriteLineAsync($"henge: stopped after {_records} records; go on with --resume").ConfigureAwait(false);
            throw;
        }

        stream.Flush(flushToDisk: true);
        Checkpoint.Delete(path);
    }

    private async Task PageAsync(HengeClient client, OutputWriter output, Stream? file, CancellationToken cancellationToken)
    {
        ScanPage page = await client.ScanPageAsync(options, _continuation, cancellationToken).ConfigureAwait(false);
        long bytes = 0;
        foreach (KeyValue pair in page.Pairs)
        {
            if (pair.Type > DataType.Hash)
            {
                string key = TextForm.OfBytes(pair.Key.Span, ByteEncoding.Text);
                throw new HengeException(
                    ErrorCode.UnsupportedFormat,
                    $"The value of {key} is of type {(int)pair.Type}, which this build does not know. Export with the build of the nodes.");
            }

            TransferRecord record = new(pair.Key, pair.Value, (long)(pair.TimeToLive?.TotalMilliseconds ?? 0), pair.Type);
            if (format == TransferFormat.JsonLines)
            {
                JsonRecord.Write(output, record);
            }
            else
            {
                TsvRecord.Write(output, record);
            }

            bytes += pair.Key.Length + pair.Value.Length;
        }

        output.Flush();
        Volatile.Write(ref _bytes, file?.Position ?? (_bytes + bytes));
        Volatile.Write(ref _records, _records + page.Pairs.Count);
        _continuation = page.Continuation;
    }

    private void Save(FileStream stream, string path, string request)
    {
        // The file first: a checkpoint must not speak of bytes that a power cut could take.
        stream.Flush(flushToDisk: true);
        new Checkpoint { Offset = _bytes, Records = _records, Continuation = _continuation, Request = request }.Save(path);
    }

    private string Describe() => string.Join(
        ' ',
        format,
        Convert.ToHexString(options.Range.Start.Span),
        Convert.ToHexString(options.Range.End.Span),
        options.AtVersion);
}
