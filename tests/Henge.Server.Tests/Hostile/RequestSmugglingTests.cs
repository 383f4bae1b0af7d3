using System.Net;
using System.Net.Http.Headers;
using Henge.Server.Tests.Access;

namespace Henge.Server.Tests.Hostile;

/// <summary>
/// Requests on whose end two readers could disagree, and other protocols behind an HTTP request: at most the first request is answered, and
/// nothing behind it is done.
/// </summary>
public sealed class RequestSmugglingTests(OpenHost open) : IClassFixture<OpenHost>
{
    private const string Put = "PUT /v1/kv/first HTTP/1.1\r\nHost: localhost\r\n", Chunked = "Transfer-Encoding: chunked\r\n";
    private const string Smuggled = "PUT /v1/kv/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
    private readonly GuardedHost _host = open.Host;

    private IPEndPoint Server => _host.Host.Server.EndPoint;

    [Theory]
    [InlineData("both lengths", Put + "Content-Length: 3\r\n" + Chunked + "\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("both, the other way round", Put + Chunked + "Content-Length: 3\r\n\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("two lengths", Put + "Content-Length: 1\r\nContent-Length: 100\r\n\r\nx" + Smuggled)]
    [InlineData("the same length twice", Put + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx" + Smuggled)]
    [InlineData("a list of lengths", Put + "Content-Length: 1, 1\r\n\r\nx" + Smuggled)]
    [InlineData("a length below zero", Put + "Content-Length: -1\r\n\r\nx" + Smuggled)]
    [InlineData("a length in hexadecimal digits", Put + "Content-Length: 0x1\r\n\r\nx" + Smuggled)]
    [InlineData("another last encoding", Put + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("an unknown encoding", Put + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("a name with a blank", Put + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("a folded line", Put + "X-A: a\r\n Content-Length: 1\r\n\r\n" + Smuggled)]
    [InlineData("a folded encoding", Put + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("a zero byte in a header", Put + "X-A: a\0b\r\nContent-Length: 1\r\n\r\nx" + Smuggled)]
    [InlineData("a carriage return in a header", Put + "X-A: a\rContent-Length: 1\r\n\r\nx" + Smuggled)]
    [InlineData("a chunk's extension with a line end", Put + Chunked + "\r\n1;a\nb\r\nx\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("a chunk's length with a sign", Put + Chunked + "\r\n+1\r\nx\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("a chunk longer than said", Put + Chunked + "\r\n1\r\nxy\r\n0\r\n\r\n" + Smuggled)]
    [InlineData("two hosts", Put + "Host: other\r\nContent-Length: 1\r\n\r\nx" + Smuggled)]
    public async Task Where_a_request_ends_is_not_a_matter_of_opinion(string what, string text)
    {
        string answer = await RawConnection.AnswerAsync(Server, text);
        Assert.StartsWith("HTTP/1.1 4", answer, StringComparison.Ordinal);
        Assert.Equal(1, answer.Split("HTTP/1.1 ").Length - 1);
        Assert.Equal("$-1\r\n$-1\r\n", await _host.TalkAsync("GET first\r\nGET smuggled\r\n"));
        Assert.NotEmpty(what);
    }

    [Theory]
    [InlineData("SET smuggled x\r\n")]
    [InlineData("*3\r\n$3\r\nSET\r\n$8\r\nsmuggled\r\n$1\r\nx\r\n")]
    [InlineData("{\"Set\":{\"key\":\"smuggled\",\"value\":\"x\"}}")]
    [InlineData("HGP\x03\0\0\0\0\0\0\r\n\r\n")]
    [InlineData("\0\0\0\x27\x82\x21\x01\x03put\x1c\x18\x08smuggled\x18\x01x\0\0")]
    public async Task A_connection_that_speaks_HTTP_speaks_nothing_else(string behind)
    {
        string answer = await RawConnection.AnswerAsync(
            Server, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + behind + "\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
        Assert.Contains("HTTP/1.1 400", answer, StringComparison.Ordinal);
        Assert.Equal("$-1\r\n", await _host.TalkAsync("GET smuggled\r\n"));
    }

    [Theory]
    [InlineData("PING\r\nPOST /v1/kv/a HTTP/1.1\r\nSET smuggled x\r\n")]
    [InlineData("PING\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET smuggled x\r\n")]
    [InlineData("PING\r\n*1\r\n$4\r\nPOST\r\nSET smuggled x\r\n")]
    public async Task A_connection_that_speaks_RESP_does_not_do_the_body_of_an_HTTP_request(string text)
    {
        string answer = await RawConnection.AnswerAsync(Server, text);
        Assert.StartsWith("+PONG\r\n", answer, StringComparison.Ordinal);
        Assert.EndsWith("-ERR Protocol error: this is an HTTP request, on a connection that speaks RESP\r\n", answer);
        Assert.DoesNotContain("HTTP/1.1 ", answer, StringComparison.Ordinal);
        Assert.Equal("$-1\r\n", await _host.TalkAsync("GET smuggled\r\n"));
    }

    [Fact]
    public async Task Requests_behind_each_other_that_are_well_formed_are_answered_each()
    {
        string answer = await RawConnection.AnswerAsync(
            Server,
            (Put + Chunked + "\r\n1\r\nx\r\n0\r\n\r\n" + Smuggled).Replace("/v1/kv/", "/v1/kv/well-formed-") + "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Assert.Equal(3, answer.Split("HTTP/1.1 200").Length - 1);
    }

    [Fact]
    public async Task Headers_have_a_bound_in_bytes_and_in_number()
    {
        string Get(string headers) => "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n";
        Assert.StartsWith("HTTP/1.1 431", await RawConnection.AnswerAsync(Server, Get("X-A: " + new string('x', 40_000) + "\r\n")));
        Assert.StartsWith(
            "HTTP/1.1 431",
            await RawConnection.AnswerAsync(Server, Get(string.Concat(Enumerable.Range(0, 101).Select(static i => $"X-{i}: x\r\n")))));
        Assert.StartsWith(
            "HTTP/1.1 414",
            await RawConnection.AnswerAsync(Server, $"GET /v1/kv/{new string('x', 40_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n"));

        // By HTTP/2: an answer or the end of the call, and the next one is answered.
        using HttpRequestMessage large = new(HttpMethod.Post, $"http://{_host.Address}/henge.v1.KVStore/Get")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent([0, 0, 0, 0, 0]),
        };
        large.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        large.Headers.TryAddWithoutValidation("x-a", new string('x', 60_000));
        HttpStatusCode status;
        try
        {
            using HttpResponseMessage answer = await _host.Http.SendAsync(large);
            status = answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            status = HttpStatusCode.RequestHeaderFieldsTooLarge;
        }

        Assert.Equal(HttpStatusCode.RequestHeaderFieldsTooLarge, status);
        using HttpResponseMessage healthy = await _host.HttpAsync(HttpMethod.Get, "/healthz");
        Assert.Equal(HttpStatusCode.OK, healthy.StatusCode);
    }

    [Theory]
    [InlineData("/../../../../etc/passwd")]
    [InlineData("/v1/kv/../../../etc/passwd")]
    [InlineData("/%2e%2e/%2e%2e/etc/passwd")]
    [InlineData("/openapi/../../../etc/passwd")]
    [InlineData("/openapi/..%2f..%2fetc%2fpasswd")]
    [InlineData("//etc/passwd")]
    [InlineData("/v1/kv/..%5c..%5cetc%5cpasswd")]
    [InlineData("/v1/kv/%00")]
    public async Task A_path_leads_to_a_key_or_nowhere_and_never_to_a_file(string path)
    {
        string answer = await RawConnection.AnswerAsync(
            Server, $"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 4", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("root:", answer, StringComparison.Ordinal);
    }
}
