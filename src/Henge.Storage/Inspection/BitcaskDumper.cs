using System.Globalization;
using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Inspection;

/// <summary>Prints a file of a bitcask engine: its manifest, a segment, a hint. Changes nothing.</summary>
internal sealed class BitcaskDumper(IFileSystem files, string path, TextWriter output)
{
    private readonly SegmentStore _store = new(files, Path.GetDirectoryName(path) ?? ".", static () => 0, nextId: 1);

    /// <summary>True for the name of such a file.</summary>
    public static bool Knows(string name) =>
        name == BitcaskFiles.Manifest || BitcaskFiles.IsSegment(name, out _) || BitcaskFiles.IsHint(name, out _);

    public void Dump()
    {
        string name = Path.GetFileName(path);
        if (BitcaskFiles.IsSegment(name, out uint id))
        {
            DumpSegment(id);
        }
        else if (BitcaskFiles.IsHint(name, out id))
        {
            DumpHint(id);
        }
        else
        {
            DumpManifest();
        }
    }

    private void DumpManifest()
    {
        SegmentManifest manifest = SegmentManifest.Read(files, _store.Directory);
        Line($"bitcask, format {SegmentManifest.FormatVersion}, epoch {manifest.Epoch}, floor {manifest.Floor}, next {manifest.NextId}");
        foreach (ListedSegment segment in manifest.Segments)
        {
            Line($"segment {segment.Id} of epoch {segment.Epoch}, {(segment.End == 0 ? "open" : $"sealed at {segment.End}")}");
        }

        foreach (RangeDrop drop in manifest.Drops)
        {
            Line($"{drop}");
        }

        foreach ((uint stream, ulong position) in manifest.Positions.OrderBy(static pair => pair.Key))
        {
            Line($"position {stream}={position}");
        }
    }

    // The length that says where the records end is in the manifest: read to the end, as one that is being written.
    private void DumpSegment(uint id)
    {
        Segment segment = _store.Open(id, forWriting: false);
        using IFile file = segment.File;
        Line($"segment {id}, salt {segment.Header.Salt:x16}");
        string? cut = SegmentScan.ReadOpen(segment, Describe, out uint proven);
        Line($"{segment.End,10}  end; {proven} bytes are proven to have been synced");
        if (cut is not null)
        {
            Line($"{"",10}  behind it: {cut}");
        }
    }

    private void Describe(in StoredEntry item, uint offset)
    {
        string what = item.IsPosition ? $"position {item.Keyspace}={item.Position}"
            : Describe(item.Kind, item.Keyspace, item.Key, item.Version, item.Value.Length, item.Header);
        Line($"{offset,10}  {what}");
    }

    private void DumpHint(uint id)
    {
        // Its own header says of which segment, and where that ends.
        byte[] page = new byte[HintFormat.HeaderBytes];
        using (IFile file = files.Open(path, FileOpenMode.Read))
        {
            file.ReadExactly(0, page);
        }

        uint end = System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(24));
        using HintReader hint = HintReader.Open(_store, id, end, salt: null)
            ?? throw SegmentStore.Damage(path, 0, "its header is not that of a hint of this segment");
        Line($"hint of segment {id}, salt {hint.Salt:x16}, which ends at {end}");
        while (hint.Next(out HintEntry entry))
        {
            string what = Describe(entry.Kind, entry.Keyspace, entry.Key, entry.Version, entry.Length, entry.Header);
            Line($"{entry.Offset,10}  {what}");
        }

        Line($"{(hint.IsComplete ? "complete" : "damaged from here on")}");
    }

    private static string Describe(EntryKind kind, uint keyspace, ReadOnlySpan<byte> key, Core.Version version, int bytes, long header)
    {
        string name = $"{keyspace}/{InternalKey.DescribeKey(key)}@{version}";
        long end = EntryHeader.ExpiresAtMs(header);
        return kind == EntryKind.Delete ? $"delete {name}" : $"put {name} {bytes} bytes{(end == 0 ? "" : $" until {end} ms")}";
    }

    private void Line(FormattableString line) => output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
