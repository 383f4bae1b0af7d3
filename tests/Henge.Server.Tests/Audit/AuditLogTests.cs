using System.Diagnostics.Metrics;
using System.Text.Json;
using Henge.Core;
using Henge.Server.Audit;
using Henge.Server.Hosting;
using Henge.Server.Metrics;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;

namespace Henge.Server.Tests.Audit;

/// <summary>The audit log by itself: what is in its files, and what becomes of lines that cannot be written.</summary>
public sealed class AuditLogTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("henge-audit").FullName;
    private readonly LinesLogger _logger = new();
    private readonly FakeSink _sink = new();

    private string Log => Path.Combine(_directory, "logs", "audit.json");

    public void Dispose()
    {
        _sink.Problem = null;
        _sink.GoOn();
        _sink.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public void Lines_are_json_with_numbers_without_gaps_in_a_file_of_the_owner_alone()
    {
        using (AuditLog log = Open(new AuditOptions { Path = Log }))
        {
            log.Take(new AuditLine("Key", "{User} {Key}", [("User", "ann"), ("Key", "a\n\"\u00e4\ud800")]), isChange: false);
        }

        using (AuditLog log = Open(new AuditOptions { Path = Log }))
        {
            Assert.Equal(0, log.Lost);
        }

        List<JsonElement> lines = AuditLines.Read(Log);
        Assert.Equal(["Begun", "Key", "Ended", "Begun", "Ended"], lines.Select(static l => l.Field("Event")));
        Assert.Equal(["1", "2", "3", "1", "2"], lines.Select(static l => l.Field("Sequence")));
        Assert.Equal("a\n\"\u00e4\ufffd", lines[1].Field("Key"));
        Assert.Equal("0", lines[2].Field("LostInAll"));
        Assert.All(lines, static l => Assert.Equal("n1", l.Field("Node")));
        Assert.All(lines, static l => Assert.True(DateTimeOffset.TryParse(l.Field("@t"), out _)));
        Assert.Single(lines[..3].Select(static l => l.Field("Run")).Distinct());
        Assert.NotEqual(lines[0].Field("Run"), lines[3].Field("Run"));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Log));
            Assert.Equal(
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
                File.GetUnixFileMode(Path.GetDirectoryName(Log)!));
        }
    }

    [Fact]
    public void A_full_file_is_followed_by_another_and_so_many_are_kept()
    {
        using (AuditLog log = Open(new AuditOptions { Path = Log, FileBytes = 4096, Files = 3 }))
        {
            for (int i = 0; i < 500; i++)
            {
                log.Take(Line(i), isChange: false);
            }
        }

        string[] files = AuditLines.Files(Log);
        Assert.Equal(3, files.Length);
        Assert.DoesNotContain(Log, files);
        Assert.All(files, static f => Assert.InRange(new FileInfo(f).Length, 1, 4096 + 1024));
        List<JsonElement> lines = AuditLines.Read(Log);
        long[] numbers = [.. lines.Select(static l => l.GetProperty("Sequence").GetInt64())];
        Assert.Equal(Enumerable.Range(0, numbers.Length).Select(i => 502 - numbers.Length + 1L + i), numbers);
        foreach (string file in files)
        {
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            }
        }
    }

    [Fact]
    public async Task What_cannot_be_written_for_a_while_waits_and_is_told_of()
    {
        using AuditLog log = Open(Settings());
        _sink.Problem = new IOException("No space left on device");
        for (int i = 0; i < 10; i++)
        {
            log.Take(Line(i), isChange: false);
        }

        await _sink.TriedAsync();
        await GrpcRulesTests.Until(() => log.Problem is not null);
        Assert.Equal("No space left on device", log.Problem);
        Assert.Equal("audit: the audit log cannot be written; 0 lines were lost", log.Notice);
        Assert.Equal((10, 0L), (log.Waiting, log.Lost));
        _sink.Problem = null;
        await GrpcRulesTests.Until(() => log.Waiting == 0);
        Assert.Null(log.Problem);
        Assert.Null(log.Notice);
        Assert.Equal(Enumerable.Range(1, 11).Select(static i => (long)i), _sink.Events.Select(static e => FakeSink.Number(e, "Sequence")));
        Assert.Equal(2, _logger.Lines.Count);
        Assert.StartsWith("The audit log cannot be written;", _logger.Lines[0], StringComparison.Ordinal);
        Assert.StartsWith("The audit log is written again. 0 lines", _logger.Lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_there_is_no_room_for_is_counted_told_of_and_named_by_the_next_line()
    {
        using ServerMetrics metrics = new();
        AuditLog log = Open(Settings() with { Capacity = 16 });
        AuditLog.Observe(metrics.Meter, log);
        _sink.Hang();
        for (int i = 0; i < 20; i++)
        {
            log.Take(Line(i), isChange: false);
        }

        // An eighth of the room is for changes alone.
        Assert.Equal((14, 6L), (log.Waiting, log.Lost));
        log.Take(Line(20), isChange: true);
        log.Take(Line(21), isChange: true);
        log.Take(Line(22), isChange: true);
        Assert.Equal((16, 7L), (log.Waiting, log.Lost));
        Assert.Equal("audit: 7 lines of the audit log were lost", log.Notice);
        Assert.Equal((16L, 7L), (Read(metrics, "henge.audit.waiting"), Read(metrics, "henge.audit.lost")));
        Assert.Single(_logger.Lines);
        Assert.StartsWith("1 lines of the audit log were lost", _logger.Lines[0], StringComparison.Ordinal);

        _sink.GoOn();
        await GrpcRulesTests.Until(() => log.Waiting == 0);
        log.Take(Line(23), isChange: false);
        log.Dispose();
        Assert.Equal(19L, Read(metrics, "henge.audit.lines"));
        (long, long)[] told =
        [
            .. _sink.Events.Select(static e => (FakeSink.Number(e, "Sequence"), FakeSink.Number(e, "LostBefore"))),
        ];
        Assert.Equal(
            [.. Enumerable.Range(1, 15).Select(static i => ((long)i, 0L)), (22L, 6L), (23L, 0L), (25L, 1L), (26L, 0L)],
            told);
        Assert.Equal(7, FakeSink.Number(_sink.Events.Last(), "LostInAll"));

        // The rest of the losses, which were not told one by one.
        Assert.Equal(2, _logger.Lines.Count);
        Assert.StartsWith("6 lines of the audit log were lost", _logger.Lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_line_that_cannot_be_written_by_itself_does_not_hold_up_those_behind_it()
    {
        using AuditLog log = Open(Settings());
        _sink.ProblemOf = static e => FakeSink.Number(e, "Sequence") == 2 ? new InvalidOperationException("bad line") : null;
        _sink.Hang();
        log.Take(Line(0), isChange: false);
        log.Take(Line(1), isChange: false);
        _sink.GoOn();
        await GrpcRulesTests.Until(() => log.Waiting == 0);
        Assert.Equal(1, log.Lost);
        Assert.Equal(
            [(1L, 0L), (3L, 1L)],
            _sink.Events.Select(static e => (FakeSink.Number(e, "Sequence"), FakeSink.Number(e, "LostBefore"))));
    }

    [Fact]
    public async Task What_waits_at_the_end_for_a_file_that_fails_is_counted_as_lost()
    {
        AuditLog log = Open(Settings());
        _sink.Problem = new UnauthorizedAccessException("denied");
        log.Take(Line(0), isChange: false);
        await GrpcRulesTests.Until(() => log.Problem is not null);
        log.Dispose();
        log.Dispose();

        // The last line of all is one of them.
        Assert.Equal(2, log.Lost);
        Assert.Contains(_logger.Lines, static l => l.StartsWith("2 lines of the audit log were lost", StringComparison.Ordinal));
        log.Take(Line(1), isChange: false);
        Assert.Equal(3, log.Lost);
    }

    [Fact]
    public async Task Files_that_cannot_be_made_are_tried_again_and_lines_wait_for_them()
    {
        string logs = Path.GetDirectoryName(Log)!, away = Path.Combine(_directory, "away");
        AuditOptions options = new() { Path = Log, FileBytes = 4096, Files = 100 };
        using AuditLog log = Open(AuditSettings.Of(options) with { Retry = TimeSpan.FromMilliseconds(1) });
        Directory.Move(logs, away);
        await File.WriteAllTextAsync(logs, "in the way", TestContext.Current.CancellationToken);
        for (int i = 0; i < 100; i++)
        {
            log.Take(Line(i), isChange: false);
        }

        await GrpcRulesTests.Until(() => log.Problem is not null);
        Assert.NotEqual(0, log.Waiting);
        File.Delete(logs);
        await GrpcRulesTests.Until(() => log.Waiting == 0);
        Assert.Null(log.Problem);
        Assert.Equal(0, log.Lost);
        string before = Path.Combine(away, "audit.json");
        List<JsonElement> lines = [.. AuditLines.Read(before), .. AuditLines.Read(Log)];
        Assert.Equal(Enumerable.Range(1, 101), lines.Select(static l => l.GetProperty("Sequence").GetInt32()));
    }

    [Fact]
    public async Task A_file_that_somebody_has_taken_away_is_noticed_and_made_anew()
    {
        using AuditLog log = Open(AuditSettings.Of(new AuditOptions { Path = Log }) with { Retry = TimeSpan.FromMilliseconds(1) });
        File.Delete(Log);
        int i = 0;
        await GrpcRulesTests.Until(() =>
        {
            log.Take(Line(i++), isChange: false);
            return File.Exists(Log);
        });
        await GrpcRulesTests.Until(() => log.Waiting == 0);
        Assert.Contains(_logger.Lines, static l => l.Contains("is not there any more", StringComparison.Ordinal));
    }

    [Fact]
    public void Half_a_line_at_the_end_of_a_file_does_not_spoil_the_next_one()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Log)!);
        File.WriteAllText(Log, "{\"half\":");
        Open(new AuditOptions { Path = Log }).Dispose();
        string[] lines = File.ReadAllLines(Log);
        Assert.Equal(3, lines.Length);
        Assert.Equal("{\"half\":", lines[0]);
        Assert.Equal("Begun", JsonDocument.Parse(lines[1]).RootElement.Field("Event"));
    }

    [Fact]
    public void A_node_does_not_start_without_the_log_that_it_is_to_write()
    {
        File.WriteAllText(Path.Combine(_directory, "logs"), "in the way");
        HengeException problem = Assert.Throws<HengeException>(() => Open(new AuditOptions { Path = Log }));
        Assert.Equal(ErrorCode.Misconfigured, problem.Code);
        Assert.Contains("--audit-log", problem.Message, StringComparison.Ordinal);
        problem = Assert.Throws<HengeException>(() => AuditLog.OpenIfAsked(
            new AuditOptions { Keys = [new AuditRule(AuditedAccess.All, "")] }, "n1", _logger));
        Assert.Equal(ErrorCode.Misconfigured, problem.Code);
        Assert.Null(AuditLog.OpenIfAsked(new AuditOptions(), "n1", _logger));
    }

    [Fact]
    public async Task Whoever_asks_whether_the_node_serves_is_told_of_it()
    {
        using AuditLog log = Open(Settings());
        using FakeNode node = new();
        await using HengeServer server = new(node, new DoorOptions { Address = "127.0.0.1:0" }, tls: null, audit: log);
        await server.StartAsync(TestContext.Current.CancellationToken);
        using HttpClient http = new() { BaseAddress = new Uri($"http://{server.EndPoint}") };
        Assert.Equal("ok\n", await http.GetStringAsync("/readyz", TestContext.Current.CancellationToken));
        _sink.Problem = new IOException("No space left on device");
        log.Take(Line(0), isChange: true);
        await GrpcRulesTests.Until(() => log.Problem is not null);
        Assert.Equal(
            "ok\naudit: the audit log cannot be written; 0 lines were lost\n",
            await http.GetStringAsync("/readyz", TestContext.Current.CancellationToken));
        Assert.Equal("ok\n", await http.GetStringAsync("/healthz", TestContext.Current.CancellationToken));
    }

    private AuditSettings Settings() => new() { Path = "fake", Open = () => _sink, Retry = TimeSpan.FromMilliseconds(1) };

    private AuditLog Open(AuditOptions options) => Open(AuditSettings.Of(options));

    private AuditLog Open(AuditSettings settings) => AuditLog.Open(settings, "n1", _logger);

    private static AuditLine Line(int i) => new("Key", "{User} {Key}", [("User", "ann"), ("Key", $"key{i}")]);

    private static long Read(ServerMetrics metrics, string name)
    {
        long read = -1;
        using MeterListener listener = new();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (ReferenceEquals(instrument.Meter, metrics.Meter) && instrument.Name == name)
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => read = value);
        listener.Start();
        listener.RecordObservableInstruments();
        return read;
    }
}
