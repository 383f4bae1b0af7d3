using System.Text.Json;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Rest;

public sealed class OpenApiTests
{
    [Fact]
    public async Task The_document_names_every_path_and_method_and_no_others()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpClient http = new();
        using JsonDocument document = JsonDocument.Parse(
            await http.GetStringAsync(new Uri($"http://{server.Address}/openapi/v1.json"), TestContext.Current.CancellationToken));
        JsonElement paths = document.RootElement.GetProperty("paths");
        IEnumerable<string> described = paths
            .EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(method => $"{method.Name} {path.Name}"));
        Assert.Equal(
            [
                "delete /v1/kv/{key}", "get /healthz", "get /metrics", "get /readyz", "get /v1/kv", "get /v1/kv/{key}", "get /v1/watch",
                "head /healthz", "head /metrics", "head /readyz", "head /v1/kv", "head /v1/kv/{key}", "put /v1/kv/{key}",
            ],
            described.Order(StringComparer.Ordinal));
        JsonElement get = paths.GetProperty("/v1/kv/{key}").GetProperty("get");
        Assert.Equal(
            ["path key", "query version", "query at", "query consistency", "query format", "header If-Match", "header If-None-Match"],
            get.GetProperty("parameters")
                .EnumerateArray()
                .Select(p => $"{p.GetProperty("in").GetString()} {p.GetProperty("name").GetString()}"));
        Assert.True(get.GetProperty("responses").TryGetProperty("404", out _));
    }

    [Theory]
    [InlineData("/V1/KV/a")]
    [InlineData("/v1/KV?prefix=a")]
    public async Task Paths_are_told_apart_by_case(string path)
    {
        // Routing does not; a key that begins with such a path must not be taken for another request.
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpClient http = new();
        using HttpResponseMessage response = await http.GetAsync(
            new Uri($"http://{server.Address}{path}"),
            TestContext.Current.CancellationToken);
        Assert.Equal(System.Net.HttpStatusCode.NotFound, response.StatusCode);
    }
}
