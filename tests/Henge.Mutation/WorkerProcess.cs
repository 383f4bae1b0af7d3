using System.Diagnostics;
using System.Globalization;

namespace Henge.Mutation;

/// <summary>A worker as its owner sees it: started anew when a mutant has ended it.</summary>
internal sealed class WorkerProcess(string[] arguments) : IDisposable
{
    private Process? _process;
    private string _lastWords = "";

    /// <summary>Tests that fail without any mutant, with what they say.</summary>
    public List<string> LeftOut { get; } = [];

    /// <summary>How many tests there are.</summary>
    public int Tests { get; private set; }

    /// <summary>Tries one mutant.</summary>
    public (Fate Fate, string By) Try(int id)
    {
        Process process = _process ??= Start();
        process.StandardInput.WriteLine(id.ToString(CultureInfo.InvariantCulture));
        if (process.StandardOutput.ReadLine() is not { } line)
        {
            // Ended by the mutant: by a stack that overflowed, or by memory.
            End();
            return (Fate.Killed, "the process ended");
        }

        string[] words = line.Split(' ', 3);
        if (words[1] == "timed-out")
        {
            End();
            return (Fate.TimedOut, words[2]);
        }

        return words[1] switch
        {
            "killed" => (Fate.Killed, words[2]),
            "survived" => (Fate.Survived, ""),
            _ => (Fate.NotReached, ""),
        };
    }

    public void Dispose() => End();

    private Process Start()
    {
        ProcessStartInfo start = new(Environment.ProcessPath!)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(typeof(WorkerProcess).Assembly.Location);
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        // A mutant may take memory without end.
        start.Environment["DOTNET_GCHeapHardLimit"] = "0x60000000";
        Process process = Process.Start(start)!;
        process.ErrorDataReceived += (_, said) => _lastWords = said.Data ?? _lastWords;
        process.BeginErrorReadLine();
        while (process.StandardOutput.ReadLine() is { } line)
        {
            if (line.StartsWith("ready ", StringComparison.Ordinal))
            {
                Tests = int.Parse(line["ready ".Length..], CultureInfo.InvariantCulture);
                return process;
            }

            LeftOut.Add(line);
        }

        process.WaitForExit();
        throw new InvalidOperationException($"The tests cannot be run: {_lastWords}");
    }

    private void End()
    {
        if (_process is { } process)
        {
            _process = null;
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
    }
}
