using System.Diagnostics;
using System.Runtime.InteropServices;
using Henge.Node.Context;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Runtime;

/// <summary>
/// Says in the log what happened, and ends the process at once: no clean-up runs that could write what memory wrongly holds. The
/// exit code is one of its own, so that supervisors and operators can tell it from a process that was killed (137, as the kernel does when
/// memory runs out).
/// </summary>
internal sealed partial class EndingFatalErrorHandler(ILoggerFactory? logging) : IFatalErrorHandler
{
    /// <summary>The exit code: "a node has ended itself" in docs/cli.md.</summary>
    public const int ExitCode = 12;

    public void Fatal(string message, Exception? cause)
    {
        ILogger? logger = logging?.CreateLogger(ServerEvents.Node.Category);
        if (logger is not null)
        {
            ServerEvents.Node.Fatal(logger, message, cause);
        }

        // Other factories than Henge's own may write later, in a background thread, and this process has no later.
        if (logging is not ServerLogging || !logger!.IsEnabled(LogLevel.Critical))
        {
            Console.Error.WriteLine("henge: fatal: " + message);
            if (cause is not null)
            {
                Console.Error.WriteLine(cause);
            }

            Console.Error.Flush();
        }

        End(ExitCode);
    }

    /// <summary>Says so in the log, and ends the process with exit code 0: a supervisor has nothing to start again.</summary>
    public void Left(string message)
    {
        ILogger? logger = logging?.CreateLogger(ServerEvents.Node.Category);
        if (logger is not null)
        {
            ServerEvents.Node.Left(logger, message);
        }

        if (logging is not ServerLogging || !logger!.IsEnabled(LogLevel.Warning))
        {
            Console.Error.WriteLine("henge: " + message);
            Console.Error.Flush();
        }

        End(0);
    }

    private static void End(int code)
    {
        try
        {
            if (OperatingSystem.IsWindows())
            {
                _ = TerminateProcess(Process.GetCurrentProcess().Handle, (uint)code);
            }
            else
            {
                ExitNow(code);
            }
        }
        finally
        {
            // Only where the system has no such call. The process must not go on.
            Process.GetCurrentProcess().Kill();
        }
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void ExitNow(int code);

    [LibraryImport("kernel32", EntryPoint = "TerminateProcess", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool TerminateProcess(nint process, uint code);
}
