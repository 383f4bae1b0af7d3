using Henge.Storage.Files;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Lsm.Levels;

/// <summary>Makes, opens and removes table files of one engine. Thread-safe.</summary>
internal sealed class TableStore(IFileSystem files, string directory, TableOptions options, BlockCache cache, ObsoleteFiles obsolete)
{
    private long _nextNumber = 1;

    public TableOptions Options => options;

    /// <summary>What of open tables was found damaged.</summary>
    public DamagedParts Damage { get; } = new();

    /// <summary>The number that the next new file gets.</summary>
    public ulong PeekNumber => (ulong)Interlocked.Read(ref _nextNumber);

    public ulong NextNumber() => (ulong)Interlocked.Increment(ref _nextNumber) - 1;

    /// <summary>Numbers below this are not given again.</summary>
    public void ReserveBelow(ulong number)
    {
        if (number > PeekNumber)
        {
            Interlocked.Exchange(ref _nextNumber, (long)number);
        }
    }

    public IFile Create(ulong number) => files.Open(PathOf(number), FileOpenMode.CreateNew);

    public TableHandle Open(TableMeta meta)
    {
        string path = PathOf(meta.Number);
        if (!files.FileExists(path))
        {
            throw new Core.HengeException(Core.ErrorCode.Corruption, $"{path} is missing, and the manifest lists it. "
                + "Nothing was changed. Put the file back. " + DirectoryAdvice.Engine);
        }

        IFile file = files.Open(path, FileOpenMode.Read);
        if (file.Length != meta.Bytes)
        {
            long length = file.Length;
            file.Dispose();
            throw new Core.HengeException(
                Core.ErrorCode.Corruption,
                $"{path} is damaged at offset {Math.Min(length, meta.Bytes)}: it has {length} bytes, and the manifest says {meta.Bytes}. "
                    + "Nothing was changed. "
                    + DirectoryAdvice.Engine);
        }

        return Watch(new TableHandle(meta, TableReader.Open(file, cache), obsolete));
    }

    /// <summary>Stands for a table that could not be opened; all of it counts as damaged from the beginning.</summary>
    public TableHandle OpenUnreadable(TableMeta meta, Core.HengeException error)
    {
        TableHandle table = Watch(new TableHandle(meta, TableReader.Unreadable(PathOf(meta.Number), meta, error, cache), obsolete));
        table.Reader.Damaged!(0, error);
        return table;
    }

    private TableHandle Watch(TableHandle table)
    {
        table.Reader.Damaged = (block, error) =>
        {
            TableIndex index = table.Reader.Index;
            byte[] first = block == 0 ? table.Meta.SmallestPrefix.ToArray() : index.Separator(block).ToArray();
            byte[] last = block + 1 == index.Count ? table.Meta.LargestPrefix.ToArray() : index.Separator(block + 1).ToArray();
            Damage.Add(block, new DamagedPart(table.Meta, first, last, error));
        };
        return table;
    }

    public void SyncNames() => files.SyncDirectory(directory);

    /// <summary>Deletes a file that this process made and no manifest lists.</summary>
    public void DeleteUnlisted(ulong number)
    {
        try
        {
            if (files.FileExists(PathOf(number)))
            {
                files.Delete(PathOf(number));
            }
        }
        catch (IOException)
        {
            // It stays as an unlisted file, which the next start takes away; there is nothing better to do about a disk that fails.
            obsolete.Add(EngineFiles.Table(number));
        }
    }

    private string PathOf(ulong number) => Path.Combine(directory, EngineFiles.Table(number));
}
