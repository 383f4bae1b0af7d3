using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Henge.Core;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Calls;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Grpc;

/// <summary>The rules of gRPC over HTTP/2, one by one, over a raw client.</summary>
public sealed class GrpcRulesTests
{
    private const string Get = "/henge.v1.KVStore/Get";
    private const string Put = "/henge.v1.KVStore/Put";

    private static readonly byte[] GetK = RunningServer.Frame(new GetRequest { Key = ByteString.CopyFromUtf8("k") });

    [Theory]
    [InlineData("/henge.v1.KVStore/Put")]
    [InlineData("/henge.v1.KVStore/Session")]
    [InlineData("/henge.v1.KVStore/Watch")]
    [InlineData("/henge.v1.Cluster/Topology")]
    public async Task A_call_that_means_another_cluster_is_refused_before_a_message_of_it_is_read(string path)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        CallResult refused = await server.CallAsync(path, "not even a frame"u8.ToArray(), ("henge-cluster", "another"));
        Assert.Equal(
            (GrpcStatusCode.FailedPrecondition, GrpcErrors.ToTrailer(ErrorCode.Misconfigured), true),
            (refused.Status, refused.HengeError, refused.TrailersOnly));
        await server.CallAsync<PutResponse>(
            Put,
            new PutRequest { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFromUtf8("v") },
            ("henge-cluster", "fake"));
    }

    [Fact]
    public async Task A_good_call_has_its_status_in_the_trailers_and_the_content_type_in_the_headers()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpRequestMessage request = server.Request(Get, new ByteArrayContent(GetK));
        using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
        byte[] body = await response.Content.ReadAsByteArrayAsync();
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/grpc", response.Content.Headers.ContentType!.ToString());
        Assert.False(response.Headers.Contains("grpc-status"));
        Assert.Equal("0", response.TrailingHeaders.GetValues("grpc-status").Single());
        Assert.Equal(5, body.Length);
        Assert.False(response.Headers.Contains("server"));
    }

    [Theory]
    [InlineData("/henge.v1.KVStore/Nothing", "no method \"Nothing\"")]
    [InlineData("/henge.v9.KVStore/Get", "no service \"henge.v9.KVStore\"")]
    [InlineData("/", "no service \"\"")]
    [InlineData("/x", "no service \"\"")]
    public async Task What_is_not_there_is_unimplemented(string path, string message)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        CallResult result = await server.CallAsync(path, GetK);
        Assert.Equal(HttpStatusCode.OK, result.HttpStatus);
        Assert.Equal(GrpcStatusCode.Unimplemented, result.Status);
        Assert.True(result.TrailersOnly);
        Assert.Contains(message, result.Message);
    }

    [Theory]
    [InlineData("application/grpc", HttpStatusCode.OK)]
    [InlineData("application/grpc+proto", HttpStatusCode.OK)]
    [InlineData("application/grpc; charset=utf-8", HttpStatusCode.OK)]
    [InlineData("application/grpc+json", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/grpc-web", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json", HttpStatusCode.UnsupportedMediaType)]
    public async Task Other_content_types_are_refused(string contentType, HttpStatusCode expected)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        ByteArrayContent content = new(GetK);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        using HttpRequestMessage request = server.Request(Get, content);
        using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task Only_post_is_taken()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpRequestMessage request = server.Request(Get, new ByteArrayContent(GetK));
        request.Method = HttpMethod.Put;
        using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal("POST", response.Content.Headers.Allow.Single());
    }

    [Fact]
    public async Task Grpc_over_http1_is_told_to_upgrade()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpRequestMessage request = server.Request(Get, new ByteArrayContent(GetK));
        request.Version = HttpVersion.Version11;
        using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
        Assert.Equal(HttpStatusCode.UpgradeRequired, response.StatusCode);
    }

    [Fact]
    public async Task A_message_over_the_limit_is_refused_before_it_is_sent()
    {
        await using RunningServer server = await RunningServer.StartAsync(options: o =>
            o with
            {
                Grpc = new GrpcLimits { MessageBytes = 1024 },
            });
        // The prefix alone, and a body that never ends: the answer must not wait for it.
        byte[] prefix = [0, 0, 0, 4, 1];
        using EndlessContent content = new(prefix);
        using HttpRequestMessage request = server.Request(Put, content);
        using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None).WaitAsync(RunningServer.Patience);
        CallResult result = CallResult.Of(response, []);
        Assert.Equal(GrpcStatusCode.ResourceExhausted, result.Status);
        Assert.Equal(GrpcErrors.ToTrailer(ErrorCode.TooLarge), result.HengeError);
    }

    [Theory]
    [InlineData(new byte[] { })]
    [InlineData(new byte[] { 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 10, 1 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 3, 10, 1, 107, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 7, 0, 0, 0, 3, 10, 1, 107 })]
    [InlineData(new byte[] { 1, 0, 0, 0, 3, 10, 1, 107 })]
    public async Task Broken_framing_is_an_internal_error_of_that_call(byte[] body)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        foreach (string path in new[] { Get, "/henge.v1.KVStore/NodeStatus" })
        {
            CallResult result = await server.CallAsync(path, body);
            Assert.Equal(GrpcStatusCode.Internal, result.Status);
        }

        await server.CallAsync<GetResponse>(Get, new GetRequest { Key = ByteString.CopyFromUtf8("k") });
    }

    [Fact]
    public async Task Messages_arrive_whole_however_they_are_cut_into_frames()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        byte[] frame = RunningServer.Frame(new PutRequest { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFromUtf8("value") });
        for (int piece = 1; piece <= frame.Length; piece++)
        {
            using PiecesContent content = new(frame, piece);
            using HttpRequestMessage request = server.Request(Put, content);
            using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
            Assert.Equal(GrpcStatusCode.Ok, CallResult.Of(response, await response.Content.ReadAsByteArrayAsync()).Status);
        }
    }

    [Fact]
    public async Task Gzip_is_read_and_answered_in_kind()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        byte[] value = new byte[100_000];
        byte[] put = Gzip(new PutRequest { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFrom(value) }.ToByteArray());
        CallResult result = await server.CallAsync(
            Put,
            RunningServer.Frame(put, compressed: true),
            ("grpc-encoding", "gzip"),
            ("grpc-accept-encoding", "identity, gzip"));
        Assert.Equal(GrpcStatusCode.Ok, result.Status);

        byte[] get = Gzip(new GetRequest { Key = ByteString.CopyFromUtf8("k") }.ToByteArray());
        result = await server.CallAsync(
            Get,
            RunningServer.Frame(get, compressed: true),
            ("grpc-encoding", "gzip"),
            ("grpc-accept-encoding", "identity,gzip"));
        Assert.Equal("gzip", result.Headers.GetValues("grpc-encoding").Single());
        Assert.Equal(1, result.Body[0]);
        Assert.True(result.Body.Length < 2000);
        Assert.Equal(value, result.Single<GetResponse>().Value.ToByteArray());

        // An encoding allows compressed messages; it does not demand them.
        result = await server.CallAsync(Get, GetK, ("grpc-encoding", "gzip"));
        Assert.Equal(0, result.Body[0]);
        Assert.Equal(value, result.Single<GetResponse>().Value.ToByteArray());
    }

    [Fact]
    public async Task An_unknown_compression_is_unimplemented_and_the_known_ones_are_named()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        CallResult result = await server.CallAsync(Get, GetK, ("grpc-encoding", "snappy"));
        Assert.Equal(GrpcStatusCode.Unimplemented, result.Status);
        Assert.Equal("identity,gzip", result.Headers.GetValues("grpc-accept-encoding").Single());
    }

    [Theory]
    [InlineData("1")]
    [InlineData("S")]
    [InlineData("-1S")]
    [InlineData("123456789S")]
    [InlineData("1x")]
    public async Task A_malformed_timeout_is_refused(string timeout)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        CallResult result = await server.CallAsync(Get, GetK, ("grpc-timeout", timeout));
        Assert.Equal(GrpcStatusCode.InvalidArgument, result.Status);
        Assert.Contains("grpc-timeout", result.Message);
    }

    [Fact]
    public async Task A_stream_ends_at_its_deadline()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        CallResult result = await server.CallAsync("/henge.v1.KVStore/Watch", new WatchRequest(), ("grpc-timeout", "150m"));
        Assert.Equal(GrpcStatusCode.DeadlineExceeded, result.Status);
        Assert.False(result.TrailersOnly);
        await Until(() => server.Node.OpenWatches == 0);
    }

    [Fact]
    public async Task A_call_whose_body_does_not_come_ends_at_its_deadline()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using EndlessContent content = new([0, 0, 0, 0, 3, 10]);
        using HttpRequestMessage request = server.Request(Get, content, ("grpc-timeout", "100m"));
        using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None).WaitAsync(RunningServer.Patience);
        Assert.Equal(GrpcStatusCode.DeadlineExceeded, CallResult.Of(response, []).Status);
    }

    [Fact]
    public async Task A_caller_that_goes_away_frees_its_watch()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using CancellationTokenSource cancel = new();
        using HttpRequestMessage request = server.Request(
            "/henge.v1.KVStore/Watch",
            new ByteArrayContent(RunningServer.Frame(new WatchRequest())));
        using HttpResponseMessage response = await server.Http.SendAsync(request, cancel.Token).WaitAsync(RunningServer.Patience);
        using Stream body = await response.Content.ReadAsStreamAsync();
        Assert.Equal(1, server.Node.OpenWatches);
        body.Dispose();
        await Until(() => server.Node.OpenWatches == 0);
    }

    [Fact]
    public async Task An_abandoned_call_does_not_disturb_the_ones_after_it()
    {
        FakeNode node = new();
        node.Intercept = operation => operation.Key.Span.SequenceEqual("held"u8) && node.Hold(operation);
        await using RunningServer server = await RunningServer.StartAsync(node);
        for (int i = 0; i < 20; i++)
        {
            using CancellationTokenSource cancel = new();
            using HttpRequestMessage request = server.Request(
                Get,
                new ByteArrayContent(RunningServer.Frame(new GetRequest { Key = ByteString.CopyFromUtf8("held") })));
            Task<HttpResponseMessage> call = server.Http.SendAsync(request, cancel.Token);
            await Until(() => node.Held == 1);
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
            await server.CallAsync<GetResponse>(Get, new GetRequest { Key = ByteString.CopyFromUtf8("k") });
            node.ReleaseHeld();
            await server.CallAsync<GetResponse>(Get, new GetRequest { Key = ByteString.CopyFromUtf8("k") });
        }

        Assert.Equal(0, node.Pins);
    }

    [Fact]
    public async Task Calls_over_the_limit_are_refused_and_those_under_way_go_on()
    {
        FakeNode node = new();
        node.Intercept = node.Hold;
        await using RunningServer server = await RunningServer.StartAsync(node, o => o with { Grpc = new GrpcLimits { Calls = 3 } });
        Task<CallResult>[] held = [.. Enumerable.Range(0, 3).Select(_ => server.CallAsync(Get, GetK))];
        await Until(() => node.Held == 3);
        CallResult refused = await server.CallAsync(Get, GetK);
        Assert.Equal(GrpcStatusCode.ResourceExhausted, refused.Status);
        Assert.Equal(GrpcErrors.ToTrailer(ErrorCode.ResourceExhausted), refused.HengeError);
        node.Intercept = null;
        node.ReleaseHeld();
        Assert.All(await Task.WhenAll(held), result => Assert.Equal(GrpcStatusCode.Ok, result.Status));
        await server.CallAsync<GetResponse>(Get, new GetRequest { Key = ByteString.CopyFromUtf8("k") });
    }

    [Fact]
    public async Task A_thousand_calls_run_at_once_over_one_connection()
    {
        FakeNode node = new();
        node.Intercept = node.Hold;
        await using RunningServer server = await RunningServer.StartAsync(node);
        using HttpMessageInvoker one = new(new SocketsHttpHandler { UseProxy = false, EnableMultipleHttp2Connections = false });
        Task<HttpResponseMessage>[] calls =
        [
            .. Enumerable
                .Range(0, 1000)
                .Select(_ => one.SendAsync(server.Request(Get, new ByteArrayContent(GetK)), CancellationToken.None)),
        ];
        await Until(() => node.Held == 1000);
        Assert.Equal(1, server.Server.OpenConnections);
        node.Intercept = null;
        node.ReleaseHeld();
        foreach (Task<HttpResponseMessage> call in calls)
        {
            using HttpResponseMessage response = await call;
            Assert.Equal(GrpcStatusCode.Ok, CallResult.Of(response, await response.Content.ReadAsByteArrayAsync()).Status);
        }
    }

    [Fact]
    public async Task An_unexpected_error_is_internal_and_tells_nothing_of_the_inside()
    {
        FakeNode node = new() { Inline = true };
        node.Intercept = _ => throw new InvalidOperationException("secret");
        await using RunningServer server = await RunningServer.StartAsync(node);
        CallResult result = await server.CallAsync("/henge.v1.KVStore/History", new HistoryRequest { Key = ByteString.CopyFromUtf8("k") });
        Assert.Equal(GrpcStatusCode.Internal, result.Status);
        Assert.DoesNotContain("secret", result.Message);
        Assert.Equal(((int)ErrorCode.Internal).ToString(), result.HengeError);
    }

    [Fact]
    public async Task Headers_over_the_limit_end_the_call_and_not_the_server()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpRequestMessage request = server.Request(Get, new ByteArrayContent(GetK), ("x-long", new string('x', 60_000)));
        try
        {
            using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
            Assert.Equal(HttpStatusCode.RequestHeaderFieldsTooLarge, response.StatusCode);
        }
        catch (HttpRequestException e)
        {
            Assert.NotEmpty(e.Message);
        }

        await server.CallAsync<GetResponse>(Get, new GetRequest { Key = ByteString.CopyFromUtf8("k") });
    }

    internal static async Task Until(Func<bool> condition) =>
        Assert.True(await Task.Run(() => SpinWait.SpinUntil(condition, RunningServer.Patience)), "The condition did not come true.");

    internal static async Task UntilAsync(Func<Task<bool>> condition)
    {
        DateTime end = DateTime.UtcNow + RunningServer.Patience;
        while (!await condition())
        {
            // Asking takes its time: the condition is a call to the server.
            Assert.True(DateTime.UtcNow < end, "The condition did not come true.");
        }
    }

    internal static byte[] Gzip(byte[] plain)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            gzip.Write(plain);
        }

        return packed.ToArray();
    }
}
