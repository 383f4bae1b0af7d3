using System.Text;
using Google.Protobuf;
using Henge.Cli;
using Henge.Cli.Outcome;
using Henge.Cli.Transfer;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests.Cli;

public sealed class TransferTests : IAsyncLifetime
{
    private RealStore _store = null!;
    private readonly string _directory = Directory.CreateTempSubdirectory("henge-transfer").FullName;
    private FakeNode _node = null!;
    private Func<FakeCall, Task>? _instead;

    public async ValueTask InitializeAsync()
    {
        _store = await RealStore.StartAsync();
        _node = await FakeNode.StartAsync(call => _instead is null ? _store.HandleAsync(call) : _instead(call));
    }

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        await _store.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private static async Task<byte[]> ValueOfAsync(RealStore store, ByteString key) =>
        (await store.Stub.GetAsync(new Wire.GetRequest { Key = key })).Value.ToByteArray();

    private string PathOf(string name) => Path.Combine(_directory, name);

    private Task<Ran> RunAsync(params string[] arguments) => CliRun.RunAsync(_node.Address, arguments);

    [Theory]
    [InlineData("out.jsonl")]
    [InlineData("out.tsv")]
    public async Task What_is_exported_can_be_imported_byte_for_byte(string name)
    {
        Random random = new(11);
        Dictionary<string, byte[]> values = [];
        for (int i = 0; i < 60; i++)
        {
            byte[] value = new byte[random.Next(0, 200)];
            random.NextBytes(value);
            values[$"k{i:000}\t\n\\{(char)('α' + i % 20)}"] = i % 3 == 0 ? Encoding.UTF8.GetBytes($"text \"{i}\" \\ \n\t ü") : value;
        }

        using (HengeClient client = new(new HengeClientOptions { Peers = [_node.Address] }))
        {
            foreach ((string key, byte[] value) in values)
            {
                await client.PutAsync(key, value);
            }

            await client.PutAsync(new byte[] { 0xFF, 0x00 }, new byte[] { 0x09 });
        }

        Ran export = await RunAsync("export", PathOf(name));
        Assert.Equal(0, export.ExitCode);
        Assert.StartsWith("exported: 61 records", export.Error, StringComparison.Ordinal);
        Assert.Equal(61, File.ReadAllLines(PathOf(name)).Length);

        await using RealStore second = await RealStore.StartAsync();
        _instead = second.HandleAsync;
        Ran import = await RunAsync("import", PathOf(name));
        Assert.Equal((0, ""), (import.ExitCode, import.Output));
        Assert.StartsWith("imported: 61 records", import.Error, StringComparison.Ordinal);
        foreach ((string key, byte[] value) in values)
        {
            Assert.Equal(value, await ValueOfAsync(second, ByteString.CopyFromUtf8(key)));
        }

        Assert.Equal([0x09], await ValueOfAsync(second, ByteString.CopyFrom(0xFF, 0x00)));
    }

