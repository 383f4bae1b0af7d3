using Henge.Storage.Files;

namespace Henge.Testing.Files;

/// <summary>A file in memory by itself, whose bytes a test can look at and change. Thread-safe for reads.</summary>
public sealed class MemoryFile(byte[]? contents = null) : IFile
{
    private byte[] _bytes = contents ?? [];
    private int _reads;

    public string Path => "memory.sst";

    public long Length => _bytes.Length;

    public bool Disposed { get; private set; }

    public int Syncs { get; private set; }

    public int Reads => Volatile.Read(ref _reads);

    public byte[] Bytes => _bytes;

    public int Read(long offset, Span<byte> buffer)
    {
        ObjectDisposedException.ThrowIf(Disposed, this);
        Interlocked.Increment(ref _reads);
        int count = (int)Math.Clamp(_bytes.Length - offset, 0, buffer.Length);
        _bytes.AsSpan((int)Math.Min(offset, _bytes.Length), count).CopyTo(buffer);
        return count;
    }

    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        if (offset + data.Length > _bytes.Length)
        {
            Array.Resize(ref _bytes, (int)offset + data.Length);
        }

        data.CopyTo(_bytes.AsSpan((int)offset));
    }

    public void Write(long offset, IReadOnlyList<ReadOnlyMemory<byte>> data)
    {
        foreach (ReadOnlyMemory<byte> piece in data)
        {
            Write(offset, piece.Span);
            offset += piece.Length;
        }
    }

    public void Sync() => Syncs++;

    public void Preallocate(long length) => Truncate(length);

    public void Truncate(long length) => Array.Resize(ref _bytes, (int)length);

    public void Dispose() => Disposed = true;
}
