using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>Makes and opens the files of segments. Has no state but the next number. Thread-safe.</summary>
internal sealed class SegmentStore(IFileSystem files, string directory, Func<ulong> newSalt, uint nextId)
{
    private long _nextId = nextId;

    public IFileSystem Files => files;

    public string Directory => directory;

    /// <summary>No segment has this number or a higher one.</summary>
    public uint NextId => (uint)Volatile.Read(ref _nextId);

    /// <summary>Makes an empty segment; its name and header are durable.</summary>
    public Segment Create()
    {
        long id = Interlocked.Increment(ref _nextId) - 1;
        Invariant.Check(id <= uint.MaxValue, "there are numbers left for segments");
        string path = PathOf((uint)id);
        var header = new LogSegmentHeader((uint)id, newSalt(), 0, 0);
        IFile file = files.Open(path, FileOpenMode.CreateNew);
        try
        {
            byte[] page = new byte[LogFormat.SegmentHeaderBytes];
            LogFormat.WriteHeader(page, header);
            file.Write(0, page);
            file.Sync();
            files.SyncDirectory(directory);
            return new Segment(file, header);
        }
        catch
        {
            file.Dispose();
            TryDelete(BitcaskFiles.Segment((uint)id));
            throw;
        }
    }

    /// <summary>Opens a segment that the manifest lists.</summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.Corruption"/>: it is missing, or its header is damaged.</exception>
    public Segment Open(uint id, bool forWriting)
    {
        string path = PathOf(id);
        IFile file;
        try
        {
            file = files.Open(path, forWriting ? FileOpenMode.ReadWrite : FileOpenMode.Read);
        }
        catch (FileNotFoundException error)
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The segment {path} is missing. Nothing was changed. Put the file back. " + DirectoryAdvice.Engine,
                error);
        }

        try
        {
            byte[] page = new byte[LogFormat.SegmentHeaderBytes];
            int read = file.Read(0, page);
            LogSegmentHeader header = LogFormat.ReadHeader(page.AsSpan(0, read), path);
            return header.Id == id
                ? new Segment(file, header)
                : throw Damage(path, 12, $"it says that it is segment {header.Id}");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Deletes a file that does not count; one that cannot be deleted is found again at the next start.</summary>
    public void TryDelete(string name)
    {
        try
        {
            files.Delete(Path.Combine(directory, name));
        }
        catch (IOException)
        {
            // It is not listed, so it is not read either.
        }
    }

    public static HengeException Damage(string path, long offset, string what, Exception? inner = null) =>
        new(ErrorCode.Corruption, $"{path} is damaged at offset {offset}: {what}. Nothing was changed. " + DirectoryAdvice.Engine, inner);

    public string PathOf(uint id) => Path.Combine(directory, BitcaskFiles.Segment(id));

    public string HintPathOf(uint id) => Path.Combine(directory, BitcaskFiles.Hint(id));
}
