using System.Diagnostics.Metrics;
using Henge.Core;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Tls;

/// <summary>
/// Keeps what TLS is made of as the files have it. Every two seconds it reads them again: they are small, and contents alone tell a change
/// for certain, by whatever rename, link or mount it came. What cannot be used is told once, and what was there before stays in use.
/// Connections that are there go on with what they were made with. Thread-safe.
/// </summary>
internal sealed class TlsFiles : IDisposable
{
    /// <summary>From how long before its end a certificate is warned of.</summary>
    public static readonly TimeSpan NearEnd = TimeSpan.FromDays(30);

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan WarningInterval = TimeSpan.FromDays(1);

    private readonly TlsSettings _settings;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private volatile TlsMaterial _current;
    private string _told = "";
    private DateTimeOffset _warned;
    private volatile bool _disposed;

    private TlsFiles(TlsSettings settings, ILogger logger, TimeProvider time)
    {
        _settings = settings;
        _logger = logger;
        _time = time;
        _current = TlsMaterial.Load(settings);
        Tell(isNew: false);
        _timer = time.CreateTimer(_ => Look(), null, Interval, Interval);
    }

    /// <summary>What is in use.</summary>
    public TlsMaterial Current => _current;

    /// <summary>True when certificates tell who a node or a user is.</summary>
    public bool KnowsPeers => _settings.AuthorityFile is not null;

    /// <summary>Reads the files for the first time. Throws <see cref="HengeException"/> (Misconfigured).</summary>
    public static TlsFiles Open(TlsSettings settings, ILogger logger, TimeProvider? time = null) =>
        new(settings, logger, time ?? TimeProvider.System);

    /// <summary>Makes the metric of ends.</summary>
    public static void Observe(Meter meter, TlsFiles? files) => meter.CreateObservableGauge(
        "henge.tls.expiry",
        () => files?.Ends() ?? [],
        "s",
        "Seconds until the end of the node's certificate and of the authority that ends first; less than zero when it is over.");

    /// <summary>Reads the files again, and goes over to what they hold if that can be used.</summary>
    public void Look()
    {
        // A disk that hangs holds up one look, not one more every two seconds.
        if (!_gate.TryEnter())
        {
            return;
        }

        try
        {
            if (_disposed)
            {
                return;
            }

            try
            {
                if (!TlsMaterial.FingerprintNow(_settings).AsSpan().SequenceEqual(_current.Fingerprint))
                {
                    _current = TlsMaterial.Load(_settings);
                    _told = "";
                    Tell(isNew: true);
                }
                else if (_told.Length > 0)
                {
                    // As it was before the change that could not be used.
                    _told = "";
                }
            }
            catch (Exception e) when (e is HengeException or IOException or UnauthorizedAccessException)
            {
                if (_told != e.Message)
                {
                    _told = e.Message;
                    ServerEvents.Tls.TlsReloadFailed(_logger, e.Message);
                }
            }

            if (_time.GetUtcNow() - _warned >= WarningInterval)
            {
                Warn();
            }
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        _timer.Dispose();
    }

    private void Tell(bool isNew)
    {
        string subject = _current.Certificate.Subject, serial = _current.Certificate.SerialNumber;
        DateTime end = _current.Certificate.NotAfter.ToUniversalTime();
        int authorities = _current.Authorities.Count;
        if (isNew)
        {
            ServerEvents.Tls.TlsReloaded(_logger, subject, serial, end, authorities);
        }
        else
        {
            ServerEvents.Tls.TlsLoaded(_logger, subject, serial, end, authorities);
        }

        Warn();
    }

    private void Warn()
    {
        _warned = _time.GetUtcNow();
        WarnOf(_settings.CertificateFile, _current.Certificate.NotAfter);
        if (_current.AuthoritiesEnd is { } end)
        {
            WarnOf(_settings.AuthorityFile!, end);
        }
    }

    private void WarnOf(string file, DateTimeOffset end)
    {
        TimeSpan left = end - _warned;
        if (left < TimeSpan.Zero)
        {
            ServerEvents.Tls.TlsExpired(_logger, file, end.UtcDateTime);
        }
        else if (left < NearEnd)
        {
            ServerEvents.Tls.TlsNearExpiry(_logger, file, end.UtcDateTime, (int)left.TotalDays);
        }
    }

    private IEnumerable<Measurement<double>> Ends()
    {
        DateTimeOffset now = _time.GetUtcNow();
        yield return Of("certificate", _current.Certificate.NotAfter);
        if (_current.AuthoritiesEnd is { } end)
        {
            yield return Of("authority", end);
        }

        Measurement<double> Of(string kind, DateTimeOffset until) =>
            new(Math.Floor((until - now).TotalSeconds), new KeyValuePair<string, object?>("henge.certificate", kind));
    }
}
