using System.Text;
using Serilog;
using Serilog.Configuration;
using Serilog.Core;
using Serilog.Debugging;
using Serilog.Events;
using Serilog.Formatting.Compact;
using Serilog.Sinks.File;

namespace Henge.Server.Audit;

/// <summary>
/// The file of an audit log, by Serilog's: a JSON object a line, another file when one is full, the oldest deleted. Unlike Serilog's, it
/// throws when a line could not be written. One thread at a time.
/// </summary>
internal sealed class AuditFile : ILogEventSink, ILoggingFailureListener, IDisposable
{
    private const UnixFileMode OwnersFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnersDirectory = OwnersFile | UnixFileMode.UserExecute;

    // How often it is looked whether the file is still there.
    private const int LookMs = 1_000;

    private readonly ILogEventSink _sink;
    private readonly Opening _opening = new();
    private long _lookedAt;
    private string? _failure;
    private Exception? _cause;

    /// <summary>Opens it, when the first line is written. Makes its directory, for the owner alone, if there is none.</summary>
    public AuditFile(AuditOptions options)
    {
        string path = Path.GetFullPath(options.Path);
        if (Path.GetDirectoryName(path) is { } directory && !Directory.Exists(directory))
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(directory);
            }
            else
            {
                Directory.CreateDirectory(directory, OwnersDirectory);
            }
        }

        _sink = LoggerSinkConfiguration.CreateSink(to => to.File(
            new CompactJsonFormatter(),
            path,
            fileSizeLimitBytes: options.FileBytes,
            rollOnFileSizeLimit: true,
            retainedFileCountLimit: options.Files,
            encoding: new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
            hooks: _opening));
        if (_sink is ISetLoggingFailureListener tells)
        {
            tells.SetFailureListener(this);
        }
    }

    /// <summary>Writes a line, which the operating system has when this returns. Throws what was in the way.</summary>
    public void Emit(LogEvent logEvent)
    {
        Look();
        (_failure, _cause) = (null, null);
        _sink.Emit(logEvent);
        if (_failure is { } failure)
        {
            throw _cause is null ? new IOException(failure) : new IOException($"{failure}: {_cause.Message}", _cause);
        }
    }

    /// <inheritdoc/>
    public void OnLoggingFailed(
        object sender,
        LoggingFailureKind kind,
        string message,
        IReadOnlyCollection<LogEvent>? events,
        Exception? exception) => (_failure, _cause) = (message, exception);

    /// <inheritdoc/>
    public void Dispose() => (_sink as IDisposable)?.Dispose();

    // What is written to a file that somebody has deleted or moved goes on to be written, and nobody finds it.
    private void Look()
    {
        long now = Environment.TickCount64;
        if (_opening.Path is { } path && now - _lookedAt >= LookMs)
        {
            _lookedAt = now;
            if (!File.Exists(path))
            {
                throw new FileNotFoundException($"The file '{path}' is not there any more: lines that were in it are gone.");
            }
        }
    }

    private sealed class Opening : FileLifecycleHooks
    {
        /// <summary>The file that was opened last.</summary>
        public string? Path { get; private set; }

        public override Stream OnFileOpened(string path, Stream underlyingStream, Encoding encoding)
        {
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, OwnersFile);
            }

            if (EndsWithinALine(path))
            {
                // What was being written when the disk was full, or the process ended, is not to spoil the line that comes now.
                underlyingStream.WriteByte((byte)'\n');
            }

            Path = path;
            return underlyingStream;
        }

        private static bool EndsWithinALine(string path)
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (file.Length == 0)
            {
                return false;
            }

            file.Seek(-1, SeekOrigin.End);
            return file.ReadByte() != '\n';
        }
    }
}
