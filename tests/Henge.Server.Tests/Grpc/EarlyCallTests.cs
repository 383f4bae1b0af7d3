using System.Net.Http.Headers;
using Google.Protobuf;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Grpc;

/// <summary>Unary calls are given to the node before the library sees them: what the library refuses must not have taken effect.</summary>
public sealed class EarlyCallTests
{
    private const string Put = "/henge.v1.KVStore/Put";

    private static readonly byte[] PutK = RunningServer.Frame(
        new PutRequest { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFromUtf8("v") });

    [Theory]
    [InlineData("application/grpc", 1)]
    [InlineData("application/grpc+proto", 1)]
    [InlineData("application/grpc; charset=utf-8", 1)]
    [InlineData("application/grpc+json", 0)]
    [InlineData("application/grpc-web", 0)]
    [InlineData("application/json", 0)]
    public async Task Only_what_is_a_grpc_call_takes_effect_and_once(string contentType, int submitted)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        ByteArrayContent content = new(PutK);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        using HttpRequestMessage request = server.Request(Put, content);
        using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
        Assert.Equal(submitted, server.Node.Submitted);
    }

    [Theory]
    [InlineData(900)]
    [InlineData(1100)]
    [InlineData(20_000)]
    public async Task Short_and_long_requests_take_effect_once_also_in_pieces(int size)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        byte[] frame = RunningServer.Frame(
            new PutRequest { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFrom(new byte[size]) });
        foreach (int piece in (int[])[(frame.Length / 5) + 1, 500, frame.Length])
        {
            int before = server.Node.Submitted;
            using PiecesContent content = new(frame, piece);
            using HttpRequestMessage request = server.Request(Put, content);
            using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
            Assert.Equal(GrpcStatusCode.Ok, CallResult.Of(response, await response.Content.ReadAsByteArrayAsync()).Status);
            Assert.Equal(before + 1, server.Node.Submitted);
        }
    }

    [Fact]
    public async Task A_call_over_http1_takes_no_effect()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpRequestMessage request = server.Request(Put, new ByteArrayContent(PutK));
        request.Version = System.Net.HttpVersion.Version11;
        using HttpResponseMessage response = await server.Http.SendAsync(request, CancellationToken.None);
        Assert.Equal(System.Net.HttpStatusCode.UpgradeRequired, response.StatusCode);
        Assert.Equal(0, server.Node.Submitted);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Broken_framing_takes_no_effect(bool inline)
    {
        await using RunningServer server = await RunningServer.StartAsync(new FakeNode { Inline = inline });
        byte[] packed = [.. PutK];
        packed[0] = 1;
        byte[] odd = [.. PutK];
        odd[0] = 7;
        foreach (byte[] body in (byte[][])[[], PutK[..3], PutK[..^1], [.. PutK, 0], [.. PutK, .. PutK], packed, odd])
        {
            CallResult result = await server.CallAsync(Put, body);
            Assert.Equal(GrpcStatusCode.Internal, result.Status);
        }

        Assert.Equal(0, server.Node.Submitted);
        await server.CallAsync<PutResponse>(Put, new PutRequest { Key = ByteString.CopyFromUtf8("k") });
        Assert.Equal(1, server.Node.Submitted);
    }

    [Theory]
    [InlineData("grpc-timeout", "soon")]
    [InlineData("grpc-encoding", "br")]
    [InlineData("henge-cluster", "another")]
    public async Task What_the_gate_refuses_takes_no_effect(string name, string value)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        CallResult result = await server.CallAsync(Put, PutK, (name, value));
        Assert.NotEqual(GrpcStatusCode.Ok, result.Status);
        Assert.Equal(0, server.Node.Submitted);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_bad_request_is_refused_in_the_words_of_the_method_and_takes_no_effect(bool inline)
    {
        await using RunningServer server = await RunningServer.StartAsync(new FakeNode { Inline = inline });
        CallResult result = await server.CallAsync(Put, new PutRequest());
        Assert.Equal(GrpcStatusCode.InvalidArgument, result.Status);
        Assert.Equal(0, server.Node.Submitted);
    }
}
