using System.Diagnostics.CodeAnalysis;

namespace Henge.Client.Grpc;

/// <summary>
/// A stream of frames both ways: one writer and one reader at a time, independent of each other. The caller frames and parses, so that nothing is copied twice.
/// </summary>
[SuppressMessage("Reliability", "CA2213", Justification = "The invoker belongs to the transport.")]
internal sealed class GrpcDuplexStream : IDisposable
{
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(1);
    private readonly HttpRequestMessage _request;
    private readonly GrpcDuplexContent _content;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task<HttpResponseMessage> _response;
    private readonly string _address;
    private readonly int _limitBytes;
    private GrpcMessageReader? _reader;

    /// <summary>Sends the head of the request.</summary>
    public GrpcDuplexStream(HttpMessageInvoker invoker, HttpRequestMessage request, GrpcDuplexContent content, string address, int limitBytes)
    {
        _request = request;
        _content = content;
        _address = address;
        _limitBytes = limitBytes;
        _response = SendAsync(invoker);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMessageInvoker invoker)
    {
        try
        {
            return await invoker.SendAsync(_request, _stop.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            AttemptFailedException failure = e as AttemptFailedException ?? GrpcFailure.From(e, _address);
            _content.Abort(failure);
            throw failure;
        }
    }

    /// <summary>Waits until there is a connection to write to. Throws <see cref="AttemptFailedException"/>; then nothing has been sent.</summary>
    public async ValueTask OpenAsync()
    {
        try
        {
            await _content.Opened.WaitAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            throw GrpcFailure.From(e, _address, sent: false);
        }
    }

    /// <summary>Writes frames (with their prefixes). Throws <see cref="AttemptFailedException"/>.</summary>
    public async ValueTask WriteAsync(ReadOnlyMemory<byte> frames)
    {
        try
        {
            Stream stream = await _content.Opened.ConfigureAwait(false);
            await stream.WriteAsync(frames, _stop.Token).ConfigureAwait(false);
            await stream.FlushAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException || GrpcFailure.IsTransport(e))
        {
            await ThrowAnsweredAsync().ConfigureAwait(false);
            throw GrpcFailure.From(e, _address);
        }
    }

    // A node that refuses the call answers and closes the stream; the answer says why, and that nothing was done.
    private async Task ThrowAnsweredAsync()
    {
        if (!_stop.IsCancellationRequested && await Task.WhenAny(_response, Task.Delay(AnswerPatience)).ConfigureAwait(false) == _response && _response.IsCompletedSuccessfully)
        {
            GrpcStatusReader.CheckHead(await _response.ConfigureAwait(false), _address);
        }
    }

    /// <summary>The next message, valid until the next call; null when the call ended well. Throws <see cref="AttemptFailedException"/>.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync()
    {
        HttpResponseMessage response = await _response.ConfigureAwait(false);
        try
        {
            if (_reader is null)
            {
                GrpcStatusReader.CheckHead(response, _address);
                _reader = new GrpcMessageReader(await response.Content.ReadAsStreamAsync(_stop.Token).ConfigureAwait(false), _limitBytes, _address);
            }

            ReadOnlyMemory<byte>? message = await _reader.ReadAsync(_stop.Token).ConfigureAwait(false);
            if (message is null)
            {
                GrpcStatusReader.CheckTrailers(response, _address);
            }

            return message;
        }
        catch (Exception e) when (e is OperationCanceledException || GrpcFailure.IsTransport(e))
        {
            throw GrpcFailure.From(e, _address);
        }
    }

    /// <summary>Says that nothing more will be written; answers may still come.</summary>
    public void CompleteWrites() => _content.Complete();

    /// <summary>Ends the call at once. The reader must have stopped, or be about to fail.</summary>
    public void Cancel() => _stop.Cancel();

    /// <summary>Frees everything. Reader and writer must have stopped.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        _content.Complete();
        if (_response.IsCompletedSuccessfully)
        {
            _response.Result.Dispose();
        }

        _reader?.Dispose();
        _request.Dispose();
        _stop.Dispose();
    }
}
