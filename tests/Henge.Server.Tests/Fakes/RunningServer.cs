using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Henge.Protocol;
using Henge.Protocol.Grpc;
using Henge.Server.Hosting;
using Henge.Server.Ports;
using Microsoft.AspNetCore.Routing;

namespace Henge.Server.Tests.Fakes;

/// <summary>A server on a port of its own, and a raw HTTP/2 client for it that hides nothing.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private RunningServer(FakeNode node, HengeServer server)
    {
        Node = node;
        Server = server;
    }

    public FakeNode Node { get; }

    public HengeServer Server { get; }

    public HttpMessageInvoker Http { get; } = new(new SocketsHttpHandler { UseProxy = false, EnableMultipleHttp2Connections = true });

    public string Address => $"127.0.0.1:{Server.EndPoint.Port}";

    public static async Task<RunningServer> StartAsync(
        FakeNode? node = null,
        Func<DoorOptions, DoorOptions>? options = null,
        IReadOnlyList<IConnectionProtocol>? protocols = null,
        Action<IEndpointRouteBuilder>? endpoints = null,
        Henge.Server.Metrics.ServerMetrics? metrics = null)
    {
        node ??= new FakeNode();
        DoorOptions door = new() { Address = "127.0.0.1:0", DrainTimeout = TimeSpan.FromSeconds(5) };
        HengeServer server = new(node, options?.Invoke(door) ?? door, protocols, endpoints, metrics: metrics);
        await server.StartAsync();
        return new RunningServer(node, server);
    }

    public static byte[] Frame(IMessage message) => Frame(message.ToByteArray());

    public static byte[] Frame(ReadOnlySpan<byte> message, bool compressed = false)
    {
        byte[] frame = new byte[5 + message.Length];
        frame[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)message.Length);
        message.CopyTo(frame.AsSpan(5));
        return frame;
    }

    public HttpRequestMessage Request(string path, HttpContent content, params (string Name, string Value)[] headers)
    {
        HttpRequestMessage request = new(HttpMethod.Post, $"http://{Address}{path}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        content.Headers.ContentType ??= new MediaTypeHeaderValue("application/grpc");
        request.Headers.TryAddWithoutValidation("te", "trailers");
        foreach ((string name, string value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return request;
    }

    public async Task<CallResult> CallAsync(string path, byte[] body, params (string Name, string Value)[] headers)
    {
        using CancellationTokenSource patience = new(Patience);
        using HttpRequestMessage request = Request(path, new ByteArrayContent(body), headers);
        using HttpResponseMessage response = await Http.SendAsync(request, patience.Token);
        byte[] answer = await response.Content.ReadAsByteArrayAsync(patience.Token);
        return CallResult.Of(response, answer);
    }

    public Task<CallResult> CallAsync(string path, IMessage message, params (string Name, string Value)[] headers) =>
        CallAsync(path, Frame(message), headers);

    public async Task<T> CallAsync<T>(string path, IMessage message, params (string Name, string Value)[] headers)
        where T : IMessage<T>, new()
    {
        CallResult result = await CallAsync(path, message, headers);
        Assert.True(result.Status == GrpcStatusCode.Ok, $"{result.Status}: {result.Message}");
        return result.Single<T>();
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Server.DisposeAsync();
        Node.Dispose();
    }
}

/// <summary>What came of a call.</summary>
internal sealed record CallResult(
    HttpStatusCode HttpStatus,
    GrpcStatusCode? Status,
    string Message,
    string? HengeError,
    string? Leader,
    bool TrailersOnly,
    byte[] Body,
    HttpResponseHeaders Headers)
{
    public static CallResult Of(HttpResponseMessage response, byte[] body)
    {
        bool inHeaders = response.Headers.Contains("grpc-status");
        HttpResponseHeaders where = inHeaders ? response.Headers : response.TrailingHeaders;
        string? First(string name) => where.TryGetValues(name, out IEnumerable<string>? values) ? values.Single() : null;
        return new CallResult(
            response.StatusCode,
            First("grpc-status") is { } status ? (GrpcStatusCode)int.Parse(status) : null,
            Uri.UnescapeDataString(First("grpc-message") ?? ""),
            First("henge-error"),
            First("henge-leader"),
            inHeaders,
            body,
            response.Headers);
    }

    public T Single<T>() where T : IMessage<T>, new() => Assert.Single(All<T>());

    public List<T> All<T>() where T : IMessage<T>, new()
    {
        List<T> messages = [];
        for (int at = 0; at < Body.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt32BigEndian(Body.AsSpan(at + 1));
            ReadOnlySpan<byte> bytes = Body.AsSpan(at + 5, length);
            T message = new();
            message.MergeFrom(Body[at] == 1 ? GzipMember.Inflate(bytes.ToArray(), int.MaxValue) : bytes.ToArray());
            messages.Add(message);
            at += 5 + length;
        }

        return messages;
    }
}
