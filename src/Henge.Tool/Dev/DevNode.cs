using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Henge.Cli.Outcome;

namespace Henge.Tool.Dev;

/// <summary>One node of <c>henge dev</c>: a child process whose output goes to a file.</summary>
internal sealed partial class DevNode : IDisposable
{
    private const int SigTerm = 15;
    private const int LastLineBytes = 4096;

    private readonly Process _process;
    private readonly FileStream _log;
    private readonly long _logStart;

    private DevNode(string name, string address, string[] arguments, string logPath, Process process, FileStream log)
    {
        Name = name;
        Address = address;
        LogPath = logPath;
        CommandLine = string.Join(' ', arguments.Select(Quote));
        Id = process.Id;
        _process = process;
        _log = log;
        _logStart = log.Length;
        Exited = FollowAsync();
    }

    public string Name { get; }

    /// <summary>Where it serves.</summary>
    public string Address { get; }

    public string LogPath { get; }

    /// <summary>What starts it again.</summary>
    public string CommandLine { get; }

    public int Id { get; }

    /// <summary>Done when the process has ended and its output is in the file.</summary>
    public Task Exited { get; }

    public bool HasExited => _process.HasExited;

    /// <summary>True when it ended because it had nothing more to do, as a node that has left its cluster does.</summary>
    public bool HasEndedInOrder => _process.HasExited && _process.ExitCode == 0;

    /// <summary>How it ended, in words.</summary>
    public string HowItEnded => _process.ExitCode switch
    {
        0 => "by itself",
        > 128 and < 160 => $"by signal {(_process.ExitCode - 128).ToString(CultureInfo.InvariantCulture)}",
        int code => $"with exit code {code.ToString(CultureInfo.InvariantCulture)}",
    };

    /// <summary>Starts a node from this very program.</summary>
    public static DevNode Start(string name, string address, string[] arguments, string logPath)
    {
        string self =
            Environment.ProcessPath ?? throw new UsageException("The path of this program is not known, so that it cannot start nodes.");
        ProcessStartInfo start = new(self)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        if (Path.GetFileNameWithoutExtension(self) == "dotnet")
        {
            start.ArgumentList.Add(typeof(DevNode).Assembly.Location);
        }

        // In a shell they are those of its user, who calls the nodes.
        foreach (string variable in (string[])["HENGE_TLS_CA", "HENGE_TLS_CERT", "HENGE_TLS_KEY"])
        {
            start.Environment.Remove(variable);
        }

        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        FileStream log = new(logPath, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
        try
        {
            Process process = Process.Start(start) ?? throw new IOException($"{self} cannot be started.");
            process.StandardInput.Close();
            return new DevNode(name, address, arguments, logPath, process, log);
        }
        catch
        {
            log.Dispose();
            throw;
        }
    }

    /// <summary>The last line that it wrote in this run; null when it wrote none.</summary>
    public string? LastLine()
    {
        using FileStream log = new(LogPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        log.Position = Math.Max(_logStart, log.Length - LastLineBytes);
        using StreamReader reader = new(log);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault();
    }

    /// <summary>Asks it to stop, as an operator would.</summary>
    public void Terminate()
    {
        if (_process.HasExited)
        {
            return;
        }

        if (OperatingSystem.IsWindows())
        {
            _process.Kill();
        }
        else
        {
            // A Ctrl-C on the terminal reaches the children by itself; a second request does no harm.
            _ = SendSignal(Id, SigTerm);
        }
    }

    /// <summary>Ends it at once.</summary>
    public void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }
    }

    /// <summary>An argument as a shell takes it.</summary>
    private static string Quote(string argument) =>
        argument.Length > 0 && argument.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=,@+".Contains(c, StringComparison.Ordinal))
            ? argument
            : "'" + argument.Replace("'", "'\\''", StringComparison.Ordinal) + "'";

    private async Task FollowAsync()
    {
        Lock writing = new();
        await Task.WhenAll(CopyAsync(_process.StandardOutput.BaseStream, writing), CopyAsync(_process.StandardError.BaseStream, writing))
            .ConfigureAwait(false);
        await _process.WaitForExitAsync().ConfigureAwait(false);
    }

    private async Task CopyAsync(Stream source, Lock writing)
    {
        byte[] chunk = new byte[16 * 1024];
        for (int read; (read = await source.ReadAsync(chunk).ConfigureAwait(false)) > 0;)
        {
            lock (writing)
            {
                _log.Write(chunk, 0, read);
                _log.Flush();
            }
        }
    }

    public void Dispose()
    {
        _process.Dispose();
        _log.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int processId, int signal);
}
