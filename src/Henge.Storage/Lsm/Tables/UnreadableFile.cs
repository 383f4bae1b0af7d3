using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Lsm.Tables;

/// <summary>Stands for the file of a table that could not be opened: each read of it says why. Thread-safe.</summary>
internal sealed class UnreadableFile(string path, HengeException error) : IFile
{
    public string Path => path;

    public long Length => 0;

    public int Read(long offset, Span<byte> buffer) => throw new HengeException(error.Code, error.Message, error);

    public void Write(long offset, ReadOnlySpan<byte> data) => throw new NotSupportedException();

    public void Write(long offset, IReadOnlyList<ReadOnlyMemory<byte>> data) => throw new NotSupportedException();

    public void Sync() => throw new NotSupportedException();

    public void Preallocate(long length) => throw new NotSupportedException();

    public void Truncate(long length) => throw new NotSupportedException();

    public void Dispose()
    {
        // There is none.
    }
}
