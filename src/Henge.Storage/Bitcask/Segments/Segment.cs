using Henge.Storage.Files;
using Henge.Storage.Logs;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>What a segment holds of one keyspace: all entries, live or not.</summary>
internal readonly record struct KeyspaceShare(long Entries, long Bytes);

/// <summary>What could not be written yet, since the disk is full: it belongs at an offset of the file. Never changes.</summary>
internal sealed record HeldTail(uint Start, byte[] Bytes);

/// <summary>
/// A file of entries. The last one is written to; all others are sealed and never change. Reads take no lock: the handle is shared, and is
/// closed when no view is left that could lead here.
/// </summary>
/// <param name="file">Its open file.</param>
/// <param name="header">What its first page says.</param>
internal sealed class Segment(IFile file, LogSegmentHeader header)
{
    private long _lastView = long.MaxValue;
    private long _liveBytes = -1;
    private volatile bool _hasHint;
    private volatile HeldTail? _held;

    public uint Id => header.Id;

    public IFile File => file;

    public LogSegmentHeader Header => header;

    /// <summary>Range drops with a higher epoch hide what lies in their range here. Changes only while it is empty.</summary>
    public ulong Epoch { get; set; }

    /// <summary>Records that wait in memory for room on the disk; null when there are none.</summary>
    public HeldTail? Held
    {
        get => _held;
        set => _held = value;
    }

    /// <summary>Reads up to the size of the buffer; fewer bytes only at the end. One entry is in the file or held, never in part.</summary>
    public int Read(uint offset, Span<byte> buffer)
    {
        if (_held is not { } held || offset < held.Start)
        {
            return file.Read(offset, buffer);
        }

        ReadOnlySpan<byte> rest = held.Bytes.AsSpan((int)Math.Min(offset - held.Start, (uint)held.Bytes.Length));
        int count = Math.Min(rest.Length, buffer.Length);
        rest[..count].CopyTo(buffer);
        return count;
    }

    /// <summary>Where its records end, once sealed.</summary>
    public uint End { get; set; } = LogFormat.SegmentHeaderBytes;

    /// <summary>True when nothing is written to it any more.</summary>
    public bool IsSealed { get; set; }

    /// <summary>What is in it, by keyspace. Changed by the writer alone, and not once sealed.</summary>
    public Dictionary<uint, KeyspaceShare> Keyspaces { get; set; } = [];

    /// <summary>Bytes of all its entries.</summary>
    public long EntryBytes { get; private set; }

    /// <summary>Bytes of its entries that were live when somebody last looked; all of them before that.</summary>
    public long LiveBytes
    {
        get => Volatile.Read(ref _liveBytes) is var live && live < 0 ? EntryBytes : live;
        set => Volatile.Write(ref _liveBytes, value);
    }

    /// <summary>True when its hint file is there.</summary>
    public bool HasHint
    {
        get => _hasHint;
        set => _hasHint = value;
    }

    /// <summary>The number of the last view that may read it: a merge has replaced it. The largest number while it is listed.</summary>
    public long LastView
    {
        get => Volatile.Read(ref _lastView);
        set => Volatile.Write(ref _lastView, value);
    }

    /// <summary>Nothing is accounted for any more.</summary>
    public void ResetCounts()
    {
        Keyspaces.Clear();
        EntryBytes = 0;
    }

    /// <summary>Accounts for an entry.</summary>
    public void Count(uint keyspace, int bytes)
    {
        KeyspaceShare share = Keyspaces.GetValueOrDefault(keyspace);
        Keyspaces[keyspace] = new KeyspaceShare(share.Entries + 1, share.Bytes + bytes);
        EntryBytes += bytes;
    }
}
