using System.Net;
using System.Text;
using System.Text.Json;
using Henge.Client.Tests.Cli;
using Henge.Core;
using Wire = Henge.Thrift.Generated;

namespace Henge.Client.Tests.Doors;

/// <summary>What the doors make of a hash, which the commands of Redis write (docs/protocol.md, "Hashes at other doors").</summary>
public sealed partial class EveryDoorTests
{
    private static readonly byte[] Odd = [0xFF, 0x00];

    public static TheoryData<string> Writers() =>
        ["gRPC", "session", "transaction", "REST", "REST, JSON", "RESP", "JSON lines", "Thrift", "import, JSON", "import, columns"];

    [Fact]
    public async Task Each_door_shows_a_hash_as_a_hash_or_refuses_it()
    {
        await HashAsync("h");
        await _unary.PutAsync("plain", "p");
        GetResult[] gets =
        [
            await _unary.GetAsync("h"),
            await _session.GetAsync("h"),
            (await _unary.Transaction().Then(TransactionOperation.Get("h")).CommitAsync()).Results[0].Get!.Value,
            (await _session.Transaction().Then(TransactionOperation.Get("h")).CommitAsync()).Results[0].Get!.Value,
        ];
        Assert.All(gets, static g => AssertHash(g.Type, g.Value));
        await ThriftCallAsync(async calls =>
        {
            Wire.GetResult get = await calls.getAsync(new Wire.GetRequest { Key = "h"u8.ToArray() });
            AssertHash((DataType)(int)get.Type, get.Value);
            Wire.ScanPage page = await calls.scanAsync(new Wire.ScanRequest { Prefix = "h"u8.ToArray() });
            AssertHash((DataType)(int)page.Pairs![0].Type, page.Pairs[0].Value);
            Wire.TxnOperation read = new() { Get = new Wire.GetRequest { Key = "h"u8.ToArray() } };
            Wire.TxnResult txn = await calls.txnAsync(new Wire.TxnRequest { Success = [read] });
            AssertHash((DataType)(int)txn.Results![0].Get!.Type, txn.Results[0].Get!.Value);
        });
        KeyValue[] pairs = [.. (await _unary.ScanPageAsync(new ScanOptions(), default, default)).Pairs];
        AssertHash(pairs[0].Type, pairs[0].Value);
        Assert.Equal(DataType.Bytes, pairs[1].Type);
        HistoryEntry[] history = await _unary.HistoryAsync("h"u8.ToArray(), new HistoryOptions(), default).ToArrayAsync();
        Assert.All(history.Where(static e => !e.Deleted).Take(1), static e => AssertHash(e.Type, e.Value));
        await foreach (
            WatchEvent e in _unary.WatchAsync(
                new WatchOptions
                {
                    Range = KeyRange.Prefix("h"),
                    StartVersion = _start,
                    PreviousValues = true,
                },
                TestContext.Current.CancellationToken))
        {
            if (e.Previous is { } previous && HashValue.Read(previous.Value).Count == 2)
            {
                AssertHash(e.Type, e.Value);
                AssertHash(previous.Type, previous.Value);
                break;
            }
        }

        const string Shown = """[{"field":"f","value":"1"},{"fieldBase64":"/wA=","valueBase64":"/wA="}]""";
        Assert.Equal(HttpStatusCode.Conflict, (await _http.GetAsync("/v1/kv/h")).StatusCode);
        Assert.Equal(ErrorCode.WrongType, await RestCodeAsync(await _http.GetAsync("/v1/kv/h")));
        Assert.Equal(Shown, await RestMemberAsync("/v1/kv/h?format=json", static r => r.GetProperty("hash")));
        Assert.Equal(Shown, await RestMemberAsync("/v1/kv", static r => r.GetProperty("pairs")[0].GetProperty("hash")));
        Assert.Contains("\"Err\"", await AskAsync("{\"Get\":{\"key\":\"h\"}}"u8.ToArray()), StringComparison.Ordinal);
        const string Printed = """[{"field":"f","value":"1"},{"field_base64":"/wA=","value_base64":"/wA="}]""";
        Assert.Equal("f => 1\nbase64:/wA= => base64:/wA=\n", (await CliRun.RunAsync(_address, ["get", "h"])).Output);
        Assert.Contains(
            "{f => 1, base64:/wA= => base64:/wA=}",
            (await CliRun.RunAsync(_address, ["scan"])).Output,
            StringComparison.Ordinal);
        foreach (string command in (string[])["get h", "scan --prefix h", "history h --limit 1"])
        {
            Ran ran = await CliRun.RunAsync(_address, [.. command.Split(' '), "--output", "json"]);
            Assert.Equal(Printed, JsonDocument.Parse(ran.Output).RootElement.GetProperty("hash").GetRawText());
        }
    }

