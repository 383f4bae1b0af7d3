using System.Diagnostics.Metrics;
using Henge.Core;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tls;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Server.Tests.Tls;

public sealed class TlsFilesTests : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(2);
    private readonly TestCertificates _certificates = new();
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);
    private readonly LinesOf _log = new();

    public void Dispose() => _certificates.Dispose();

    private DateTimeOffset In(int days) => _time.GetUtcNow().AddDays(days);

    [Fact]
    public void New_files_are_used_when_they_fit_together_and_not_before()
    {
        string first = _certificates.Sign("n", "CN=node", In(100));
        using TlsFiles files = TlsFiles.Open(_certificates.Settings("n"), _log, _time);
        Assert.Equal(first, files.Current.Certificate.SerialNumber);
        _time.Advance(Look);
        Assert.DoesNotContain(_log.Ids, static id => id is 1702 or 1703);

        // One file of two: as it is between the replacing of the first and of the second.
        string old = File.ReadAllText(_certificates.FileOf("n.key"));
        string second = _certificates.Sign("n", "CN=node", In(200));
        string key = File.ReadAllText(_certificates.FileOf("n.key"));
        File.WriteAllText(_certificates.FileOf("n.key"), old);
        _time.Advance(Look);
        _time.Advance(Look);
        Assert.Equal(first, files.Current.Certificate.SerialNumber);
        Assert.Single(_log.Ids, 1703);
        File.WriteAllText(_certificates.FileOf("n.key"), key);
        _time.Advance(Look);
        Assert.Equal(second, files.Current.Certificate.SerialNumber);
        Assert.Single(_log.Ids, 1702);

        // A certificate that no peer would take is not used, and neither is one that is missing.
        _certificates.Sign("n", "CN=somebody", In(200));
        _time.Advance(Look);
        File.Delete(_certificates.FileOf("n.crt"));
        _time.Advance(Look);
        Assert.Equal(second, files.Current.Certificate.SerialNumber);
        Assert.Equal(3, _log.Ids.Count(static id => id == 1703));
    }

    [Fact]
    public void What_ends_soon_is_told_at_the_start_and_once_a_day_and_measured()
    {
        _certificates.Sign("n", "CN=node", In(10));
        using TlsFiles files = TlsFiles.Open(_certificates.Settings("n"), _log, _time);
        Assert.Single(_log.Ids, 1704);
        _time.Advance(TimeSpan.FromHours(23));
        Assert.Single(_log.Ids, 1704);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(2, _log.Ids.Count(static id => id == 1704));
        Assert.Equal([("authority", true), ("certificate", true)], Ends(files));
        _time.Advance(TimeSpan.FromDays(10));
        Assert.Contains(1705, _log.Ids);
        Assert.Equal([("authority", true), ("certificate", false)], Ends(files));
    }

    [Theory]
    [InlineData("CN=somebody", "is no node's")]
    [InlineData("CN=node, CN=alice", "is no node's")]
    [InlineData("O=node", "is no node's")]
    [InlineData("CN=Node", "is no node's")]
    public void A_certificate_of_somebody_else_is_none_of_a_node_with_peers(string subject, string told)
    {
        _certificates.Sign("n", subject, In(100));
        HengeException refused = Assert.Throws<HengeException>(() => TlsMaterial.Load(_certificates.Settings("n")));
        Assert.Equal(ErrorCode.Misconfigured, refused.Code);
        Assert.Contains(told, refused.Message, StringComparison.Ordinal);
        Assert.NotNull(TlsMaterial.Load(_certificates.Settings("n", isForPeers: false)));
    }

    [Fact]
    public void A_certificate_that_is_for_clients_or_of_another_authority_or_lies_open_is_refused()
    {
        _certificates.Sign("client", "CN=node", In(100), isNode: false);
        Assert.Contains("for clients only", RefusalOf(_certificates.Settings("client")), StringComparison.Ordinal);
        using TestCertificates others = new();
        _certificates.Sign("n", "CN=node", In(100));
        Assert.Contains(
            "is not signed by an authority",
            RefusalOf(_certificates.Settings("n") with { AuthorityFile = others.FileOf("ca.crt") }),
            StringComparison.Ordinal);
        Assert.Contains(
            "There is no file", RefusalOf(_certificates.Settings("n") with { KeyFile = "nowhere.key" }), StringComparison.Ordinal);
        Assert.Contains(
            "holds no certificate",
            RefusalOf(_certificates.Settings("n") with { AuthorityFile = _certificates.FileOf("n.key") }),
            StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
        {
            string key = _certificates.FileOf("n.key");
            foreach (UnixFileMode mode in (UnixFileMode[])[UnixFileMode.OtherRead, UnixFileMode.OtherWrite, UnixFileMode.GroupWrite])
            {
                File.SetUnixFileMode(key, KeyFile.Mode | mode);
                Assert.Contains("chmod 600", RefusalOf(_certificates.Settings("n")), StringComparison.Ordinal);
            }

            File.SetUnixFileMode(key, KeyFile.Mode | UnixFileMode.GroupRead);
            Assert.NotNull(TlsMaterial.Load(_certificates.Settings("n")));

            // A link to a key that lies open is no better than the key.
            File.SetUnixFileMode(key, KeyFile.Mode | UnixFileMode.OtherRead);
            File.CreateSymbolicLink(_certificates.FileOf("link.key"), key);
            Assert.Contains(
                "chmod 600",
                RefusalOf(_certificates.Settings("n") with { KeyFile = _certificates.FileOf("link.key") }),
                StringComparison.Ordinal);
        }
    }

    private static string RefusalOf(TlsSettings settings) => Assert.Throws<HengeException>(() => TlsMaterial.Load(settings)).Message;

    private static (string, bool)[] Ends(TlsFiles files)
    {
        using Meter meter = new("test of ends");
        using MeterListener listener = new();
        List<(string, bool)> found = [];
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (ReferenceEquals(instrument.Meter, meter))
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<double>((_, value, tags, _) => found.Add(((string)tags[0].Value!, value > 0)));
        listener.Start();
        TlsFiles.Observe(meter, files);
        listener.RecordObservableInstruments();
        return [.. found.Order()];
    }

    private sealed class LinesOf : ILogger
    {
        private readonly List<int> _ids = [];

        public IReadOnlyList<int> Ids => _ids;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> format) =>
            _ids.Add(id.Id);
    }
}
