using System.Buffers;
using Grpc.Core;

namespace Henge.Client.Sessions;

/// <summary>
/// The duplex stream of batched operations, as <c>Session</c> of the generated KVStore, with marshallers that neither make nor parse
/// message objects: operations are written into the batch where they are called, and answers read straight into the calls that wait for
/// them.
/// </summary>
internal static class SessionMethod
{
    public static readonly Method<SessionStream, SessionFrame> Instance = new(
        MethodType.DuplexStreaming,
        "henge.v1.KVStore",
        "Session",
        new Marshaller<SessionStream>(
            static (stream, context) => stream.WriteMessage(context),
            static _ => throw new NotSupportedException()),
        new Marshaller<SessionFrame>(
            static (_, _) => throw new NotSupportedException(),
            static context => new SessionFrame(context.PayloadAsReadOnlySequence())));
}

/// <summary>
/// One message from a node, in memory that is given back by <see cref="Dispose"/>; the library's own memory is gone once it has been copied
/// here.
/// </summary>
internal sealed class SessionFrame : IDisposable
{
    private readonly byte[] _bytes;
    private readonly int _length;

    public SessionFrame(in ReadOnlySequence<byte> payload)
    {
        _length = (int)payload.Length;
        _bytes = ArrayPool<byte>.Shared.Rent(_length);
        payload.CopyTo(_bytes);
    }

    /// <summary>The message.</summary>
    public ReadOnlySpan<byte> Span => _bytes.AsSpan(0, _length);

    /// <inheritdoc/>
    public void Dispose() => ArrayPool<byte>.Shared.Return(_bytes);
}
