using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Henge.Server.JsonLines;
using Henge.Server.Rest;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Rest;

/// <summary>Keys over HTTP/1.1 and JSON lines, over a node that is a dictionary.</summary>
public sealed class RestTests
{
    internal static async Task<(RunningServer Server, HttpClient Http)> StartAsync(FakeNode? node = null)
    {
        node ??= new FakeNode();
        RunningServer server = await RunningServer.StartAsync(node, protocols: [new JsonLinesProtocol(node)]);
        return (server, new HttpClient { BaseAddress = new Uri("http://" + server.Address), Timeout = RunningServer.Patience });
    }

    private static async Task<JsonElement> JsonAsync(HttpResponseMessage response) =>
        JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;

    [Fact]
    public async Task A_value_goes_in_and_comes_out_as_it_was_with_its_version_as_ETag()
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        byte[] value = [0, 255, 1, 2];
        HttpResponseMessage put = await http.PutAsync("/v1/kv/a%2Fb%FF", new ByteArrayContent(value));
        Assert.Equal(HttpStatusCode.OK, put.StatusCode);
        HttpResponseMessage get = await http.GetAsync("/v1/kv/a%2Fb%FF");
        Assert.Equal(value, await get.Content.ReadAsByteArrayAsync());
        Assert.Equal(put.Headers.ETag, get.Headers.ETag);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/v1/kv/a/b")).StatusCode);
        Assert.Equal(value, await http.GetByteArrayAsync("/v1/kv/a/b%FF"));
        Assert.Equal(HttpStatusCode.OK, (await http.DeleteAsync("/v1/kv/a%2Fb%FF")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/v1/kv/a%2Fb%FF")).StatusCode);
    }

    [Fact]
    public async Task Conditions_are_If_Match_and_If_None_Match()
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        async Task<HttpResponseMessage> PutAsync(Action<HttpRequestHeaders> headers)
        {
            var request = new HttpRequestMessage(HttpMethod.Put, "/v1/kv/k") { Content = new StringContent("v") };
            headers(request.Headers);
            return await http.SendAsync(request);
        }

        HttpResponseMessage first = await PutAsync(h => h.IfNoneMatch.ParseAdd("*"));
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await PutAsync(h => h.IfNoneMatch.ParseAdd("*"))).StatusCode);
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await PutAsync(h => h.IfMatch.ParseAdd("\"1\""))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await PutAsync(h => h.IfMatch.Add(first.Headers.ETag!))).StatusCode);
    }

    [Fact]
    public async Task JSON_both_ways_carries_text_and_bytes()
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        await http.PutAsync("/v1/kv/k?format=json", new StringContent("{\"value\":\"héllo\",\"ttlMs\":60000}"));
        JsonElement got = await JsonAsync(await http.GetAsync("/v1/kv/k?format=json"));
        Assert.Equal("héllo", got.GetProperty("value").GetString());
        await http.PutAsync("/v1/kv/b?format=json", new StringContent("{\"valueBase64\":\"/w==\"}"));
        Assert.Equal("/w==", (await JsonAsync(await http.GetAsync("/v1/kv/b?format=json"))).GetProperty("valueBase64").GetString());
    }

    [Theory]
    [InlineData("/v1/kv/k?ttl=soon", "ttl")]
    [InlineData("/v1/kv/k?color=red", "color")]
    [InlineData("/v1/kv/k?format=xml", "format")]
    public async Task Bad_requests_say_what_was_wrong(string path, string named)
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        HttpResponseMessage response = await http.PutAsync(path, new StringContent("v"));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(
            named,
            (await JsonAsync(response)).GetProperty("error").GetProperty("message").GetString(),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_over_the_limit_is_refused()
    {
        (RunningServer server, HttpClient http) = await StartAsync(new FakeNode { Limits = new() { ValueBytes = 100 } });
        await using RunningServer _ = server;
        Assert.Equal(
            HttpStatusCode.RequestEntityTooLarge,
            (await http.PutAsync("/v1/kv/k", new ByteArrayContent(new byte[5000]))).StatusCode);
        Assert.Equal(
            HttpStatusCode.RequestEntityTooLarge,
            (await http.PutAsync("/v1/kv/k", new ByteArrayContent(new byte[101]))).StatusCode);
    }

    [Fact]
    public async Task A_range_comes_page_by_page()
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        for (int i = 0; i < 25; i++)
        {
            await http.PutAsync($"/v1/kv/p:{i:D2}", new StringContent("v" + i));
        }

        var keys = new List<string>();
        string next = "";
        do
        {
            JsonElement page = await JsonAsync(await http.GetAsync($"/v1/kv?prefix=p:&limit=10{next}"));
            keys.AddRange(page.GetProperty("pairs").EnumerateArray().Select(p => p.GetProperty("key").GetString()!));
            next = page.TryGetProperty("continue", out JsonElement token) ? "&continue=" + token.GetString() : "";
        }
        while (next.Length > 0);
        Assert.Equal(Enumerable.Range(0, 25).Select(i => $"p:{i:D2}"), keys);
        Assert.Equal(25, (await JsonAsync(await http.GetAsync("/v1/kv?prefix=p:&count=true"))).GetProperty("count").GetInt32());
    }

    [Fact]
    public async Task JSON_lines_are_answered_as_in_the_articles()
    {
        (RunningServer server, HttpClient _) = await StartAsync();
        await using RunningServer running = server;
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
        byte[] request = Encoding.UTF8.GetBytes(
            "{\"Set\":{\"key\":\"a\",\"value\":\"b\"}}{\"Get\":{\"key\":\"a\"}}\n{\"Remove\":{\"key\":\"a\"}} "
                + "{\"Get\":{\"key\":\"a\"}}\n{\"Fly\":{\"key\":\"a\"}}\n");
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(request);
        client.Client.Shutdown(SocketShutdown.Send);
        string answer = await new StreamReader(stream).ReadToEndAsync().WaitAsync(RunningServer.Patience);
        Assert.Equal(
            "{\"Ok\":null}\n{\"Ok\":\"b\"}\n{\"Ok\":null}\n{\"Ok\":null}\n{\"Err\":\"There is no request \\u0027Fly\\u0027; there are Set, "
                + "Get, Remove and Auth.\"}\n",
            answer);
    }

    [Fact]
    public async Task What_is_not_JSON_gets_an_error_and_the_connection_ends()
    {
        (RunningServer server, HttpClient _) = await StartAsync();
        await using RunningServer running = server;
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
        await client.GetStream().WriteAsync("{bad\n"u8.ToArray());
        string answer = await new StreamReader(client.GetStream()).ReadToEndAsync().WaitAsync(RunningServer.Patience);
        Assert.StartsWith("{\"Err\":\"This is not JSON", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("..", "%2E%2E")]
    [InlineData("../x", "..%2Fx")]
    [InlineData("a//b", "a//b")]
    [InlineData("a\0b", "a%00b")]
    [InlineData(" +&=", "%20%2B%26%3D")]
    [InlineData("", "")]
    public async Task Every_key_has_a_way_in_by_the_query(string key, string encoded)
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        Assert.Equal(HttpStatusCode.OK, (await http.PutAsync($"/v1/kv?key={encoded}", new StringContent("v"))).StatusCode);
        JsonElement got = await JsonAsync(await http.GetAsync($"/v1/kv?format=json&key={encoded}"));
        Assert.Equal(key, got.GetProperty("key").GetString());
        string base64 = Convert.ToBase64String(Encoding.UTF8.GetBytes(key)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        Assert.Equal("v", await http.GetStringAsync($"/v1/kv?key64={base64}"));
        Assert.Equal(HttpStatusCode.OK, (await http.DeleteAsync($"/v1/kv?key64={base64}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync($"/v1/kv?key={encoded}")).StatusCode);
    }

    [Theory]
    [InlineData("PUT /v1/%6bv/k HTTP/1.1", "k")]
    [InlineData("PUT /x/../v1/kv/k HTTP/1.1", "k")]
    [InlineData("PUT http://localhost/v1/kv/k HTTP/1.1", "k")]
    public async Task The_key_is_that_of_the_route_in_every_form_of_the_target(string requestLine, string key)
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
        await client
            .GetStream()
            .WriteAsync(Encoding.ASCII.GetBytes(requestLine + "\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\nv"));
        string answer = await new StreamReader(client.GetStream()).ReadToEndAsync().WaitAsync(RunningServer.Patience);
        Assert.StartsWith("HTTP/1.1 200", answer, StringComparison.Ordinal);
        JsonElement page = await JsonAsync(await http.GetAsync("/v1/kv"));
        Assert.Equal([key], page.GetProperty("pairs").EnumerateArray().Select(p => p.GetProperty("key").GetString()!));
    }

    [Fact]
    public async Task Bytes_in_queries_are_bytes()
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        await http.PutAsync("/v1/kv/%ff", new StringContent("v"));
        await http.PutAsync("/v1/kv/%ef%bf%bd", new StringContent("a replacement character"));
        foreach (
            string range in (string[])["prefix=%ff", "prefix64=_w", "prefix64=_w%3D%3D", "start=%ff", "start64=_w", "start=%f0&end=%ff%00"])
        {
            JsonElement page = await JsonAsync(await http.GetAsync("/v1/kv?" + range));
            Assert.Equal("/w==", Assert.Single(page.GetProperty("pairs").EnumerateArray()).GetProperty("keyBase64").GetString());
        }

        Assert.Equal(0, (await JsonAsync(await http.GetAsync("/v1/kv?count=1&start=%00&end=%ef"))).GetProperty("count").GetInt32());
    }

    [Theory]
    [InlineData("/v1/kv/k?at=NaN", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?at=Infinity", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?at=-5m", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?at=5", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?at=@NaN", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?at=2024-12-31T23:59:59Z", HttpStatusCode.Gone)]
    [InlineData("/v1/kv/k?at=2024-01-01", HttpStatusCode.Gone)]
    [InlineData("/v1/kv/k?at=1969-01-01", HttpStatusCode.Gone)]
    [InlineData("/v1/kv/k?at=0001-01-01", HttpStatusCode.Gone)]
    [InlineData("/v1/kv/k?at=@0", HttpStatusCode.Gone)]
    [InlineData("/v1/kv/k?at=900000d", HttpStatusCode.Gone)]
    [InlineData("/v1/kv/k?at=2025-01-01", HttpStatusCode.NotFound)]
    [InlineData("/v1/kv/k?at=2099-01-01", HttpStatusCode.OK)]
    [InlineData("/v1/kv/k?at=9999-12-31T23:59:59.999Z", HttpStatusCode.OK)]
    [InlineData("/v1/kv/k?at=0s", HttpStatusCode.OK)]
    [InlineData("/v1/kv/k?version=0", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?version=-1", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?version=1e3", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?version=9007199254740992", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv/k?version=1", HttpStatusCode.NotFound)]
    [InlineData("/v1/kv/k?version=1&at=5m", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv?limit=-1", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv?limit=NaN", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv?limit=4294967296", HttpStatusCode.BadRequest)]
    [InlineData("/v1/kv?limit=4294967295", HttpStatusCode.OK)]
    [InlineData("/v1/kv?at=2024-01-01", HttpStatusCode.Gone)]
    [InlineData("/v1/kv?limit=1&limit=2", HttpStatusCode.BadRequest)]
    [InlineData("/v1/watch?from=0", HttpStatusCode.BadRequest)]
    [InlineData("/v1/watch?from=9007199254740992", HttpStatusCode.BadRequest)]
    public async Task Every_number_and_time_has_one_answer(string path, HttpStatusCode expected)
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        await http.PutAsync("/v1/kv/k", new StringContent("v"));
        Assert.Equal(expected, (await http.GetAsync(path)).StatusCode);
    }

    [Theory]
    [InlineData("0", false)]
    [InlineData("0.5ms", false)]
    [InlineData("-1s", false)]
    [InlineData("NaN", false)]
    [InlineData("Infinity", false)]
    [InlineData("1e3", false)]
    [InlineData("", false)]
    [InlineData("1ms", true)]
    [InlineData("1h30m", true)]
    [InlineData("60", true)]
    [InlineData("1000000d", true)]
    public async Task A_time_to_live_is_a_length_of_time_and_ends_in_2094_at_the_latest(string ttl, bool taken)
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        HttpResponseMessage put = await http.PutAsync("/v1/kv/k?ttl=" + ttl, new StringContent("v"));
        Assert.Equal(taken ? HttpStatusCode.OK : HttpStatusCode.BadRequest, put.StatusCode);
    }

    [Fact]
    public async Task Preconditions_hold_for_reads_writes_and_deletions()
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        async Task<(HttpStatusCode Status, string? ETag)> SendAsync(string method, string? match = null, string? none = null)
        {
            var request = new HttpRequestMessage(new HttpMethod(method), "/v1/kv/k")
            {
                Content = method == "PUT" ? new StringContent("v") : null,
            };
            request.Headers.TryAddWithoutValidation("If-Match", match is null ? [] : [match]);
            request.Headers.TryAddWithoutValidation("If-None-Match", none is null ? [] : [none]);
            HttpResponseMessage response = await http.SendAsync(request);
            return (response.StatusCode, response.Headers.ETag?.ToString());
        }

        // What would be 404 without conditions is 404 with them; a write would not be.
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync("GET", match: "*")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync("DELETE", match: "\"1\"")).Status);
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync("PUT", match: "*")).Status);
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync("PUT", match: "\"0\"")).Status);
        (HttpStatusCode status, string? tag) = await SendAsync("PUT", none: "\"1\", W/\"2\"");
        Assert.Equal(HttpStatusCode.OK, status);
        foreach (string method in (string[])["GET", "HEAD"])
        {
            Assert.Equal(HttpStatusCode.OK, (await SendAsync(method, match: $"\"1\", {tag}")).Status);
            Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync(method, match: "W/" + tag)).Status);
            Assert.Equal((HttpStatusCode.NotModified, tag), await SendAsync(method, none: "*"));
            Assert.Equal((HttpStatusCode.NotModified, tag), await SendAsync(method, none: "\"1\", W/" + tag));
            Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync(method, none: "1")).Status);
        }

        Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync("PUT", none: "*")).Status);
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync("PUT", none: tag)).Status);
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync("PUT", match: "W/" + tag)).Status);
        (status, tag) = await SendAsync("PUT", match: $"\"1\", {tag}");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync("DELETE", none: "*")).Status);
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await SendAsync("DELETE", match: "\"1\"")).Status);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync("DELETE", match: $"\"1\", {tag}")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync("DELETE", none: "*")).Status);
    }

    [Fact]
    public async Task A_packed_body_is_unpacked_when_it_is_whole()
    {
        (RunningServer server, HttpClient http) = await StartAsync(new FakeNode { Limits = new() { ValueBytes = 1000 } });
        await using RunningServer _ = server;
        async Task<HttpStatusCode> PutAsync(byte[] body, string coding)
        {
            var content = new ByteArrayContent(body);
            content.Headers.TryAddWithoutValidation("Content-Encoding", coding);
            return (await http.PutAsync("/v1/kv/k", content)).StatusCode;
        }

        static byte[] Pack(byte[] plain)
        {
            using var packed = new MemoryStream();
            using (var gzip = new System.IO.Compression.GZipStream(packed, System.IO.Compression.CompressionMode.Compress, leaveOpen: true))
            {
                gzip.Write(plain);
            }

            return packed.ToArray();
        }

        byte[] whole = Pack("hello"u8.ToArray());
        Assert.Equal(HttpStatusCode.OK, await PutAsync(whole, "gzip"));
        Assert.Equal("hello", await http.GetStringAsync("/v1/kv/k"));
        Assert.Equal(HttpStatusCode.OK, await PutAsync("plain"u8.ToArray(), "identity"));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync(whole[..^1], "gzip"));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync(whole[..^8], "gzip"));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync([.. whole, 0], "gzip"));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync([.. whole, .. whole], "gzip"));
        Assert.Equal(HttpStatusCode.BadRequest, await PutAsync("plain"u8.ToArray(), "gzip"));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await PutAsync(Pack(new byte[10_000_000]), "gzip"));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, await PutAsync(whole, "br"));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, await PutAsync(whole, "gzip, gzip"));
        Assert.Equal("plain", await http.GetStringAsync("/v1/kv/k"));
    }

    [Fact]
    public async Task JSON_lines_answer_strings_that_are_no_text_and_go_on()
    {
        (RunningServer server, HttpClient _) = await StartAsync();
        await using RunningServer running = server;
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
        byte[][] requests =
        [
            "{\"Set\":{\"key\":\"\\ud800\",\"value\":\"b\"}}"u8.ToArray(),
            "{\"Set\":{\"key\":\"a\",\"value\":\"\\udc00x\"}}"u8.ToArray(),
            [.. "{\"Set\":{\"key\":\"a"u8, 0xFF, .. "\",\"value\":\"b\"}}"u8],
            "{\"\\ud800\":{\"key\":\"a\"}}"u8.ToArray(),
            [.. "{\""u8, 0xC3, .. "\":{\"key\":\"a\"}}"u8],
            "{\"Get\":{\"\\ud800\":\"a\"}}"u8.ToArray(),
            "{\"Get\":[1]} {\"Get\":{\"key\":7}} {} {\"Get\":null}"u8.ToArray(),
            "{\"Set\":{\"key\":\"\",\"value\":\"of the empty key\"}}{\"Get\":{\"key\":\"\"}}"u8.ToArray(),
        ];
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(requests.SelectMany(static r => (byte[])[.. r, (byte)'\n']).ToArray());
        client.Client.Shutdown(SocketShutdown.Send);
        string[] answers = (await new StreamReader(stream).ReadToEndAsync().WaitAsync(RunningServer.Patience)).Split(
            '\n',
            StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(12, answers.Length);
        Assert.All(answers[..10], static a => Assert.StartsWith("{\"Err\":", a, StringComparison.Ordinal));
        Assert.Equal(["{\"Ok\":null}", "{\"Ok\":\"of the empty key\"}"], answers[10..]);
    }
}
