using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>Makes segment files, takes back old ones, and keeps spares between. Only the log's writer uses it.</summary>
internal sealed class LogSegmentStore(IFileSystem files, string directory, SegmentedLogOptions options, List<uint> spares)
{
    private byte[]? _zeros;

    internal long SpareBytes => (long)spares.Count * options.SegmentBytes;

    /// <summary>
    /// Makes the segment after another: synced header first, then the name, then the directory. So a file with a segment's name always has
    /// a good header, and a full disk is noticed before anything has changed.
    /// </summary>
    /// <param name="previous">The segment before, all of it synced; null for the first.</param>
    /// <param name="previousEnd">Where its records end.</param>
    /// <param name="isFresh">True if the file's blocks were never written.</param>
    internal LogSegment Create(LogSegment? previous, uint previousEnd, out bool isFresh)
    {
        uint id = checked((previous?.Id ?? 0) + 1);
        isFresh = spares.Count == 0;
        if (isFresh)
        {
            AddSpare(id);
        }

        uint spare = spares[^1];
        string sparePath = Path.Combine(directory, LogFormat.SpareName(spare));
        var header = new LogSegmentHeader(id, options.NewSalt(), previous?.Id ?? 0, previousEnd);
        using (IFile file = files.Open(sparePath, FileOpenMode.ReadWrite))
        {
            if (file.Length > options.SegmentBytes)
            {
                file.Truncate(options.SegmentBytes);
            }

            file.Preallocate(options.SegmentBytes);
            byte[] page = new byte[LogFormat.SegmentHeaderBytes];
            LogFormat.WriteHeader(page, header);
            file.Write(0, page);
            file.Sync();
        }

        string path = Path.Combine(directory, LogFormat.SegmentName(id));
        files.Rename(sparePath, path);
        spares.RemoveAt(spares.Count - 1);
        try
        {
            files.SyncDirectory(directory);
            return new LogSegment(files.Open(path, FileOpenMode.ReadWrite), header);
        }
        catch (DiskFullException e)
        {
            // Now it has changed something: this must not look like an error after which one can go on.
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>Turns a segment into a spare, or deletes it, durably.</summary>
    internal void Retire(LogSegment segment)
    {
        segment.Dispose();
        string path = Path.Combine(directory, LogFormat.SegmentName(segment.Id));
        if (!TryKeepAsSpare(path, segment.Id))
        {
            files.Delete(path);
        }

        files.SyncDirectory(directory);
    }

    private bool TryKeepAsSpare(string path, uint id)
    {
        // A crash can leave a spare of an id that another file then becomes the segment of.
        if (spares.Count >= options.MaxSpareSegments || spares.Contains(id))
        {
            return false;
        }

        try
        {
            files.Rename(path, Path.Combine(directory, LogFormat.SpareName(id)));
        }
        catch (DiskFullException)
        {
            // The directory itself wants to grow. Deleting is the way out of a full disk and must work on one.
            return false;
        }

        spares.Add(id);
        return true;
    }

    /// <summary>Writes zeros behind what is about to be written, and says up to where.</summary>
    internal uint ZeroAhead(IFile file, uint from, uint limit)
    {
        uint to = (uint)Math.Min(limit, (long)from + options.ZeroAheadBytes);
        if (to > from)
        {
            _zeros ??= new byte[options.ZeroAheadBytes];
            file.Write(from, _zeros.AsSpan(0, (int)(to - from)));
        }

        return to;
    }

    private void AddSpare(uint id)
    {
        string path = Path.Combine(directory, LogFormat.SpareName(id));
        using IFile file = files.Open(path, FileOpenMode.CreateNew);
        try
        {
            file.Preallocate(options.SegmentBytes);
        }
        catch (DiskFullException)
        {
            // Give back what little there was: others may need it to make room.
            files.Delete(path);
            throw;
        }

        spares.Add(id);
    }
}
