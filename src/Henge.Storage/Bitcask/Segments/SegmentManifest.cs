using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>A segment as the manifest lists it. An end of 0 means that it is open: the one that is written to.</summary>
internal readonly record struct ListedSegment(uint Id, ulong Epoch, uint End);

/// <summary>
/// What an engine's directory consists of: which segments count, what was dropped, and the positions at the end of the newest sealed
/// segment. One small file, written anew for each change and put in place by an atomic, synced rename. Also what tells the directory
/// of this engine from that of another one.
/// </summary>
internal sealed class SegmentManifest
{
    /// <summary>"HNGBITCK", little-endian.</summary>
    public const ulong Magic = 0x4B43_5449_4247_4E48;
    public const uint FormatVersion = 1;
    private const int HeaderBytes = 16;
    private const int MostBytes = 256 << 20;

    /// <summary>Segments made from now on have this number or a higher one.</summary>
    public uint NextId { get; set; } = 1;

    /// <summary>What is written now lies in this epoch.</summary>
    public ulong Epoch { get; set; } = 1;

    /// <summary>The highest history floor that a merge dropped versions by.</summary>
    public Core.Version Floor { get; set; }

    public List<ListedSegment> Segments { get; init; } = [];

    /// <summary>By rising epoch.</summary>
    public List<RangeDrop> Drops { get; init; } = [];

    public Dictionary<uint, ulong> Positions { get; set; } = [];

    public SegmentManifest Clone() => new()
    {
        NextId = NextId,
        Epoch = Epoch,
        Floor = Floor,
        Segments = [.. Segments],
        Drops = [.. Drops],
        Positions = new Dictionary<uint, ulong>(Positions),
    };

    /// <summary>Puts this manifest in place of the one that is there, durably.</summary>
    /// <exception cref="DiskFullException">There is no room, and the old one counts.</exception>
    public void Write(IFileSystem files, string directory)
    {
        string temporary = Path.Combine(directory, BitcaskFiles.ManifestTemporary);
        if (files.FileExists(temporary))
        {
            files.Delete(temporary);
        }

        using (IFile file = files.Open(temporary, FileOpenMode.CreateNew))
        {
            file.Write(0, Encode());
            file.Sync();
        }

        files.Rename(temporary, Path.Combine(directory, BitcaskFiles.Manifest));
        try
        {
            files.SyncDirectory(directory);
        }
        catch (DiskFullException error)
        {
            // Which of the two a crash would leave is not known any more: a failed sync, and not a full disk that is waited for.
            throw new IOException($"The manifest could not be made durable: {error.Message}", error);
        }
    }

    public static SegmentManifest Read(IFileSystem files, string directory)
    {
        string path = Path.Combine(directory, BitcaskFiles.Manifest);
        using IFile file = files.Open(path, FileOpenMode.Read);
        long length = file.Length;
        if (length is < HeaderBytes or > MostBytes)
        {
            throw SegmentStore.Damage(path, 0, $"it has {length} bytes, and a manifest has {HeaderBytes} to {MostBytes}");
        }

        byte[] content = new byte[length];
        file.ReadExactly(0, content);
        return Decode(content, path);
    }

    /// <summary>Reads a manifest's bytes; what makes no sense is an error that names the path.</summary>
    internal static SegmentManifest Decode(ReadOnlySpan<byte> content, string path)
    {
        if (content.Length < HeaderBytes || BinaryPrimitives.ReadUInt64LittleEndian(content) != Magic)
        {
            throw SegmentStore.Damage(path, 0, "it does not begin as a manifest of the bitcask engine does");
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(content[8..]);
        bool fits = BinaryPrimitives.ReadUInt32LittleEndian(content[12..]) == Checksum(content);
        if (version != FormatVersion && fits)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"{path} has format version {version}, and this build knows {FormatVersion} only. "
                    + "Open the directory with the build that wrote it, or a newer one.");
        }

        return fits && TryDecode(content[HeaderBytes..], out SegmentManifest manifest)
            ? manifest
            : throw SegmentStore.Damage(path, 0, "its checksum does not fit");
    }

    internal byte[] Encode()
    {
        var body = new ArrayBufferWriter<byte>();
        body.WriteVarint(NextId);
        body.WriteVarint(Epoch);
        body.WriteVarint(Floor.Value);
        body.WriteVarint((ulong)Segments.Count);
        foreach (ListedSegment segment in Segments)
        {
            body.WriteVarint(segment.Id);
            body.WriteVarint(segment.Epoch);
            body.WriteVarint(segment.End);
        }

        body.WriteVarint((ulong)Drops.Count);
        foreach (RangeDrop drop in Drops)
        {
            body.WriteVarint(drop.Epoch);
            body.WriteVarint(drop.Keyspace);
            body.WriteBytes(drop.Lower);
            body.WriteBytes(drop.Upper);
        }

        body.WriteVarint((ulong)Positions.Count);
        foreach ((uint stream, ulong position) in Positions.OrderBy(static pair => pair.Key))
        {
            body.WriteVarint(stream);
            body.WriteVarint(position);
        }

        byte[] content = new byte[HeaderBytes + body.WrittenCount];
        BinaryPrimitives.WriteUInt64LittleEndian(content, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(8), FormatVersion);
        body.WrittenSpan.CopyTo(content.AsSpan(HeaderBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(12), Checksum(content));
        return content;
    }

    private static uint Checksum(ReadOnlySpan<byte> content) =>
        Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Start, content[..12]), content[HeaderBytes..]));

    private static bool TryDecode(ReadOnlySpan<byte> body, out SegmentManifest manifest)
    {
        manifest = new SegmentManifest();
        var reader = new SpanReader(body);
        manifest.NextId = (uint)reader.ReadVarint(uint.MaxValue);
        manifest.Epoch = reader.ReadVarint();
        manifest.Floor = new Core.Version(reader.ReadVarint(Core.Version.MaxValue));

        // Each item takes a byte at least, so a count cannot ask for more than there is.
        ulong count = reader.ReadVarint((ulong)reader.Rest.Length);
        uint last = 0;
        bool open = false;
        for (ulong i = 0; i < count && !reader.Failed; i++)
        {
            var segment = new ListedSegment(
                (uint)reader.ReadVarint(uint.MaxValue),
                reader.ReadVarint(manifest.Epoch),
                (uint)reader.ReadVarint(Logs.LogFormat.MaxSegmentBytes));
            bool bad = segment.Id <= last || segment.Id >= manifest.NextId || (open && segment.End == 0)
                || segment.End is > 0 and < Logs.LogFormat.SegmentHeaderBytes;
            if (bad)
            {
                reader.Fail();
            }

            open |= segment.End == 0;
            last = segment.Id;
            manifest.Segments.Add(segment);
        }

        count = reader.ReadVarint((ulong)reader.Rest.Length);
        for (ulong i = 0; i < count && !reader.Failed; i++)
        {
            ulong epoch = reader.ReadVarint(manifest.Epoch);
            manifest.Drops.Add(
                new RangeDrop(epoch, (uint)reader.ReadVarint(uint.MaxValue), reader.ReadBytes(), reader.ReadBytes(), 0));
        }

        count = reader.ReadVarint((ulong)reader.Rest.Length);
        for (ulong i = 0; i < count && !reader.Failed; i++)
        {
            manifest.Positions[(uint)reader.ReadVarint(uint.MaxValue)] = reader.ReadVarint();
        }

        return !reader.Failed && reader.IsEmpty;
    }
}
