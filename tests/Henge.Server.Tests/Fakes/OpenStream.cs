using System.Buffers.Binary;
using System.Net;
using System.Threading.Channels;
using Google.Protobuf;
using Henge.Protocol.Grpc;

namespace Henge.Server.Tests.Fakes;

/// <summary>A call that stays open, message by message.</summary>
internal sealed class OpenStream : IAsyncDisposable
{
    private readonly ChannelContent? _content;
    private readonly HttpResponseMessage _response;
    private readonly Stream _body;

    private OpenStream(ChannelContent? content, HttpResponseMessage response, Stream body)
    {
        _content = content;
        _response = response;
        _body = body;
    }

    /// <summary>
    /// Opens a call. A service that answers its caller with nothing before it has been asked something needs the first message now.
    /// </summary>
    public static async Task<OpenStream> OpenAsync(RunningServer server, string path, IMessage? only = null, IMessage? first = null)
    {
        ChannelContent? channel = only is null ? new ChannelContent() : null;
        HttpContent content = only is null ? channel! : new ByteArrayContent(RunningServer.Frame(only));
        if (first is not null)
        {
            await channel!.Channel.Writer.WriteAsync(RunningServer.Frame(first));
        }

        HttpRequestMessage request = server.Request(path, content);
        HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None).WaitAsync(RunningServer.Patience);
        return new OpenStream(channel, response, await response.Content.ReadAsStreamAsync());
    }

    public ValueTask WriteAsync(IMessage message) => WriteAsync(RunningServer.Frame(message));

    public ValueTask WriteAsync(byte[] bytes) => _content!.Channel.Writer.WriteAsync(bytes);

    public void Complete() => _content!.Channel.Writer.Complete();

    public async Task<T> ReadAsync<T>() where T : IMessage<T>, new()
    {
        using CancellationTokenSource patience = new(RunningServer.Patience);
        byte[] prefix = new byte[5];
        await _body.ReadExactlyAsync(prefix, patience.Token);
        byte[] message = new byte[BinaryPrimitives.ReadUInt32BigEndian(prefix.AsSpan(1))];
        await _body.ReadExactlyAsync(message, patience.Token);
        T parsed = new();
        parsed.MergeFrom(message);
        return parsed;
    }

    /// <summary>Reads to the end, and gives the status.</summary>
    public async Task<CallResult> EndAsync()
    {
        using CancellationTokenSource patience = new(RunningServer.Patience);
        using MemoryStream rest = new();
        await _body.CopyToAsync(rest, patience.Token);
        return CallResult.Of(_response, rest.ToArray());
    }

    public ValueTask DisposeAsync()
    {
        _body.Dispose();
        _response.Dispose();
        _content?.Channel.Writer.TryComplete();
        return default;
    }

    private sealed class ChannelContent : HttpContent
    {
        public Channel<byte[]> Channel { get; } = System.Threading.Channels.Channel.CreateUnbounded<byte[]>();

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await stream.FlushAsync(cancellationToken);
            await foreach (byte[] bytes in Channel.Reader.ReadAllAsync(cancellationToken))
            {
                await stream.WriteAsync(bytes, cancellationToken);
                await stream.FlushAsync(cancellationToken);
            }
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
