namespace Henge.Storage.Files;

/// <summary>
/// An open file with positional reads and writes. Reads may run beside each other and beside one writer.
/// </summary>
public interface IFile : IDisposable
{
    /// <summary>The name it was opened under, for messages.</summary>
    string Path { get; }

    /// <summary>Length in bytes, including what was preallocated.</summary>
    long Length { get; }

    /// <summary>Reads up to the size of the buffer; fewer bytes only at the end of the file.</summary>
    int Read(long offset, Span<byte> buffer);

    /// <summary>Writes all bytes, growing the file where needed.</summary>
    void Write(long offset, ReadOnlySpan<byte> data);

    /// <summary>Writes the buffers one after another (one system call where possible).</summary>
    void Write(long offset, IReadOnlyList<ReadOnlyMemory<byte>> data);

    /// <summary>Makes the contents durable (fdatasync). After an error the file's state is not known: the caller must stop.</summary>
    void Sync();

    /// <summary>Reserves space up to a length, so that later syncs need not write metadata. The new part reads as zeros.</summary>
    void Preallocate(long length);

    /// <summary>Sets the length.</summary>
    void Truncate(long length);
}
