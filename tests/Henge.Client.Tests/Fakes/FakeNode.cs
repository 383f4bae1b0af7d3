using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Henge.Core;
using Henge.Protocol.Grpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace Henge.Client.Tests.Fakes;

/// <summary>A gRPC server whose every answer the test decides. Speaks HTTP/2 on a port of its own.</summary>
public sealed class FakeNode : IAsyncDisposable
{
    private readonly WebApplication _application;

    private FakeNode(WebApplication application) => _application = application;

    /// <summary>Its <c>host:port</c>.</summary>
    public string Address { get; private set; } = "";

    /// <summary>Paths of all calls, in order of arrival.</summary>
    public ConcurrentQueue<string> Calls { get; } = [];

    /// <summary>How many calls of a method have come.</summary>
    public int Count(string method) => Calls.Count(c => c.EndsWith("/" + method, StringComparison.Ordinal));

    public static async Task<FakeNode> StartAsync(Func<FakeCall, Task> handler, int port = 0, X509Certificate2? certificate = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddLogging(l => l.ClearProviders());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(k =>
        {
            k.Listen(IPAddress.Loopback, port, l =>
            {
                l.Protocols = HttpProtocols.Http2;
                if (certificate is not null)
                {
                    l.UseHttps(certificate);
                }
            });
            k.AddServerHeader = false;
            k.Limits.MinRequestBodyDataRate = null;
        });
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromMilliseconds(50));
        WebApplication application = builder.Build();
        FakeNode node = new(application);
        application.Run(async http =>
        {
            node.Calls.Enqueue(http.Request.Path);
            http.Response.ContentType = GrpcHeaders.ContentType;
            FakeCall call = new(http);
            await handler(call);
            call.Finish();
        });
        await application.StartAsync();
        node.Address = application.Urls.First().Split("://")[1];
        return node;
    }

    public int Port => int.Parse(Address[(Address.LastIndexOf(':') + 1)..]);

    public async ValueTask DisposeAsync()
    {
        using CancellationTokenSource now = new();
        await now.CancelAsync();
        await _application.StopAsync(now.Token);
        await _application.DisposeAsync();
    }
}

/// <summary>One call that a <see cref="FakeNode"/> got.</summary>
public sealed class FakeCall(HttpContext http)
{
    private bool _statusSet;

    public HttpContext Http => http;

    public string Method => http.Request.Path.Value!.Split('/')[^1];

    public string? Header(string name) => http.Request.Headers[name].FirstOrDefault();

    /// <summary>The next request message; null at the end.</summary>
    public async Task<T?> ReadAsync<T>(MessageParser<T> parser)
        where T : class, IMessage<T>
    {
        byte[] prefix = new byte[5];
        int read = await http.Request.Body.ReadAtLeastAsync(prefix, 5, throwOnEndOfStream: false, http.RequestAborted);
        if (read == 0)
        {
            return null;
        }

        Assert.Equal(5, read);
        byte[] message = new byte[BinaryPrimitives.ReadUInt32BigEndian(prefix.AsSpan(1))];
        await http.Request.Body.ReadExactlyAsync(message, http.RequestAborted);
        return parser.ParseFrom(message);
    }

    public async Task WriteAsync(IMessage message)
    {
        byte[] framed = new byte[5 + message.CalculateSize()];
        BinaryPrimitives.WriteUInt32BigEndian(framed.AsSpan(1), (uint)framed.Length - 5);
        message.WriteTo(framed.AsSpan(5));
        await WriteRawAsync(framed);
    }

    public async Task WriteRawAsync(byte[] bytes)
    {
        await http.Response.Body.WriteAsync(bytes);
        await http.Response.Body.FlushAsync();
    }

    /// <summary>Hands the call to a server over HTTP/2 and gives its answer back, piece by piece.</summary>
    public async Task ForwardAsync(HttpMessageInvoker to, string address)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, $"http://{address}{http.Request.Path}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ForwardedBody(http.Request.Body),
        };
        foreach ((string name, StringValues values) in http.Request.Headers)
        {
            if (name is not ("Host" or "Content-Type"))
            {
                request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            }
        }

        using HttpResponseMessage response = await to.SendAsync(request, http.RequestAborted);
        foreach ((string name, IEnumerable<string> values) in response.Headers)
        {
            http.Response.Headers[name] = values.ToArray();
        }

        _statusSet = true;
        await http.Response.StartAsync(http.RequestAborted);
        await ForwardedBody.PumpAsync(
            await response.Content.ReadAsStreamAsync(http.RequestAborted),
            http.Response.Body,
            http.RequestAborted);
        foreach ((string name, IEnumerable<string> values) in response.TrailingHeaders)
        {
            http.Response.AppendTrailer(name, values.ToArray());
        }
    }

    /// <summary>Ends the call with an error, in trailers-only form if nothing was written.</summary>
    public void Fail(ErrorCode code, string message = "as the test wants it", string? leader = null, ulong leaderTerm = 0)
    {
        FailBare(GrpcErrors.ToStatus(code), message, GrpcErrors.ToTrailer(code), leader);
        if (leaderTerm > 0)
        {
            Trail(GrpcHeaders.HengeLeaderTerm, leaderTerm.ToString());
        }
    }

    /// <summary>Ends the call with a status as a stranger would: without Henge's own trailer.</summary>
    public void FailBare(GrpcStatusCode status, string message, string? fine = null, string? leader = null)
    {
        Trail(GrpcHeaders.Status, ((int)status).ToString());
        Trail(GrpcHeaders.Message, Uri.EscapeDataString(message));
        if (fine is not null)
        {
            Trail(GrpcHeaders.HengeError, fine);
        }

        if (leader is not null)
        {
            Trail(GrpcHeaders.HengeLeader, leader);
        }

        _statusSet = true;
    }

    /// <summary>Breaks the stream off without an answer.</summary>
    public void Abort()
    {
        http.Abort();
        _statusSet = true;
    }

    /// <summary>Ends the call without a status, which the protocol forbids.</summary>
    public void EndWithoutStatus() => _statusSet = true;

    /// <summary>Waits until the client has given up.</summary>
    public async Task HangAsync()
    {
        TaskCompletionSource gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using (http.RequestAborted.Register(gone.SetResult))
        {
            await gone.Task;
        }

        _statusSet = true;
    }

    public void Finish()
    {
        if (!_statusSet)
        {
            Trail(GrpcHeaders.Status, "0");
        }
    }

    private void Trail(string name, string value)
    {
        if (http.Response.HasStarted)
        {
            http.Response.AppendTrailer(name, value);
        }
        else
        {
            http.Response.Headers[name] = value;
        }
    }

    /// <summary>A body that is sent as it comes.</summary>
    private sealed class ForwardedBody : HttpContent
    {
        private readonly Stream _body;

        public ForwardedBody(Stream body)
        {
            _body = body;
            Headers.TryAddWithoutValidation("content-type", GrpcHeaders.ContentType);
        }

        public static async Task PumpAsync(Stream from, Stream to, CancellationToken cancellationToken)
        {
            byte[] buffer = new byte[64 * 1024];
            for (int read; (read = await from.ReadAsync(buffer, cancellationToken)) > 0;)
            {
                await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                await to.FlushAsync(cancellationToken);
            }
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
            PumpAsync(_body, stream, cancellationToken);

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
