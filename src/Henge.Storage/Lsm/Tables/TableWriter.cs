using Henge.Storage.Files;

namespace Henge.Storage.Lsm;

/// <summary>Writes one table. Not thread-safe. Disposing of it frees its memory; the file stays the caller's.</summary>
internal sealed class TableWriter : IDisposable
{
    /// <summary>Begins a table in a new, empty file.</summary>
    public TableWriter(IFile file, TableOptions options) => throw new NotSupportedException();

    /// <summary>Bytes of the file if it were finished now.</summary>
    public long EstimatedBytes => throw new NotSupportedException();

    /// <summary>Entries added.</summary>
    public long EntryCount => throw new NotSupportedException();

    /// <summary>Adds an entry; keys must rise strictly. The value of <see cref="EntryKind.PutExpiring"/> begins with its expiry.</summary>
    public void Add(ReadOnlySpan<byte> internalKey, ReadOnlySpan<byte> value) => throw new NotSupportedException();

    /// <summary>Writes what is left, and with <paramref name="sync"/> makes the file's contents durable. The table must not be empty.</summary>
    public TableProperties Finish(bool sync = true) => throw new NotSupportedException();

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
