using Grpc.Core;

namespace Henge.Client.Transport;

/// <summary>The answers of one call that has many, from one node. One reader at a time; dispose of it to end the call.</summary>
internal sealed class StreamCall<TAnswer>(AsyncServerStreamingCall<TAnswer> call, string address) : IDisposable
    where TAnswer : class
{
    /// <summary>
    /// The next answer; null when the call ended well. Throws <see cref="Errors.AttemptFailedException"/> when it ended otherwise, and
    /// <see cref="OperationCanceledException"/> when <paramref name="lifetime"/>, with which the call was made, was cancelled.
    /// </summary>
    public async ValueTask<TAnswer?> ReadAsync(CancellationToken lifetime)
    {
        try
        {
            return await call.ResponseStream.MoveNext(CancellationToken.None).ConfigureAwait(false) ? call.ResponseStream.Current : null;
        }
        catch (RpcException e)
        {
            lifetime.ThrowIfCancellationRequested();
            throw CallFailure.From(e, address);
        }
        catch (ObjectDisposedException e)
        {
            lifetime.ThrowIfCancellationRequested();
            throw CallFailure.From(e, address, sent: true);
        }
    }

    /// <summary>Ends the call; the node is told.</summary>
    public void Dispose() => call.Dispose();
}