    [Fact]
    public async Task Events_of_REST_show_a_hash_and_the_one_before()
    {
        await HashAsync("h");
        using Stream events = await _http.GetStreamAsync($"/v1/watch?prefix=h&from={_start}&previous=true");
        using var reader = new StreamReader(events);
        while (await reader.ReadLineAsync().WaitAsync(Patience) is { } line)
        {
            if (line.Contains("\"previousHash\":[{\"field\":\"f\",\"value\":\"1\"},{\"fieldBase64\"", StringComparison.Ordinal))
            {
                Assert.Contains("\"hash\":[{\"field\":\"f\",\"value\":\"1\"},{\"fieldBase64\"", line, StringComparison.Ordinal);
                return;
            }
        }

        Assert.Fail("The stream ended.");
    }

    [Theory]
    [MemberData(nameof(Writers))]
    public async Task A_plain_put_over_a_hash_makes_it_bytes(string door)
    {
        byte[] key = "h"u8.ToArray(), value = "v"u8.ToArray();
        await HashAsync("h");
        Assert.Equal(ErrorCode.None, await (door switch
        {
            "gRPC" => ClientAsync(_unary, key, value, null),
            "session" => ClientAsync(_session, key, value, null),
            "transaction" => TransactionAsync(key, value, null),
            "REST" => RestAsync(key, value, null),
            "REST, JSON" => RestJsonAsync(key, value, null),
            "RESP" => RespAsync(key, value, null),
            "JSON lines" => JsonLinesAsync(key, value, null),
            "Thrift" => ThriftAsync(key, value, null),
            "import, JSON" => ImportAsync("in.jsonl", JsonLine(key, value, null)),
            _ => ImportAsync("in.tsv", "h\tv\n"),
        }));
        Assert.Equal("+string\r\n", await AskAsync("TYPE h\r\n"u8.ToArray()));
        GetResult got = await _unary.GetAsync("h");
        Assert.Equal((DataType.Bytes, "v", null), (got.Type, got.Text, got.TimeToLive));
    }

    public static TheoryData<string> HashWriters() =>
        ["gRPC", "session", "transaction", "REST, JSON", "Thrift", "import, JSON", "import, columns"];

    [Theory]
    [MemberData(nameof(HashWriters))]
    public async Task Doors_that_know_types_write_a_hash_as_well(string door)
    {
        byte[] stored = HashValue.Encode([new("f"u8.ToArray(), "1"u8.ToArray()), new(Odd, Odd)]);
        var options = new PutOptions { Type = DataType.Hash };
        await _unary.PutAsync("h", "plain");
        switch (door)
        {
            case "gRPC":
                await _unary.PutAsync("h", stored, options);
                break;
            case "session":
                await _session.PutAsync("h", stored, options);
                break;
            case "transaction":
                await _unary.Transaction().Then(TransactionOperation.Put("h"u8.ToArray(), stored, options)).CommitAsync();
                break;
            case "REST, JSON":
                Assert.Equal(
                    ErrorCode.None,
                    await RestCodeAsync(
                        await _http.PutAsync(
                            "/v1/kv/h?format=json",
                            new StringContent("""{"hash":[{"field":"f","value":"1"},{"fieldBase64":"/wA=","valueBase64":"/wA="}]}"""))));
                break;
            case "Thrift":
                Wire.PutRequest put = new() { Key = "h"u8.ToArray(), Value = stored, Type = Wire.DataType.HASH };
                await ThriftCallAsync(calls => calls.putAsync(put));
                break;
            case "import, JSON":
                Assert.Equal(
                    ErrorCode.None,
                    await ImportAsync(
                        "in.jsonl",
                        """{"format":2,"key":"h","hash":[{"field":"f","value":"1"},{"field_base64":"/wA=","value_base64":"/wA="}]}""" + "\n"
                    ));
                break;
            default:
                Assert.Equal(ErrorCode.None, await ImportAsync("in.tsv", "h\t\\h2\tf\t1\t\\xff\\x00\t\\xff\\x00\n"));
                break;
        }

        Assert.Equal("$1\r\n1\r\n", await AskAsync("HGET h f\r\n"u8.ToArray()));
        GetResult got = await _unary.GetAsync("h");
        AssertHash(got.Type, got.Value);
    }

