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
    private static async Task<(RunningServer Server, HttpClient Http)> StartAsync(FakeNode? node = null)
    {
        node ??= new FakeNode();
        RunningServer server = await RunningServer.StartAsync(node, protocols: [new JsonLinesProtocol(node)], endpoints: [new KvEndpoint(node), new WatchEndpoint(node)]);
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
        Assert.Contains(named, (await JsonAsync(response)).GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_over_the_limit_is_refused()
    {
        (RunningServer server, HttpClient http) = await StartAsync(new FakeNode { Limits = new() { ValueBytes = 100 } });
        await using RunningServer _ = server;
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await http.PutAsync("/v1/kv/k", new ByteArrayContent(new byte[5000]))).StatusCode);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await http.PutAsync("/v1/kv/k", new ByteArrayContent(new byte[101]))).StatusCode);
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
    public async Task A_watch_streams_events()
    {
        (RunningServer server, HttpClient http) = await StartAsync();
        await using RunningServer _ = server;
        using HttpResponseMessage response = await http.GetAsync("/v1/watch?prefix=w", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal(": watching", await reader.ReadLineAsync());
        await http.PutAsync("/v1/kv/w1", new StringContent("x"));
        string text = "";
        while (!text.Contains("id: ", StringComparison.Ordinal))
        {
            text += await reader.ReadLineAsync().WaitAsync(RunningServer.Patience) + "\n";
        }

        Assert.Contains("event: put\ndata: {\"key\":\"w1\",\"value\":\"x\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task JSON_lines_are_answered_as_in_the_articles()
    {
        (RunningServer server, HttpClient _) = await StartAsync();
        await using RunningServer running = server;
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Server.EndPoint.Port);
        byte[] request = Encoding.UTF8.GetBytes("{\"Set\":{\"key\":\"a\",\"value\":\"b\"}}{\"Get\":{\"key\":\"a\"}}\n{\"Remove\":{\"key\":\"a\"}} {\"Get\":{\"key\":\"a\"}}\n{\"Fly\":{\"key\":\"a\"}}\n");
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(request);
        client.Client.Shutdown(SocketShutdown.Send);
        string answer = await new StreamReader(stream).ReadToEndAsync().WaitAsync(RunningServer.Patience);
        Assert.Equal("{\"Ok\":null}\n{\"Ok\":\"b\"}\n{\"Ok\":null}\n{\"Ok\":null}\n{\"Err\":\"There is no request \\u0027Fly\\u0027; there are Set, Get and Remove.\"}\n", answer);
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
}
