using Henge.Core;
using Serilog.Core;

namespace Henge.Server.Audit;

/// <summary>What an audit log writes to, and its bounds.</summary>
internal sealed record AuditSettings
{
    /// <summary>The file's name, for messages.</summary>
    public required string Path { get; init; }

    /// <summary>Opens the file, at the start and again after each failure.</summary>
    public required Func<ILogEventSink> Open { get; init; }

    /// <summary>So many lines wait.</summary>
    public int Capacity { get; init; } = AuditLog.Capacity;

    /// <summary>How long after a failure it is tried again.</summary>
    public TimeSpan Retry { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Whose time it is.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Throws <see cref="HengeException"/> (Misconfigured) when the settings of a node do not fit together.</summary>
    public static void Check(AuditOptions options)
    {
        if (options.Keys.Count > 0 && options.Path.Length == 0)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                "audit-keys says whose use is audited, and audit-log does not say where: name a file with audit-log, or leave audit-keys out.");
        }
    }

    /// <summary>What the settings of a node say.</summary>
    public static AuditSettings Of(AuditOptions options) => new() { Path = options.Path, Open = () => new AuditFile(options) };
}
