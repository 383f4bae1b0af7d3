using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>One process of the command line, which ends with its owner. Not thread-safe, but for what it prints.</summary>
public sealed partial class HengeProcess : IDisposable
{
    private const int SigTerm = 15;
    private readonly Process _process;
    private readonly StringBuilder _printed = new();
    private readonly int _stopSignal = OperatingSystem.IsMacOS() ? 17 : 19;
    private readonly int _continueSignal = OperatingSystem.IsMacOS() ? 19 : 18;

    private HengeProcess(Process process) => _process = process;

    /// <summary>True once it has ended.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>All that it has printed so far, errors as well.</summary>
    public string Printed
    {
        get
        {
            lock (_printed)
            {
                return _printed.ToString();
            }
        }
    }

    /// <summary>Starts the command line that was built beside the tests, on the runtime that runs the tests.</summary>
    public static HengeProcess Start(params IEnumerable<string> arguments) => StartUnder([], arguments);

    /// <summary>As <see cref="Start"/>, by way of a command that becomes the process that it is given.</summary>
    public static HengeProcess StartUnder(string[] command, IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        string dotnet = Path.GetFullPath(
            Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet")
        );
        string[] all =
        [
            .. command,
            File.Exists(dotnet) ? dotnet : "dotnet",
            Path.Combine(AppContext.BaseDirectory, "henge.dll"),
            .. arguments,
        ];
        ProcessStartInfo info = new(all[0], all[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };

        // Settings of whoever runs the tests are none of the node's.
        foreach (string name in info.Environment.Keys.Where(static k => k.StartsWith("HENGE_", StringComparison.Ordinal)).ToArray())
        {
            info.Environment.Remove(name);
        }

        foreach ((string name, string value) in environment)
        {
            info.Environment[name] = value;
        }

        HengeProcess started = new(Process.Start(info)!);
        started._process.OutputDataReceived += (_, e) => started.OnPrinted(e.Data);
        started._process.ErrorDataReceived += (_, e) => started.OnPrinted(e.Data);
        started._process.BeginOutputReadLine();
        started._process.BeginErrorReadLine();
        return started;
    }

    /// <summary>Waits until it has ended of its own accord, and gives its exit code.</summary>
    public async Task<int> WaitForExitAsync(CancellationToken cancel)
    {
        try
        {
            await _process.WaitForExitAsync(cancel);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"The process {_process.Id} has not ended. It printed:\n{Printed}");
        }

        return _process.ExitCode;
    }

    /// <summary>Ends it at once, as SIGKILL does; returns when it is gone.</summary>
    public void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.WaitForExit();
    }

    /// <summary>Asks it to end, by SIGTERM.</summary>
    public void Terminate() => Signal(SigTerm);

    /// <summary>Stops it in the middle of whatever it does, by SIGSTOP.</summary>
    public void Pause() => Signal(_stopSignal);

    /// <summary>Lets it go on, by SIGCONT.</summary>
    public void Resume() => Signal(_continueSignal);

    /// <summary>Kills it.</summary>
    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    private void OnPrinted(string? line)
    {
        if (line is not null)
        {
            lock (_printed)
            {
                _printed.Append(CultureInfo.InvariantCulture, $"{line}\n");
            }
        }
    }

    private void Signal(int signal)
    {
        if (SendSignal(_process.Id, signal) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SendSignal(int process, int signal);
}
