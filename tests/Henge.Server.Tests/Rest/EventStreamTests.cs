using System.Net;
using System.Text;
using Henge.Node.Context;
using Henge.Server.Hosting;
using Henge.Server.Rest;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;

namespace Henge.Server.Tests.Rest;

/// <summary>Server-sent events, read as an EventSource does: an id counts only in a block that has data.</summary>
public sealed class EventStreamTests : IAsyncLifetime
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), "henge-events-" + Guid.NewGuid().ToString("N"));
    private HengeHost _host = null!;
    private HttpClient _http = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await HengeHost.StartAsync(
            new ServerOptions
            {
                Node = new NodeOptions
                {
                    Name = "alone",
                    DataDirectory = _directory,
                    Shards = 4,
                },
                Door = new DoorOptions { Address = "127.0.0.1:0" },
            },
            cancellationToken: TestContext.Current.CancellationToken);
        _http = new HttpClient { BaseAddress = new Uri("http://" + _host.Server.EndPoint), Timeout = RunningServer.Patience };
        await GrpcRulesTests.UntilAsync(async () => (await _http.GetAsync("/readyz")).IsSuccessStatusCode);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _host.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_reader_that_is_cut_off_after_any_event_sees_each_event_once_and_in_order()
    {
        string? id = null;
        var seen = new List<string>();

        // The first connection is cut before any event: what happens meanwhile must not be lost.
        await ReadAsync("/v1/watch?prefix=e", 0);
        var written = new List<string>();
        for (int i = 0; i < 40; i++)
        {
            await PutAsync("e" + (i % 7), "v" + i);
            written.Add($"e{i % 7}=v{i}");
        }

        for (int cut = 1; seen.Count < written.Count; cut = (cut % 3) + 1)
        {
            await ReadAsync("/v1/watch?prefix=e", Math.Min(cut, written.Count - seen.Count));
        }

        // Nothing more comes; and each key's events are in order (events of different shards have no order among them).
        Assert.Equal(written.Order(), seen.Order());
        for (int key = 0; key < 7; key++)
        {
            Assert.Equal(
                written.Where(w => w.StartsWith($"e{key}=", StringComparison.Ordinal)),
                seen.Where(w => w.StartsWith($"e{key}=", StringComparison.Ordinal)));
        }

        async Task ReadAsync(string path, int count)
        {
            await foreach (Block block in OpenAsync(path, id))
            {
                id = block.Id ?? id;
                if (block.Event == "put")
                {
                    seen.Add(block.Json("key") + "=" + block.Json("value"));
                    count--;
                }

                if (count == 0)
                {
                    return;
                }
            }
        }
    }

    [Fact]
    public async Task A_reader_that_is_cut_off_within_a_transaction_sees_the_rest_of_it_and_nothing_twice()
    {
        string? id = null;
        await foreach (Block block in OpenAsync("/v1/watch?prefix={t}", null))
        {
            id = block.Id;
            break;
        }

        // Not in the order of the keys, which is that of history; twice, so that the keys come again.
        string[] keys = ["{t}d", "{t}a", "{t}c", "{t}b"];
        await MSetAsync(keys, "1");
        await MSetAsync(keys, "2");
        var seen = new List<string>();
        while (seen.Count < 8)
        {
            await foreach (Block block in OpenAsync("/v1/watch?prefix={t}", id))
            {
                id = block.Id ?? id;
                if (block.Event == "put")
                {
                    seen.Add(block.Json("key") + "=" + block.Json("value"));
                    break;
                }
            }
        }

        Assert.Equal(["{t}a=1", "{t}b=1", "{t}c=1", "{t}d=1", "{t}a=2", "{t}b=2", "{t}c=2", "{t}d=2"], seen);
    }

    [Fact]
    public async Task Every_block_has_data_and_its_id_and_progress_marks_as_well()
    {
        var kinds = new HashSet<string>();
        Task writes = Task.CompletedTask;
        await foreach (Block block in OpenAsync("/v1/watch?prefix=%ff&progress=true", null))
        {
            Assert.NotNull(block.Data);
            Assert.NotNull(block.Id);
            if (kinds.Count == 0)
            {
                Assert.Equal("position", block.Event);
                writes = _http.PutAsync("/v1/kv/%ff", new StringContent("v"));
            }

            kinds.Add(block.Event!);
            if (kinds.Contains("put") && kinds.Contains("progress"))
            {
                break;
            }
        }

        await writes;
    }

    [Theory]
    [InlineData("!")]
    [InlineData("AAAA")]
    [InlineData("AAAA.1")]
    [InlineData("AAAA.0.1")]
    [InlineData("AAAA.1.x")]
    [InlineData("AAAA.1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25.26.27.28.29.30.31.32.33.34")]
    public async Task An_id_that_no_event_had_is_refused(string id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/watch");
        request.Headers.TryAddWithoutValidation("Last-Event-ID", id);
        Assert.Equal(HttpStatusCode.BadRequest, (await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead)).StatusCode);
    }

    [Fact]
    public void An_id_reads_back_as_it_was_written()
    {
        EventPosition position = new([1, 2, 255], [(new(5), 7), (new(9), ulong.MaxValue)]);
        EventPosition read = EventPosition.Parse(position.ToString());
        Assert.Equal(position.Token, read.Token);
        Assert.Equal(position.Begun, read.Begun);
    }

    private async Task PutAsync(string key, string value) =>
        (await _http.PutAsync("/v1/kv/" + key, new StringContent(value))).EnsureSuccessStatusCode();

    private async Task MSetAsync(string[] keys, string value)
    {
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(_host.Server.EndPoint);
        await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes("MSET " + string.Join(' ', keys.Select(k => $"{k} {value}")) + "\r\n"));
        Assert.Equal("+OK", await new StreamReader(client.GetStream()).ReadLineAsync());
    }

    private async IAsyncEnumerable<Block> OpenAsync(string path, string? id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.TryAddWithoutValidation("Last-Event-ID", id is null ? [] : [id]);
        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        response.EnsureSuccessStatusCode();
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Block block = new(null, null, null);
        while (await reader.ReadLineAsync().WaitAsync(RunningServer.Patience) is { } line)
        {
            if (line.Length > 0)
            {
                block = line.Split(": ", 2) switch
                {
                    ["event", var name] => block with { Event = name },
                    ["data", var data] => block with { Data = data },
                    ["id", var value] => block with { Id = value },
                    _ => block,
                };
                continue;
            }

            if (block.Data is not null)
            {
                // Without it the next connection would begin at now, and wait for ever.
                Assert.NotNull(block.Id);
                yield return block;
            }

            block = new Block(null, null, null);
        }
    }

    private sealed record Block(string? Event, string? Data, string? Id)
    {
        public string? Json(string name) => System.Text.Json.JsonDocument.Parse(Data!).RootElement.GetProperty(name).GetString();
    }
}
