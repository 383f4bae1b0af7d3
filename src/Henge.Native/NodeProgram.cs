using System.Diagnostics;
using System.Runtime.InteropServices;
using Henge.Cli;
using Henge.Cli.Outcome;

namespace Henge.Native;

/// <summary>Hands a command line to the program that can run nodes, which lies one directory above this one.</summary>
internal static partial class NodeProgram
{
    /// <summary>
    /// Where the system can, the other program takes this process's place, so that signals, process id and exit code are its own. Returns
    /// only when that failed, or where the system cannot: then the exit code of the other process, which has ended.
    /// </summary>
    public static int Run(string[] arguments)
    {
        string program = Path.GetFullPath(
            Path.Combine(AppContext.BaseDirectory, "..", OperatingSystem.IsWindows() ? "henge.exe" : "henge"));
        if (!File.Exists(program))
        {
            Console.Error.WriteLine(
                $"henge: this program reads and writes keys; what runs nodes should lie at {program}, and is not there. Build both with "
                    + $"./henge, or install the tool: "
                + "dotnet tool install Henge.Tool");
            return ExitCode.File;
        }

        if (!OperatingSystem.IsWindows())
        {
            // A list that ends with a null pointer, as execv(3) asks for.
            int failed = Execute(program, [program, .. arguments, null]);
            Console.Error.WriteLine($"henge: {program} cannot be run: error {(failed == 0 ? 0 : Marshal.GetLastPInvokeError())} of execv.");
            return ExitCode.File;
        }

        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false })
            ?? throw new InvalidOperationException($"{program} cannot be started.");

        // Ctrl-C reaches both processes; this one waits until the other one has ended.
        Console.CancelKeyPress += static (_, pressed) => pressed.Cancel = true;
        process.WaitForExit();
        return process.ExitCode;
    }

    [LibraryImport("libc", EntryPoint = "execv", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Execute(string path, string?[] arguments);
}
