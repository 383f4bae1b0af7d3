using System.Runtime.InteropServices;

namespace Henge.Cli.Context;

/// <summary>
/// The process's streams, by their file descriptors. <see cref="Console"/>'s own set the terminal up for interactive use, which prints
/// control characters, and pass over in silence that a reader is gone, so that <c>henge watch | head -1</c> would never end. (A FileStream
/// would not do: it writes regular files at an offset of its own, so that the programs of a script would overwrite each other's output.)
/// </summary>
internal static class StandardStreams
{
    public static Stream Input() => OperatingSystem.IsWindows() ? Console.OpenStandardInput() : new DescriptorStream(0);

    public static Stream Output() => OperatingSystem.IsWindows() ? Console.OpenStandardOutput() : new DescriptorStream(1);

    public static Stream Error() => OperatingSystem.IsWindows() ? Console.OpenStandardError() : new DescriptorStream(2);
}

/// <summary>The reader of the output has closed it.</summary>
internal sealed class OutputClosedException() : IOException("Nobody reads the output any more.");

/// <summary>A file descriptor that is open already and stays so. Blocking; one reader or writer at a time.</summary>
internal sealed partial class DescriptorStream(int descriptor) : Stream
{
    private const int Interrupted = 4;
    private const int BrokenPipe = 32;

    public override bool CanRead => descriptor == 0;

    public override bool CanWrite => descriptor != 0;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        while (true)
        {
            nint read = ReadDescriptor(descriptor, ref MemoryMarshal.GetReference(buffer), buffer.Length);
            if (read >= 0)
            {
                return (int)read;
            }

            TryWait(Marshal.GetLastPInvokeError(), forRead: true);
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        await Task.Run(() => Read(buffer.Span), CancellationToken.None).WaitAsync(cancellationToken).ConfigureAwait(false);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            nint written = WriteDescriptor(descriptor, ref MemoryMarshal.GetReference(buffer), buffer.Length);
            if (written >= 0)
            {
                buffer = buffer[(int)written..];
            }
            else if (!TryWait(Marshal.GetLastPInvokeError(), forRead: false))
            {
                return;
            }
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>
    /// Waits until the descriptor is ready, if that is the problem. False: standard error itself fails, and nothing can be reported.
    /// Else throws.
    /// </summary>
    private bool TryWait(int error, bool forRead)
    {
        // EAGAIN: another program has made the terminal that we share non-blocking.
        int again = OperatingSystem.IsMacOS() ? 35 : 11;
        if (error == again)
        {
            const short pollIn = 1;
            const short pollOut = 4;
            PollDescriptor waited = new() { Descriptor = descriptor, Events = forRead ? pollIn : pollOut };
            _ = Poll(ref waited, 1, -1);
            return true;
        }

        if (error == Interrupted)
        {
            return true;
        }

        return descriptor == 2 ? false
            : error == BrokenPipe ? throw new OutputClosedException()
            : throw new IOException(
                $"Standard {(descriptor switch { 0 => "input", 1 => "output", _ => "error" })}: {Marshal.GetPInvokeErrorMessage(error)}.");
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Found;
    }

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadDescriptor(int descriptor, ref byte buffer, nint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteDescriptor(int descriptor, ref byte buffer, nint count);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollDescriptor descriptors, nint count, int timeoutMs);
}