    [Fact]
    public async Task Records_of_one_key_are_written_in_the_order_of_the_file()
    {
        StringBuilder lines = new();
        for (int i = 0; i < 2000; i++)
        {
            lines.Append($"{{\"key\":\"k{i % 5}\",\"value\":\"{i}\"}}\n");
        }

        Ran ran = await CliRun.RunAsync(_node.Address, ["import", "-", "--concurrency", "32"], Encoding.UTF8.GetBytes(lines.ToString()));

        Assert.Equal(0, ran.ExitCode);
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal($"{1995 + i}", (await RunAsync("get", $"k{i}")).Output);
        }
    }

    [Fact]
    public async Task An_interrupted_import_goes_on_where_it_stopped()
    {
        string path = PathOf("in.jsonl");
        await File.WriteAllLinesAsync(path, Enumerable.Range(0, 300).Select(i => $"{{\"key\":\"k{i:000}\",\"value\":\"{i}\"}}"));
        int puts = 0;
        _instead = async call =>
        {
            if (call.Method == "Session")
            {
                call.Fail(ErrorCode.UnsupportedFormat);
                return;
            }

            if (call.Method == "Put" && Interlocked.Increment(ref puts) > 120)
            {
                call.Fail(ErrorCode.DiskFull, "The disk is full.");
                return;
            }

            await _store.HandleAsync(call);
        };

        Ran first = await RunAsync("import", path, "--concurrency", "8");

        Assert.Equal(ExitCode.Exhausted, first.ExitCode);
        Assert.Contains("go on with --resume", first.Error, StringComparison.Ordinal);
        long done = Checkpoint.Load(path)!.Records;
        Assert.InRange(done, 1, 120);

        _instead = null;
        Assert.Equal(ExitCode.Usage, (await RunAsync("import", path)).ExitCode);
        Ran second = await RunAsync("import", path, "--resume");

        Assert.Equal(0, second.ExitCode);
        Assert.StartsWith("imported: 300 records", second.Error, StringComparison.Ordinal);
        Assert.Null(Checkpoint.Load(path));
        Assert.Equal("300\n", (await RunAsync("scan", "--count")).Output);
    }

    [Fact]
    public async Task A_changed_file_is_not_gone_on_with()
    {
        string path = PathOf("in.jsonl");
        await File.WriteAllTextAsync(path, "{\"key\":\"a\",\"value\":\"1\"}\nnonsense\n");
        Assert.Equal(ExitCode.Usage, (await RunAsync("import", path)).ExitCode);
        await File.WriteAllTextAsync(path, "{\"key\":\"b\",\"value\":\"1\"}\n{\"key\":\"c\",\"value\":\"1\"}\n");

        Ran ran = await RunAsync("import", path, "--resume");

        Assert.Equal(ExitCode.Usage, ran.ExitCode);
        Assert.Contains("--restart", ran.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("import", path, "--restart")).ExitCode);
    }

    [Fact]
    public async Task A_bad_line_is_named_and_what_stood_before_it_is_kept()
    {
        Ran ran = await CliRun.RunAsync(_node.Address, ["import", "-"], "{\"key\":\"a\",\"value\":\"1\"}\n\n{\"key\":\"b\"}\n"u8.ToArray());

        Assert.Equal(ExitCode.Usage, ran.ExitCode);
        Assert.Contains("-:3: there is no \"value\"", ran.Error, StringComparison.Ordinal);
        Assert.Equal("1", (await RunAsync("get", "a")).Output);
    }

    [Fact]
    public async Task A_line_that_is_refused_is_named_can_be_mended_and_the_import_goes_on()
    {
        string path = PathOf("in.jsonl");
        await File.WriteAllLinesAsync(
            path,
            ["{\"key\":\"a\",\"value\":\"1\"}", "{\"key\":\"long\",\"value\":\"1\"}", "{\"key\":\"c\",\"value\":\"1\"}"]);
        _instead = async call =>
        {
            if (call.Method == "Session")
            {
                call.Fail(ErrorCode.UnsupportedFormat);
            }
            else if (call.Method == "Put" && (await call.ReadAsync(Wire.PutRequest.Parser))! is { } put)
            {
                if (put.Key.Length > 1)
                {
                    call.Fail(ErrorCode.TooLarge, "The key has 4 bytes; the limit is 1.");
                    return;
                }

                await call.WriteAsync(await _store.Stub.PutAsync(put));
            }
        };

        Ran first = await RunAsync("import", path, "--concurrency", "1");
        Assert.Equal(ExitCode.Refused, first.ExitCode);
        Assert.Contains(path + ":2: The key has 4 bytes", first.Error, StringComparison.Ordinal);

        await File.WriteAllLinesAsync(
            path,
            ["{\"key\":\"a\",\"value\":\"1\"}", "{\"key\":\"b\",\"value\":\"2\"}", "{\"key\":\"c\",\"value\":\"1\"}"]);
        Ran second = await RunAsync("import", path, "--resume");
        Assert.StartsWith("imported: 3 records", second.Error, StringComparison.Ordinal);
        Assert.Equal(0, second.ExitCode);
    }

    [Fact]
    public async Task Lines_that_are_refused_are_passed_over_on_request()
    {
        string path = PathOf("in.jsonl");
        await File.WriteAllLinesAsync(
            path,
            [
                "{\"key\":\"a\",\"value\":\"1\"}",
                "nonsense",
                "",
                "{\"key\":\"b\",\"value\":\"1\",\"ttl_ms\":0}",
                "{\"key\":\"c\",\"value\":\"1\"}",
                "[",
            ]);

        Ran ran = await RunAsync("import", path, "--skip-invalid");

        Assert.Equal(ExitCode.Refused, ran.ExitCode);
        Assert.Contains(path + ":2: ", ran.Error, StringComparison.Ordinal);
        Assert.Contains(path + ":4: ", ran.Error, StringComparison.Ordinal);
        Assert.Contains(path + ":6: ", ran.Error, StringComparison.Ordinal);
        Assert.Contains("imported: 2 records", ran.Error, StringComparison.Ordinal);
        Assert.Contains("3 lines were passed over", ran.Error, StringComparison.Ordinal);
        Assert.Equal("2\n", (await RunAsync("scan", "--count")).Output);
        Assert.Null(Checkpoint.Load(path));
    }

    [Fact]
    public async Task The_longest_time_to_live_there_is_can_be_imported()
    {
        Ran ran = await CliRun.RunAsync(
            _node.Address,
            ["import", "-"],
            "{\"key\":\"a\",\"value\":\"1\",\"ttl_ms\":9223372036854775807}\n{\"key\":\"b\",\"value\":\"1\",\"ttl_ms\":18446744073709551615}\n"u8.ToArray()
        );

        Assert.Equal((0, ""), (ran.ExitCode, ran.Output));
    }

    [Fact]
    public async Task An_existing_file_is_not_overwritten_unasked()
    {
        string path = PathOf("out.jsonl");
        await File.WriteAllTextAsync(path, "precious");

        Assert.Equal(ExitCode.Usage, (await RunAsync("export", path)).ExitCode);
        Assert.Equal("precious", await File.ReadAllTextAsync(path));
        Assert.Equal(0, (await RunAsync("export", path, "--force")).ExitCode);
        Assert.Equal("", await File.ReadAllTextAsync(path));
    }

    [Fact]
    public async Task An_export_that_got_nowhere_leaves_no_file()
    {
        _instead = call =>
        {
            call.Fail(ErrorCode.DiskFull);
            return Task.CompletedTask;
        };

        Assert.Equal(ExitCode.Exhausted, (await RunAsync("export", PathOf("out.tsv"))).ExitCode);
        Assert.Empty(Directory.GetFiles(_directory));
    }

    [Fact]
    public async Task An_interrupted_export_goes_on_as_of_the_same_version()
    {
        for (int i = 0; i < 9; i++)
        {
            await RunAsync("put", $"k{i}", "old");
        }

        int scans = 0;
        _instead = async call =>
        {
            if (call.Method == "Scan" && Interlocked.Increment(ref scans) == 2)
            {
                call.Fail(ErrorCode.DiskFull);
                return;
            }

            await _store.HandleAsync(call);
        };
        string path = PathOf("out.tsv");
        Ran first = await RunAsync("export", path);
        Assert.Equal(ExitCode.Exhausted, first.ExitCode);
        await File.AppendAllTextAsync(path, "half a li");
        _instead = null;
        await RunAsync("put", "k8", "new");

        Assert.Equal(ExitCode.Usage, (await RunAsync("export", path)).ExitCode);
        Ran second = await RunAsync("export", path, "--resume");
        Assert.Equal((0, "exported: 9 records"), (second.ExitCode, second.Error.Split(',')[0]));

        Assert.Equal(Enumerable.Range(0, 9).Select(i => $"k{i}\told"), await File.ReadAllLinesAsync(path));
    }

    [Theory]
    [InlineData("{\"key\":\"a\",\"value\":{\"x\":[1,2]}}", "{\"x\":[1,2]}")]
    [InlineData("{\"key\":\"a\",\"value\":12.50}", "12.50")]
    [InlineData("{\"other\":{\"key\":\"b\"},\"value\":\"\\u00fc\",\"key\":\"a\"}", "ü")]
    [InlineData("{\"key_base64\":\"YQ==\",\"value\":true}", "true")]
    public void Values_may_be_any_json(string line, string value)
    {
        TransferRecord record = JsonRecord.Parse(Encoding.UTF8.GetBytes(line));

        Assert.Equal("a", Encoding.UTF8.GetString(record.Key.Span));
        Assert.Equal(value, Encoding.UTF8.GetString(record.Value.Span));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"key\":\"a\"")]
    [InlineData("{\"key\":\"a\",\"value\":\"1\"} x")]
    [InlineData("{\"key\":1,\"value\":\"1\"}")]
    [InlineData("{\"key\":\"a\",\"key\":\"b\",\"value\":\"1\"}")]
    [InlineData("{\"key\":\"a\",\"value\":null}")]
    [InlineData("{\"key\":\"a\",\"value_base64\":\"?\"}")]
    [InlineData("{\"key\":\"a\",\"value\":\"1\",\"ttl_ms\":-1}")]
    [InlineData("{\"key\":\"a\",\"value\":\"1\",\"ttl_ms\":0}")]
    [InlineData("{\"key\":\"a\",\"value\":\"1\",\"ttl_ms\":1.5}")]
    [InlineData("{\"\\ud800\":1,\"key\":\"a\",\"value\":\"1\"}")]
    [InlineData("{\"key\":\"\\ud800\",\"value\":\"1\"}")]
    public void A_line_that_is_no_record_is_refused(string line) =>
        Assert.Throws<FormatException>(() => JsonRecord.Parse(Encoding.UTF8.GetBytes(line)));

    [Theory]
    [InlineData("a")]
    [InlineData("a\tb\tc")]
    [InlineData("a\t\\q")]
    [InlineData("a\t\\")]
    [InlineData("a\t\\x1")]
    [InlineData("a\t\\xzz")]
    public void A_line_of_columns_that_is_no_record_is_refused(string line) =>
        Assert.Throws<FormatException>(() => TsvRecord.Parse(Encoding.UTF8.GetBytes(line)));

    [Fact]
    public async Task Lines_of_every_length_are_cut_where_they_end()
    {
        Random random = new(3);
        List<byte[]> lines = [];
        using MemoryStream stream = new();
        for (int i = 0; i < 200; i++)
        {
            byte[] line = new byte[i % 20 == 0 ? random.Next(300_000) : random.Next(50)];
            Array.Fill(line, (byte)('a' + i % 26));
            lines.Add(line);
            stream.Write(line);
            stream.Write(i % 2 == 0 ? "\n"u8 : "\r\n"u8);
        }

        stream.Write("last"u8);
        lines.Add("last"u8.ToArray());
        stream.Position = 0;
        using LineReader reader = new(new TricklingStream(stream, random), 0);
        foreach (byte[] line in lines)
        {
            Assert.Equal(line, (await reader.ReadAsync(default))!.Value.ToArray());
        }

        Assert.Null(await reader.ReadAsync(default));
        Assert.Equal(stream.Length, reader.Offset);
    }

    private sealed class TricklingStream(Stream inner, Random random) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => inner.Length;

        public override long Position
        {
            get => inner.Position;
            set => inner.Position = value;
        }

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, Math.Min(count, random.Next(1, 9000)));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(buffer[..Math.Min(buffer.Length, random.Next(1, 9000))], cancellationToken);

        public override void Flush() => inner.Flush();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