    [Fact]
    public async Task What_is_no_hash_is_refused_at_each_door_that_writes_hashes()
    {
        var options = new PutOptions { Type = DataType.Hash };
        byte[] twice = [2, 1, (byte)'f', 0, 1, (byte)'f', 0];
        foreach (byte[] value in (byte[][])[[], [0], [1], [1, 1, (byte)'f'], [1, 1, (byte)'f', 0, 0], twice])
        {
            Assert.Equal(ErrorCode.InvalidArgument, await CodeAsync(async () => await _unary.PutAsync("h", value, options)));
            Assert.Equal(ErrorCode.InvalidArgument, await CodeAsync(async () => await _session.PutAsync("h", value, options)));
            Assert.Equal(
                ErrorCode.InvalidArgument,
                await CodeAsync(async () =>
                    await _unary.Transaction().Then(TransactionOperation.Put("h"u8.ToArray(), value, options)).CommitAsync()));
            Wire.PutRequest put = new() { Key = "h"u8.ToArray(), Value = value, Type = Wire.DataType.HASH };
            Assert.Equal(ErrorCode.InvalidArgument, await ThriftCodeAsync(calls => calls.putAsync(put)));
        }

        foreach (
            string hash in (string[])
                [
                    "[]",
                    "[1]",
                    "[{}]",
                    """[{"field":"f"}]""",
                    """[{"field":"f","value":1}]""",
                    """[{"field":"f","value":"1"},{"field":"f","value":"1"}]""",
                ])
        {
            Assert.Equal(
                ErrorCode.InvalidArgument,
                await RestCodeAsync(await _http.PutAsync("/v1/kv/h?format=json", new StringContent($$"""{"hash":{{hash}}}"""))));
            Assert.Equal(ErrorCode.InvalidArgument, await ImportAsync("in.jsonl", $$"""{"format":2,"key":"h","hash":{{hash}}}""" + "\n"));
        }

        foreach (
            string line in (string[])
                [
                    """{"format":3,"key":"h","value":"v"}""",
                    """{"format":"2","key":"h","value":"v"}""",
                    """{"key":"h","value":"v","hash":[{"field":"f","value":"1"}]}""",
                ])
        {
            Assert.Equal(ErrorCode.InvalidArgument, await ImportAsync("in.jsonl", line + "\n"));
        }

        foreach (string line in (string[])["h\t\\h2\n", "h\t\\h2\tf\n", "h\t\\h2\tf\t1\tf\t2\n", "h\t\\h3\tf\t1\n", "h\t\\h\tf\t1\n"])
        {
            Assert.Equal(ErrorCode.InvalidArgument, await ImportAsync("in.tsv", line));
        }

        Assert.False((await _unary.GetAsync("h")).Found);
    }

