using System.Text.Json;
using Henge.Node.Context;
using Henge.Server.Events;
using Henge.Server.Hosting;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Tests.Events;

/// <summary>What a whole node logs.</summary>
public sealed class ServerLoggingTests
{
    [Fact]
    public async Task With_the_format_json_each_line_is_an_object_with_id_level_and_arguments()
    {
        string[] lines = await RunAsync(("log-format", "json"));
        List<JsonElement> events = [];
        foreach (string line in lines)
        {
            using JsonDocument document = JsonDocument.Parse(line);
            events.Add(document.RootElement.Clone());
        }

        ILookup<int, JsonElement> byId = events.ToLookup(static e => e.GetProperty("EventId").GetInt32());
        Assert.Empty(new[] { 1001, 1003, 1004, 1007, 1010, 1101 }.Except(byId.Select(static e => e.Key)));
        JsonElement created = byId[1001].Single();
        Assert.Equal("Information", created.GetProperty("LogLevel").GetString());
        Assert.Equal("Henge.Node", created.GetProperty("Category").GetString());
        Assert.Equal("node1", created.GetProperty("State").GetProperty("Name").GetString());
        JsonElement led = byId[1101].Select(static e => e.GetProperty("State"))
            .First(static e => e.GetProperty("Shard").GetString() == "s0");
        Assert.Equal(JsonValueKind.Number, led.GetProperty("Term").ValueKind);
        Assert.EndsWith("Z", created.GetProperty("Timestamp").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task As_text_each_line_has_time_level_category_and_id()
    {
        string[] lines = await RunAsync();
        Assert.All(lines, static line => Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warn): Henge\.\w+\[\d{4}\] ", line));
        Assert.Contains(lines, static line => line.Contains(" info: Henge.Node[1001] ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Levels_count_by_category()
    {
        string[] quiet = await RunAsync(("log-level", "Error,Henge.Raft=Information"));
        Assert.NotEmpty(quiet);
        Assert.All(quiet, static line => Assert.Contains("Henge.Raft[", line, StringComparison.Ordinal));

        string[] web = await RunAsync(("log-level", "None,Microsoft.AspNetCore.Server.Kestrel=Debug"));
        Assert.NotEmpty(web);
        Assert.All(web, static line => Assert.Contains("Microsoft.AspNetCore.Server.Kestrel", line, StringComparison.Ordinal));

        Assert.Empty(await RunAsync(("log-level", "None")));
    }

    [Fact]
    public void A_message_of_several_lines_stays_one_line()
    {
        foreach (LogFormat format in Enum.GetValues<LogFormat>())
        {
            using StringWriter writer = new();
            using (ServerLogging logging = new(writer, new LogOptions { Format = format }))
            {
                ServerEvents.Node.Fatal(
                    logging.CreateLogger(ServerEvents.Node.Category), "one\ntwo", new IOException("three\nfour"));
            }

            Assert.Single(writer.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }
    }

    private static async Task<string[]> RunAsync(params (string Name, string Value)[] settings)
    {
        string directory = Directory.CreateTempSubdirectory("henge-log").FullName;
        try
        {
            Dictionary<string, string> given = new()
            {
                ["addr"] = "127.0.0.1:0",
                ["data-dir"] = Path.Combine(directory, "node1"),
                ["shards"] = "1",
                ["engine"] = "memory",
            };
            foreach ((string name, string value) in settings)
            {
                given[name] = value;
            }

            ServerOptions options = ServerConfiguration.Load(given, null, new Dictionary<string, string>());
            using StringWriter writer = new();
            using (ServerLogging logging = new(writer, options.Log))
            {
                await using HengeHost host = await HengeHost.StartAsync(options, logging, TestContext.Current.CancellationToken);
                while (host.Node.GetStatus().ClusterId.Length == 0 || host.Node.GetStatus().Shards.Any(static s => s.Leader.IsNone))
                {
                    await Task.Delay(5, TestContext.Current.CancellationToken);
                }

                using HttpClient http = new();
                await http.GetAsync($"http://{host.Server.EndPoint}/healthz", TestContext.Current.CancellationToken);
            }

            return writer.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
