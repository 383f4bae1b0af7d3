using System.Runtime.InteropServices;
using System.Text;
using Henge.Core;

namespace Henge.Cli.Context;

/// <summary>Asks for a password at the terminal, without showing what is typed.</summary>
internal static class SecretPrompt
{
    private const int MostBytes = 4096;

    /// <summary>
    /// What the user typed, without the line end. Ctrl-C sets the terminal as it was and throws <see cref="HengeException"/> (Cancelled).
    /// </summary>
    public static string Read(string prompt, TextWriter error)
    {
        using CancellationTokenSource interrupted = new();
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using IDisposable? echo = OperatingSystem.IsWindows() ? null : TerminalEcho.Off();
        error.Write(prompt);
        error.Flush();
        try
        {
            // On a thread of its own: the read itself cannot be interrupted.
            Task<string> reading = Task.Run(static () => OperatingSystem.IsWindows() ? ReadKeys() : ReadLine());
            return reading.WaitAsync(interrupted.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            throw new HengeException(ErrorCode.Cancelled, "Interrupted.");
        }
        finally
        {
            error.WriteLine();
        }

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            interrupted.Cancel();
        }
    }

    private static string ReadLine()
    {
        using Stream input = StandardStreams.Input();
        List<byte> line = [];
        byte[] one = new byte[1];
        while (line.Count < MostBytes && input.Read(one) > 0 && one[0] != '\n')
        {
            line.Add(one[0]);
        }

        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(line)).TrimEnd('\r');
    }

    // Windows has no echo of keys that are read one by one.
    private static string ReadKeys()
    {
        StringBuilder typed = new();
        while (true)
        {
            ConsoleKeyInfo key = Console.ReadKey(intercept: true);
            if (key.Key == ConsoleKey.Enter)
            {
                return typed.ToString();
            }

            if (key.Key == ConsoleKey.Backspace)
            {
                typed.Length = Math.Max(0, typed.Length - 1);
            }
            else if (!char.IsControl(key.KeyChar))
            {
                typed.Append(key.KeyChar);
            }
        }
    }
}
