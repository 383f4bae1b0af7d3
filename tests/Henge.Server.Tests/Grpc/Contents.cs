using System.Net;

namespace Henge.Server.Tests.Grpc;

/// <summary>A body that begins and never ends.</summary>
internal sealed class EndlessContent(byte[] beginning) : HttpContent
{
    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(beginning, cancellationToken);
        await stream.FlushAsync(cancellationToken);
        await Task.Delay(Timeout.Infinite, cancellationToken);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}

/// <summary>A body that is sent in pieces.</summary>
internal sealed class PiecesContent(byte[] body, int pieceBytes) : HttpContent
{
    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        for (int at = 0; at < body.Length; at += pieceBytes)
        {
            await stream.WriteAsync(body.AsMemory(at, Math.Min(pieceBytes, body.Length - at)));
            await stream.FlushAsync();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
