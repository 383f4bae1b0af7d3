using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Manifests;
using Henge.Testing.Files;

namespace Henge.Fuzz.Targets;

/// <summary>Files of the bitcask engine: what stands behind the checksums of its manifest, its hints, and its entries.</summary>
internal static class BitcaskTargets
{
    private const string Directory = "/engine";
    private const uint End = 1 << 20;

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("bitcask-manifest", Manifest, ManifestSeeds),
        new("bitcask-entry", Entry, EntrySeeds),
        new("bitcask-hint", Hint, HintSeeds) { AllocatedAlways = 512 * 1024 },
    ];

    // The input is what follows the header; the checksum is made right.
    private static void Manifest(ReadOnlySpan<byte> input)
    {
        byte[] content = [.. new byte[16], .. input];
        BinaryPrimitives.WriteUInt64LittleEndian(content, SegmentManifest.Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(8), SegmentManifest.FormatVersion);
        uint checksum = Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Start, content.AsSpan(0, 12)), input));
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(12), checksum);
        SegmentManifest manifest;
        try
        {
            manifest = SegmentManifest.Decode(content, "manifest");
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            return;
        }

        byte[] again = SegmentManifest.Decode(manifest.Encode(), "manifest").Encode();
        FuzzCheck.Same(manifest.Encode(), again, "a manifest");
    }

    private static IEnumerable<byte[]> ManifestSeeds()
    {
        yield return new SegmentManifest().Encode()[16..];
        yield return new SegmentManifest
        {
            NextId = 9,
            Epoch = 4,
            Floor = new Core.Version(77),
            Segments = [new ListedSegment(3, 2, 5000), new ListedSegment(8, 4, 0)],
            Drops = [new RangeDrop(3, 7, "a"u8, "b"u8, 0), new RangeDrop(4, 8, default, default, 0)],
            Positions = { [1] = 2, [3] = 4 },
        }.Encode()[16..];
    }

    private static void Entry(ReadOnlySpan<byte> input)
    {
        for (ReadOnlySpan<byte> rest = input; StoredEntry.TryRead(rest, out StoredEntry entry); rest = rest[entry.Length..])
        {
            FuzzCheck.That(entry.Length > 0 && entry.Length <= rest.Length, "an entry longer than what there is");
            FuzzCheck.That(entry.IsPosition || entry.Key.Length + entry.Value.Length < entry.Length, "more in an entry than its length");
        }
    }

    private static IEnumerable<byte[]> EntrySeeds()
    {
        var batch = new WriteBatch();
        batch.Put(1, "key"u8, new Core.Version(5), "value"u8);
        batch.Put(1, "brief"u8, new Core.Version(6), "value"u8, expiresAtMs: 7);
        batch.Put(1, "typed"u8, new Core.Version(6), "value"u8, type: DataType.Hash);
        batch.Delete(2, default, new Core.Version(7));
        batch.SetPosition(3, 4);
        byte[] payload = new byte[batch.ByteCount + (batch.Count * StoredEntry.ChecksumBytes)];
        StoredEntry.Encode(batch.Encoded, payload);
        yield return payload;
        yield return [];
    }

    // The input is one block; header, checksums and the last block are put around it.
    private static void Hint(ReadOnlySpan<byte> input)
    {
        var header = new LogSegmentHeader(1, 0x1234_5678_9ABC_DEF0, 0, 0);
        byte[] page = new byte[HintFormat.HeaderBytes];
        HintFormat.WriteHeader(page, header, End);
        byte[] block = new byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(block, (uint)input.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(4), HintFormat.Checksum(header.Salt, (uint)input.Length, input));
        var files = new SimulatedFileSystem();
        files.CreateDirectory(Directory);
        files.WriteAllBytes(Directory + "/" + BitcaskFiles.Hint(1), [.. page, .. block, .. input]);
        var store = new SegmentStore(files, Directory, static () => 0, 2);
        using HintReader hint = HintReader.Open(store, 1, End, header.Salt) ?? throw new FuzzFailureException("a good header was refused");
        int read = 0;
        while (hint.Next(out HintEntry entry))
        {
            read += HintFormat.SizeOf(entry.Kind, entry.Key.Length);
            FuzzCheck.That(entry.Length >= 0 && entry.Offset + (long)entry.Length <= End, "an entry outside of its segment");
        }

        FuzzCheck.That(read <= input.Length + 9 && !hint.IsComplete, "more than there is");
    }

    private static IEnumerable<byte[]> HintSeeds()
    {
        byte[] key = Encoding.UTF8.GetBytes("user:17");
        var seed = new List<byte>();
        foreach (EntryKind kind in Enum.GetValues<EntryKind>())
        {
            var entry = new StoredEntry { Kind = kind, Keyspace = 1, Version = new Core.Version(9), Key = key, Header = 5, Length = 40 };
            byte[] bytes = new byte[HintFormat.SizeOf(kind, key.Length)];
            HintFormat.Write(bytes, entry, 5000);
            seed.AddRange(bytes);
        }

        yield return [.. seed];
        yield return [];
    }
}
