using Henge.Storage.Files;

namespace Henge.Fuzz.Targets;

/// <summary>A file in memory.</summary>
internal sealed class MemoryFile(byte[] bytes) : IFile
{
    private byte[] _bytes = bytes;

    public string Path => "memory";

    public long Length => _bytes.Length;

    public byte[] Bytes => _bytes;

    public int Read(long offset, Span<byte> buffer)
    {
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

    public void Sync()
    {
    }

    public void Preallocate(long length) => Truncate(length);

    public void Truncate(long length) => Array.Resize(ref _bytes, (int)length);

    public void Dispose()
    {
    }
}
