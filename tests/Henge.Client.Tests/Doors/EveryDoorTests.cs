using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Henge.Cli.Outcome;
using Henge.Client.Tests.Cli;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Server.Hosting;

namespace Henge.Client.Tests.Doors;

/// <summary>
/// Asks all doors of a real node, and import, the same questions about what a key, a value and a time may be, and compares the answers
/// (docs/protocol.md, "What a key, a value and a time may be").
/// </summary>
public sealed partial class EveryDoorTests : IAsyncLifetime
{
    private const int KeyLimit = 100, ValueLimit = 1000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _directory = Directory.CreateTempSubdirectory("henge-doors").FullName;
    private readonly Core.Version _start = Core.Version.FromTime(DateTimeOffset.UtcNow.AddMinutes(-1));
    private HengeHost _host = null!;
    private HttpClient _http = null!;
    private HengeClient _unary = null!;
    private HengeClient _session = null!;
    private string _address = "";

    public async ValueTask InitializeAsync()
    {
        _host = await HengeHost.StartAsync(
            new ServerOptions
            {
                Node = new NodeOptions
                {
                    Name = "alone",
                    DataDirectory = Path.Combine(_directory, "node"),
                    Shards = 2,
                    Limits = new NodeLimits { KeyBytes = KeyLimit, ValueBytes = ValueLimit },
                },
                Door = new DoorOptions { Address = "127.0.0.1:0" },
            },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.True(SpinWait.SpinUntil(() => ReadinessMonitor.FindProblem(_host.Node) is null, Patience));
        _address = _host.Server.EndPoint.ToString()!;
        _http = new HttpClient { BaseAddress = new Uri("http://" + _address), Timeout = Patience };
        _unary = new HengeClient(new HengeClientOptions { Peers = [_address], UseSessions = false });
        _session = new HengeClient(new HengeClientOptions { Peers = [_address], UseSessions = true });
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _unary.DisposeAsync();
        await _session.DisposeAsync();
        await _host.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    public static TheoryData<string, string, string, long?, ErrorCode> Table()
    {
        static string Hex(string text) => Convert.ToHexString(Encoding.UTF8.GetBytes(text));
        string k = Hex("k"), v = Hex("v");
        return new()
        {
            { "a plain key and value", k, v, null, ErrorCode.None },
            { "the empty key", "", v, null, ErrorCode.None },
            { "the empty value", k, "", null, ErrorCode.None },
            { "both empty", "", "", null, ErrorCode.None },
            { "zero bytes", "00", "00", null, ErrorCode.None },
            { "bytes that are no text", "FF00C3", "80", null, ErrorCode.None },
            { "dots", Hex(".."), v, null, ErrorCode.None },
            { "slashes", Hex("../a//b/"), v, null, ErrorCode.None },
            { "lines, tabs and quotes", Hex("a\r\n\t\"\\ b"), Hex("\r\n\t\"\\"), null, ErrorCode.None },
            { "signs of URLs", Hex("%2e?a=b&c+d#e{f}"), v, null, ErrorCode.None },
            { "text beyond the first plane", Hex("\U0001F600"), Hex("\U0001F600"), null, ErrorCode.None },
            { "a replacement character", Hex("\uFFFD"), v, null, ErrorCode.None },
            { "the longest key", Hex(new string('x', KeyLimit)), v, null, ErrorCode.None },
            { "a key that is too long", Hex(new string('x', KeyLimit + 1)), v, null, ErrorCode.TooLarge },
            { "the longest value", k, Hex(new string('y', ValueLimit)), null, ErrorCode.None },
            { "a value that is too long", k, Hex(new string('y', ValueLimit + 1)), null, ErrorCode.TooLarge },
            { "the shortest time to live", Hex("t1"), v, 1, ErrorCode.None },
            { "a time to live", Hex("t2"), v, 60_000, ErrorCode.None },
            { "a time to live of 100 years", Hex("t3"), v, 3_155_760_000_000, ErrorCode.None },
            { "a time to live of no time", Hex("t4"), v, 0, ErrorCode.InvalidArgument },
            { "a time to live of less than none", Hex("t5"), v, -1, ErrorCode.InvalidArgument },
        };
    }

    [Theory]
    [MemberData(nameof(Table))]
    public async Task The_same_thing_has_the_same_answer_at_each_door(
        string name,
        string keyHex,
        string valueHex,
        long? ttlMs,
        ErrorCode expected)
    {
        byte[] key = Convert.FromHexString(keyHex), value = Convert.FromHexString(valueHex);
        (string Door, Func<Task<ErrorCode?>> Put)[] doors =
        [
            ("gRPC", () => ClientAsync(_unary, key, value, ttlMs)),
            ("session", () => ClientAsync(_session, key, value, ttlMs)),
            ("transaction", () => TransactionAsync(key, value, ttlMs)),
            ("REST", () => RestAsync(key, value, ttlMs)),
            ("REST, JSON", () => RestJsonAsync(key, value, ttlMs)),
            ("RESP", () => RespAsync(key, value, ttlMs)),
            ("JSON lines", () => JsonLinesAsync(key, value, ttlMs)),
            ("Thrift", () => ThriftAsync(key, value, ttlMs)),
            ("import, JSON", () => ImportAsync("in.jsonl", JsonLine(key, value, ttlMs))),
            (
                "import, columns",
                () => ttlMs is null ? ImportAsync("in.tsv", $"{Escaped(key)}\t{Escaped(value)}\n") : Task.FromResult<ErrorCode?>(null)),
        ];
        foreach ((string door, Func<Task<ErrorCode?>> put) in doors)
        {
            if (await put() is { } answer)
            {
                Assert.True(expected == answer, $"{name} at {door}: {answer} in place of {expected}.");
                if (answer == ErrorCode.None && ttlMs is null)
                {
                    GetResult got = await _unary.GetAsync(key);
                    Assert.True(got.Found && got.Value.Span.SequenceEqual(value), $"{name} at {door}: it was not written.");
                    Assert.Equal(door, (await _session.DeleteAsync(key)).Deleted ? door : "nothing deleted");
                }
                else if (answer == ErrorCode.None && ttlMs > 1)
                {
                    TimeSpan left = (await _unary.GetAsync(key)).TimeToLive!.Value;
                    Assert.True(left.TotalMilliseconds <= ttlMs && left > TimeSpan.FromSeconds(1), $"{name} at {door}: {left} are left.");
                }
            }
        }
    }

    [Theory]
    [InlineData("2024-12-31T23:59:59.999Z", ErrorCode.HistoryGone)]
    [InlineData("1970-01-01T00:00:00Z", ErrorCode.HistoryGone)]
    [InlineData("0001-01-01T00:00:00Z", ErrorCode.HistoryGone)]
    [InlineData("9999-12-31T23:59:59Z", ErrorCode.None)]
    [InlineData("now", ErrorCode.None)]
    public async Task The_same_moment_has_the_same_answer_at_each_door_that_reads_the_past(string moment, ErrorCode expected)
    {
        await _unary.PutAsync("k", "v");
        DateTimeOffset time =
            moment == "now"
                ? DateTimeOffset.UtcNow.AddMinutes(1)
                : DateTimeOffset.Parse(moment, System.Globalization.CultureInfo.InvariantCulture);
        string text = moment == "now" ? "now" : moment;
        Assert.Equal(expected, await CodeAsync(async () => await _unary.GetAsync("k", new GetOptions { AtTime = time })));
        Assert.Equal(expected, await CodeAsync(async () => await _session.GetAsync("k", new GetOptions { AtTime = time })));
        Assert.Equal(
            expected,
            await CodeAsync(async () => await _unary.ScanPageAsync(new ScanOptions { AtTime = time }, default, default)));
        Henge.Thrift.Generated.GetRequest get = new() { Key = "k"u8.ToArray(), AtUnixMs = time.ToUnixTimeMilliseconds() };
        if (get.AtUnixMs != 0)
        {
            Assert.Equal(expected, await ThriftCodeAsync(calls => calls.getAsync(get)));
        }

        Assert.Equal(expected, await RestCodeAsync(await _http.GetAsync($"/v1/kv/k?at={text}")));
        Assert.Equal(expected, await RestCodeAsync(await _http.GetAsync($"/v1/kv?at={text}")));
        Ran cli = await CliRun.RunAsync(_address, ["get", "k", "--at", text]);
        Assert.True(expected == (cli.ExitCode == ExitCode.HistoryGone ? ErrorCode.HistoryGone : ErrorCode.None), cli.Error);
    }

    [Fact]
    public async Task What_is_exported_is_imported_again_with_the_empty_key_and_bytes_of_all_kinds()
    {
        byte[][] keys = [[], [0], [0xFF], "..\n"u8.ToArray(), "{tag}"u8.ToArray()];
        foreach (string name in (string[])["all.jsonl", "all.tsv"])
        {
            foreach (byte[] key in keys)
            {
                Assert.Equal(ErrorCode.None, await RespAsync(key, key, null));
            }

            string path = Path.Combine(_directory, name);
            Assert.Equal(0, (await CliRun.RunAsync(_address, ["export", path])).ExitCode);
            foreach (byte[] key in keys)
            {
                Assert.True((await _unary.DeleteAsync(key)).Deleted);
            }

            Ran import = await CliRun.RunAsync(_address, ["import", path]);
            Assert.True(import.ExitCode == 0, import.Error);
            foreach (byte[] key in keys)
            {
                Assert.Equal(key, (await _unary.GetAsync(key)).Value.ToArray());
            }
        }
    }

    private static async Task<ErrorCode> CodeAsync(Func<Task> call)
    {
        try
        {
            await call();
            return ErrorCode.None;
        }
        catch (HengeException e)
        {
            return e.Code;
        }
        catch (ArgumentException)
        {
            // The client says so itself.
            return ErrorCode.InvalidArgument;
        }
    }

    private static async Task<ErrorCode?> ClientAsync(HengeClient client, byte[] key, byte[] value, long? ttlMs) =>
        await CodeAsync(async () => await client.PutAsync(key, value, Options(ttlMs)));

    private async Task<ErrorCode?> TransactionAsync(byte[] key, byte[] value, long? ttlMs) =>
        await CodeAsync(async () => await _unary.Transaction().Then(TransactionOperation.Put(key, value, Options(ttlMs))).CommitAsync());

    private static PutOptions Options(long? ttlMs) => new() { TimeToLive = ttlMs is { } ms ? TimeSpan.FromMilliseconds(ms) : null };

    private static string Url(byte[] key) => "/v1/kv?key=" + string.Concat(key.Select(static b => $"%{b:x2}"));

    private async Task<ErrorCode?> RestAsync(byte[] key, byte[] value, long? ttlMs) =>
        await RestCodeAsync(await _http.PutAsync(Url(key) + (ttlMs is null ? "" : $"&ttl={ttlMs}ms"), new ByteArrayContent(value)));

    private async Task<ErrorCode?> RestJsonAsync(byte[] key, byte[] value, long? ttlMs)
    {
        string body = JsonSerializer.Serialize(ttlMs is null ? (object)new { valueBase64 = value } : new { valueBase64 = value, ttlMs });
        return await RestCodeAsync(await _http.PutAsync(Url(key) + "&format=json", new StringContent(body)));
    }

    private static async Task<ErrorCode> RestCodeAsync(HttpResponseMessage response) =>
        response.StatusCode == HttpStatusCode.OK
            ? ErrorCode.None
            : Enum.Parse<ErrorCode>(
                JsonDocument
                    .Parse(await response.Content.ReadAsStringAsync())
                    .RootElement.GetProperty("error")
                    .GetProperty("code")
                    .GetString()!);

    private async Task<ErrorCode?> RespAsync(byte[] key, byte[] value, long? ttlMs)
    {
        List<byte[]> words = ["SET"u8.ToArray(), key, value];
        if (ttlMs is { } ms)
        {
            words.AddRange(["PX"u8.ToArray(), Encoding.ASCII.GetBytes(ms.ToString(System.Globalization.CultureInfo.InvariantCulture))]);
        }

        byte[] command =
        [
            .. Encoding.ASCII.GetBytes($"*{words.Count}\r\n"),
            .. words.SelectMany(static w => (byte[])[.. Encoding.ASCII.GetBytes($"${w.Length}\r\n"), .. w, .. "\r\n"u8]),
        ];
        string answer = await AskAsync(command);
        return answer == "+OK\r\n" ? ErrorCode.None
            : answer.Contains("limit is", StringComparison.Ordinal) ? ErrorCode.TooLarge
            : ErrorCode.InvalidArgument;
    }

    private async Task<ErrorCode?> JsonLinesAsync(byte[] key, byte[] value, long? ttlMs)
    {
        if (ttlMs is not null || !Utf8.IsValid(key) || !Utf8.IsValid(value))
        {
            return null;
        }

        string answer = await AskAsync(
            JsonSerializer.SerializeToUtf8Bytes(
                new { Set = new { key = Encoding.UTF8.GetString(key), value = Encoding.UTF8.GetString(value) } }));
        return answer == "{\"Ok\":null}\n" ? ErrorCode.None
            : answer.Contains("limit is", StringComparison.Ordinal) ? ErrorCode.TooLarge
            : ErrorCode.InvalidArgument;
    }

    private async Task<string> AskAsync(byte[] request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(_host.Server.EndPoint);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(request);
        client.Client.Shutdown(SocketShutdown.Send);
        return await new StreamReader(stream).ReadToEndAsync().WaitAsync(Patience);
    }

    private static string JsonLine(byte[] key, byte[] value, long? ttlMs) =>
        JsonSerializer.Serialize(
            ttlMs is null
                ? (object)new { key_base64 = key, value_base64 = value }
                : new
                {
                    key_base64 = key,
                    value_base64 = value,
                    ttl_ms = ttlMs,
                }
        ) + "\n";

    private static string Escaped(byte[] bytes) => string.Concat(bytes.Select(static b => $"\\x{b:x2}"));

    private async Task<ErrorCode?> ImportAsync(string name, string line)
    {
        string path = Path.Combine(_directory, name);
        await File.WriteAllTextAsync(path, line);
        Ran ran = await CliRun.RunAsync(_address, ["import", path, "--restart"]);
        if (ran.ExitCode != 0)
        {
            Assert.Contains(path + ":1: ", ran.Error, StringComparison.Ordinal);
        }

        return ran.ExitCode switch
        {
            0 => ErrorCode.None,
            ExitCode.Usage => ErrorCode.InvalidArgument,
            ExitCode.Refused when ran.Error.Contains("limit is", StringComparison.Ordinal) => ErrorCode.TooLarge,
            _ => ErrorCode.Internal,
        };
    }
}
