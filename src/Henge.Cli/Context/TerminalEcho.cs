using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Henge.Cli.Context;

/// <summary>
/// The terminal of standard input without echo, until it is disposed of. <see cref="Console"/>'s way of reading a key without echo echoes
/// what arrives between two keys, as when a password is pasted.
/// </summary>
[UnsupportedOSPlatform("windows")]
internal sealed partial class TerminalEcho : IDisposable
{
    private const int StandardInput = 0;
    private const int NowAndWithoutWhatWasTypedBefore = 2;
    private const uint EchoFlag = 8;

    // The settings are four words and more that depends on the system. Only the fourth word, of local modes, is touched here.
    private readonly byte[] _before = new byte[256];
    private int _restored;

    private TerminalEcho()
    {
    }

    /// <summary>
    /// Turns the echo off. Throws <see cref="IOException"/> where it cannot be turned off: then nothing secret must be typed.
    /// </summary>
    public static TerminalEcho Off()
    {
        TerminalEcho echo = new();
        if (Get(StandardInput, echo._before) != 0)
        {
            throw new IOException("The terminal does not say how it is set.");
        }

        byte[] silent = [.. echo._before];
        int word = OperatingSystem.IsMacOS() ? sizeof(ulong) : sizeof(uint);
        MemoryMarshal.Cast<byte, uint>(silent.AsSpan(3 * word))[0] &= ~EchoFlag;
        return Set(StandardInput, NowAndWithoutWhatWasTypedBefore, silent) == 0
            ? echo
            : throw new IOException("The echo of the terminal cannot be turned off.");
    }

    /// <summary>Sets the terminal as it was.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _restored, 1) == 0)
        {
            _ = Set(StandardInput, 0, _before);
        }
    }

    [LibraryImport("libc", EntryPoint = "tcgetattr", SetLastError = true)]
    private static partial int Get(int descriptor, [Out] byte[] settings);

    [LibraryImport("libc", EntryPoint = "tcsetattr", SetLastError = true)]
    private static partial int Set(int descriptor, int when, byte[] settings);
}