    [Fact]
    public async Task Conditions_on_versions_hold_for_hashes_and_those_on_values_never_do()
    {
        await HashAsync("h");
        GetResult hash = await _unary.GetAsync("h");
        Assert.Equal(
            ErrorCode.WrongType,
            await CodeAsync(async () => await _unary.PutAsync("h", "v", new PutOptions { ReturnPrevious = true })));
        Assert.Equal(
            ErrorCode.WrongType,
            await CodeAsync(async () => await _session.DeleteAsync("h", new DeleteOptions { ReturnPrevious = true })));
        Wire.DeleteRequest delete = new() { Key = "h"u8.ToArray(), ReturnPrevious = true };
        Assert.Equal(ErrorCode.WrongType, await ThriftCodeAsync(calls => calls.removeAsync(delete)));
        Assert.False(
            (
                await _unary
                    .Transaction()
                    .When(Compare.Value("h"u8.ToArray(), CompareRelation.Equal, hash.Value))
                    .Then(TransactionOperation.Delete("h"))
                    .CommitAsync()
            ).Succeeded);
        Assert.Equal("+hash\r\n", await AskAsync("TYPE h\r\n"u8.ToArray()));
        Assert.False((await _unary.PutAsync("h", "v", new PutOptions { IfVersion = new Core.Version(1) })).Succeeded);
        using var put = new HttpRequestMessage(HttpMethod.Put, "/v1/kv/h")
        {
            Content = new StringContent("v"),
            Headers = { { "If-Match", "\"1\"" } },
        };
        Assert.Equal(HttpStatusCode.PreconditionFailed, (await _http.SendAsync(put)).StatusCode);
        Assert.True((await _unary.PutAsync("h", "v", new PutOptions { IfVersion = hash.Version })).Succeeded);
    }

    [Theory]
    [InlineData("all.jsonl")]
    [InlineData("all.tsv")]
    public async Task Export_and_import_keep_hashes(string name)
    {
        await HashAsync("h");
        await HashAsync("lasting");
        Assert.Equal(":1\r\n", await AskAsync("PERSIST lasting\r\n"u8.ToArray()));
        byte[] bytes = (await _unary.GetAsync("h")).Value.ToArray();
        await _unary.PutAsync("same bytes", bytes);
        string path = Path.Combine(_directory, name);
        Assert.Equal(0, (await CliRun.RunAsync(_address, ["export", path])).ExitCode);
        foreach (string key in (string[])["h", "lasting", "same bytes"])
        {
            Assert.True((await _unary.DeleteAsync(key)).Deleted);
        }

        Ran import = await CliRun.RunAsync(_address, ["import", path]);
        Assert.True(import.ExitCode == 0, import.Error);
        Assert.Equal("+hash\r\n+hash\r\n+string\r\n", await AskAsync("TYPE h\r\nTYPE lasting\r\nTYPE \"same bytes\"\r\n"u8.ToArray()));
        GetResult h = await _unary.GetAsync("h"), lasting = await _unary.GetAsync("lasting");
        AssertHash(h.Type, h.Value);
        AssertHash(lasting.Type, lasting.Value);
        Assert.Null(lasting.TimeToLive);
        Assert.Equal(bytes, (await _unary.GetAsync("same bytes")).Value.ToArray());

        // Columns have no place for the time to live.
        Assert.Equal(name == "all.jsonl", h.TimeToLive is { } left && left > TimeSpan.FromMinutes(1) && left <= TimeSpan.FromHours(1));
    }

    // Two fields, one of them with bytes that are no text, and an hour to live.
    private async Task HashAsync(string key)
    {
        byte[] set =
        [
            .. Encoding.ASCII.GetBytes($"*6\r\n$4\r\nHSET\r\n${key.Length}\r\n{key}\r\n$1\r\nf\r\n$1\r\n1\r\n$2\r\n"),
            .. Odd,
            .. "\r\n$2\r\n"u8,
            .. Odd,
            .. "\r\n"u8,
        ];
        string answer = await AskAsync([
            .. "DEL "u8,
            .. Encoding.ASCII.GetBytes(key),
            .. "\r\n"u8,
            .. set,
            .. Encoding.ASCII.GetBytes($"EXPIRE {key} 3600\r\n"),
        ]);
        Assert.EndsWith(":2\r\n:1\r\n", answer, StringComparison.Ordinal);
    }

    private static void AssertHash(DataType type, ReadOnlyMemory<byte> value)
    {
        Assert.Equal(DataType.Hash, type);
        Assert.Equal(
            [("66", "31"), ("FF00", "FF00")],
            HashValue.Read(value).Select(static f => (Convert.ToHexString(f.Field.Span), Convert.ToHexString(f.Value.Span))));
    }

    private async Task<string> RestMemberAsync(string path, Func<JsonElement, JsonElement> member) =>
        member(JsonDocument.Parse(await _http.GetStringAsync(path)).RootElement).GetRawText();
}
