using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Henge.Storage.Files;

/// <summary>A file of the real disk: <see cref="RandomAccess"/> for reads and writes, libc for what that lacks.</summary>
internal sealed class PosixFile(SafeFileHandle handle, string path) : IFile
{
    // A zero-fill or a copy moves this much at a time: large enough to be sequential for the disk, small enough to pin.
    private const int ChunkBytes = 256 * 1024;

    public string Path { get; } = path;

    public long Length
    {
        get
        {
            try
            {
                return RandomAccess.GetLength(handle);
            }
            catch (Exception e) when (FileErrors.IsFileError(e))
            {
                throw FileErrors.FromException("read the length of", Path, e);
            }
        }
    }

    public int Read(long offset, Span<byte> buffer)
    {
        int total = 0;
        try
        {
            // pread may stop early (a signal, a network file system): only 0 means the end.
            while (total < buffer.Length)
            {
                int read = RandomAccess.Read(handle, buffer[total..], offset + total);
                if (read == 0)
                {
                    break;
                }

                total += read;
            }
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.FromException($"read {buffer.Length} bytes at offset {offset} of", Path, e);
        }

        return total;
    }

    // RandomAccess.Write goes on after a short write until all is written or the system says why not.
    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        try
        {
            RandomAccess.Write(handle, data, offset);
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.FromException($"write {data.Length} bytes at offset {offset} of", Path, e);
        }
    }

    public void Write(long offset, IReadOnlyList<ReadOnlyMemory<byte>> data)
    {
        try
        {
            RandomAccess.Write(handle, data, offset);
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.FromException($"write {data.Count} buffers at offset {offset} of", Path, e);
        }
    }

    public void Sync()
    {
        if (!OperatingSystem.IsLinux())
        {
            try
            {
                RandomAccess.FlushToDisk(handle);
            }
            catch (Exception e) when (FileErrors.IsFileError(e))
            {
                throw FileErrors.FromException("sync", Path, e);
            }

            return;
        }

        while (LibC.FDataSync(handle) != 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno != LibC.ErrorInterrupted)
            {
                throw FileErrors.FromErrno("sync", Path, errno);
            }
        }
    }

    public void Preallocate(long length)
    {
        long from = Length;
        if (length <= from)
        {
            return;
        }

        if (OperatingSystem.IsLinux())
        {
            while (true)
            {
                if (LibC.FAllocate(handle, 0, from, length - from) == 0)
                {
                    return;
                }

                int errno = Marshal.GetLastPInvokeError();
                if (errno is LibC.ErrorNotSupported or LibC.ErrorNotImplemented)
                {
                    break;
                }

                if (errno != LibC.ErrorInterrupted)
                {
                    // The kernel may have extended the file before it ran out of space: a failed call must change nothing.
                    Truncate(from);
                    throw FileErrors.FromErrno($"reserve {length - from} bytes for", Path, errno);
                }
            }
        }

        // Writing is the only reservation that every file system keeps.
        byte[] zeros = GC.AllocateUninitializedArray<byte>((int)Math.Min(ChunkBytes, length - from));
        zeros.AsSpan().Clear();
        for (long at = from; at < length; at += zeros.Length)
        {
            Write(at, zeros.AsSpan(0, (int)Math.Min(zeros.Length, length - at)));
        }
    }

    public void Truncate(long length)
    {
        try
        {
            RandomAccess.SetLength(handle, length);
        }
        catch (Exception e) when (FileErrors.IsFileError(e))
        {
            throw FileErrors.FromException($"set the length {length} of", Path, e);
        }
    }

    public void Dispose() => handle.Dispose();

    /// <summary>Copies all of this file into another.</summary>
    internal void CopyTo(IFile destination)
    {
        byte[] buffer = GC.AllocateUninitializedArray<byte>(ChunkBytes);
        for (long at = 0; ;)
        {
            int read = Read(at, buffer);
            if (read == 0)
            {
                return;
            }

            destination.Write(at, buffer.AsSpan(0, read));
            at += read;
        }
    }
}
