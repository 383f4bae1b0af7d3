using System.Net;

namespace Henge.Client.Grpc;

/// <summary>A request body that stays open: the HTTP stack asks for it once, and gets the end only when the caller says so.</summary>
internal sealed class GrpcDuplexContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The stream to write to, once the connection is there.</summary>
    public Task<Stream> Opened => _opened.Task;

    /// <summary>Ends the body.</summary>
    public void Complete() => _completed.TrySetResult();

    /// <summary>Breaks the body off.</summary>
    public void Abort(Exception reason)
    {
        _opened.TrySetException(reason);
        _completed.TrySetException(reason);

        // Nobody may be waiting; the failure is told to whoever reads.
        _ = _opened.Task.Exception;
        _ = _completed.Task.Exception;
    }

    /// <inheritdoc/>
    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    /// <inheritdoc/>
    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        // Without a flush the head of the request would wait for the first message.
        await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
        _opened.TrySetResult(stream);
        await _completed.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    protected override bool TryComputeLength(out long length)
    {
        length = -1;
        return false;
    }
}
