using Henge.Storage.Files;

namespace Henge.Testing.Files;

/// <summary>A handle. Dead after a crash.</summary>
internal sealed class SimulatedFile(SimulatedFileSystem owner, SimulatedInode inode, string path, FileOpenMode mode, int epoch) : IFile
{
    internal SimulatedInode Inode => inode;

    internal int Epoch => epoch;

    internal bool Disposed { get; set; }

    internal bool Writable => mode != FileOpenMode.Read;

    public string Path => path;

    public long Length => owner.LengthOf(this);

    public int Read(long offset, Span<byte> buffer) => owner.Read(this, offset, buffer);

    public void Write(long offset, ReadOnlySpan<byte> data) => owner.Write(this, offset, data);

    public void Write(long offset, IReadOnlyList<ReadOnlyMemory<byte>> data)
    {
        byte[] all = new byte[data.Sum(static d => d.Length)];
        int at = 0;
        foreach (ReadOnlyMemory<byte> part in data)
        {
            part.Span.CopyTo(all.AsSpan(at));
            at += part.Length;
        }

        owner.Write(this, offset, all);
    }

    public void Sync() => owner.Sync(this);

    public void Preallocate(long length) => owner.SetLength(this, FileOperationKind.Preallocate, length);

    public void Truncate(long length) => owner.SetLength(this, FileOperationKind.Truncate, length);

    public void Dispose() => owner.Close(this);
}
