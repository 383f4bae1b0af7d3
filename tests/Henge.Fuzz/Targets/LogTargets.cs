using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Testing.Files;

namespace Henge.Fuzz.Targets;

/// <summary>The storage engine's logs: segments, batches, the manifest.</summary>
internal static class LogTargets
{
    private const string Directory = "/engine";
    private const ulong Salt = 0x1234_5678_9ABC_DEF0;

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("log-segment", Segment, static () => [[0, 3, 1, 2, 3, 0xF0, 8, 1, 0, 0, 0, 0, 16, 0, 0, 1, 0], [0, 0],
            [0xF0, 0]]) { AllocatedAlways = 1024 * 1024 },
        new("log-header", Header, HeaderSeeds),
        new("write-batch", Batch, BatchSeeds),
        new("manifest-edit", Edit, static () => EditSeeds().Select(static edit => edit.Encode())),
        new("manifest-file", Manifest, ManifestSeeds) { AllocatedAlways = 512 * 1024 },
    ];

    // Records as kind, length in a byte, payload: headers with the right checksums are put before them here. What cannot be such a list
    // goes on as it is.
    private static void Segment(ReadOnlySpan<byte> input)
    {
        byte[] page = new byte[LogFormat.SegmentHeaderBytes];
        LogFormat.WriteHeader(page, new LogSegmentHeader(1, Salt, 0, 0));
        var file = new List<byte>(page);
        uint incarnation = 0;
        int records = 0;
        for (ReadOnlySpan<byte> rest = input; rest.Length >= 2;)
        {
            byte kind = rest[0];
            ReadOnlySpan<byte> payload = rest.Slice(2, Math.Min(rest[1], rest.Length - 2));
            byte[] record = new byte[LogFormat.RecordHeaderBytes + payload.Length];
            payload.CopyTo(record.AsSpan(LogFormat.RecordHeaderBytes));
            if (kind == LogFormat.MarkKind && payload.Length == LogFormat.MarkPayloadBytes)
            {
                incarnation = BinaryPrimitives.ReadUInt32LittleEndian(payload);
            }

            LogFormat.WriteRecordHeader(record, LogFormat.Seed(Salt, incarnation), 1, kind);
            file.AddRange(record);
            records++;
            rest = rest[(2 + payload.Length)..];
        }

        Take([.. file], records);
        Take([.. page, .. input], int.MaxValue);

        static void Take(byte[] bytes, int most)
        {
            var files = new SimulatedFileSystem();
            files.CreateDirectory(Directory);
            files.WriteAllBytes(Directory + "/" + LogFormat.SegmentName(1), bytes);
            try
            {
                using var recovery = new LogRecovery(files, Directory);
                int payloads = 0;
                LogRecoveryReport report = recovery.Run((_, _, payload) => payloads += payload.Length);
                FuzzCheck.That(report.Records <= most && payloads <= bytes.Length && report.End.Offset <= bytes.Length,
                    "more than there is");
            }
            catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat)
            {
                // As documented.
            }
        }
    }

    private static IEnumerable<byte[]> HeaderSeeds()
    {
        byte[] page = new byte[LogFormat.SegmentHeaderBytes];
        LogFormat.WriteHeader(page, new LogSegmentHeader(7, Salt, 6, 5000));
        yield return page[..64];
    }

    private static void Header(ReadOnlySpan<byte> input)
    {
        try
        {
            LogSegmentHeader header = LogFormat.ReadHeader(input, "segment");
            byte[] page = new byte[LogFormat.SegmentHeaderBytes];
            LogFormat.WriteHeader(page, header);
            FuzzCheck.Same(input[..36], page.AsSpan(0, 36), "a header");
        }
        catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat)
        {
            // As documented.
        }
    }

    private static IEnumerable<byte[]> BatchSeeds()
    {
        var batch = new WriteBatch();
        batch.Put(1, "a"u8, new Core.Version(5), "value"u8);
        batch.Put(1, "b"u8, new Core.Version(6), "value"u8, expiresAtMs: 77);
        batch.Put(2, "c"u8, new Core.Version(7), [1, 1, 97, 1, 98], type: DataType.Hash);
        batch.Delete(2, "d"u8, new Core.Version(8));
        batch.SetPosition(3, 9);
        yield return batch.Encoded.ToArray();
    }

    private static void Batch(ReadOnlySpan<byte> input)
    {
        var reader = new WriteBatchReader(input);
        var copy = new WriteBatch();
        int items = 0;
        while (reader.MoveNext())
        {
            FuzzCheck.That(++items <= input.Length, "more items than bytes");
            if (reader.IsPosition)
            {
                copy.SetPosition(reader.Keyspace, reader.Position);
            }
            else if (reader.Kind == EntryKind.Delete)
            {
                copy.Delete(reader.Keyspace, reader.Key, reader.Version);
            }
            else
            {
                copy.Put(reader.Keyspace, reader.Key, reader.Version, reader.Value, reader.ExpiresAtMs, reader.Type);
            }
        }

        if (reader.Damaged)
        {
            return;
        }

        var again = new WriteBatchReader(copy.Encoded);
        var once = new WriteBatchReader(input);
        while (once.MoveNext())
        {
            FuzzCheck.That(again.MoveNext() && again.IsPosition == once.IsPosition && again.Keyspace == once.Keyspace
                && again.Position == once.Position, "an item");
            if (!once.IsPosition)
            {
                FuzzCheck.That(again.Version == once.Version && again.ExpiresAtMs == once.ExpiresAtMs && again.Type == once.Type,
                    "an entry");
                FuzzCheck.Same(once.Key, again.Key, "a key");
                FuzzCheck.That(once.Kind == EntryKind.Delete || once.Value.SequenceEqual(again.Value), "a value");
            }
        }

        FuzzCheck.That(!again.MoveNext() && !again.Damaged, "more items");
    }

    private static IEnumerable<VersionEdit> EditSeeds()
    {
        byte[] Key(string key, ulong version)
        {
            byte[] bytes = new byte[InternalKey.Size(key.Length)];
            InternalKey.Write(bytes, 1, System.Text.Encoding.ASCII.GetBytes(key), new Core.Version(version), EntryKind.Put);
            return bytes;
        }

        TableMeta Table(ulong number, string first, string last) => new()
        {
            Number = number,
            Bytes = 100,
            Smallest = Key(first, 5),
            Largest = Key(last, 5),
            MinVersion = new Core.Version(5),
            MaxVersion = new Core.Version(5),
            Entries = 2,
            Tombstones = 0,
            Garbage = 0,
            Expiring = 0,
            MaxExpiresAtMs = 0,
            Epoch = 1,
        };

        yield return new VersionEdit
        {
            NextFileNumber = 9,
            Epoch = 1,
            HistoryFloor = new Core.Version(3),
            LogFloor = 4,
            AddedTables = { (0, Table(5, "a", "c")), (1, Table(6, "a", "b")), (1, Table(7, "c", "d")) }
        };
        yield return new VersionEdit
        {
            Positions = { (1, 2) },
            KeyspaceVersions = { (1, new Core.Version(5)) },
            RemovedTables = { (1, 6) }
        };
        yield return new VersionEdit
        {
            AddedDrops = { new RangeDrop(2, 1, "a"u8, "b"u8, 3),
            new RangeDrop(3, uint.MaxValue, default, default, 0) },
            RetiredDrops = { 2 },
            ForgottenKeyspaces = { 1 }
        };
    }

    private static void Edit(ReadOnlySpan<byte> input)
    {
        if (!VersionEdit.TryDecode(input, out VersionEdit edit))
        {
            return;
        }

        byte[] encoded = edit.Encode();
        FuzzCheck.That(VersionEdit.TryDecode(encoded, out VersionEdit again), "an edit that was written is not read");
        FuzzCheck.Same(encoded, again.Encode(), "an edit");
        foreach (string line in edit.Describe())
        {
            FuzzCheck.That(line.Length > 0, "an empty line");
        }

        var state = new ManifestState();
        if (state.TryApply(edit) is null)
        {
            state.FindDisorder();
        }
    }

    private static IEnumerable<byte[]> ManifestSeeds()
    {
        yield return [.. EditSeeds().Select(static edit => edit.Encode()).SelectMany(
            static edit => new[] { (byte)edit.Length }.Concat(edit))];
        yield return [0];
    }

    // Edits, each behind its length in a byte: header and frames of the format are put around them here.
    private static void Manifest(ReadOnlySpan<byte> input)
    {
        byte[] header = new byte[ManifestFile.HeaderBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(header, ManifestFile.Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), ManifestFile.FormatVersion);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(12), Crc32C.Compute(header.AsSpan(0, 12)));
        var file = new List<byte>(header);
        uint sequence = 1;
        for (ReadOnlySpan<byte> rest = input; !rest.IsEmpty;)
        {
            ReadOnlySpan<byte> edit = rest.Slice(1, Math.Min(rest[0], rest.Length - 1));
            file.AddRange(ManifestRecord.Encode(sequence++, edit));
            rest = rest[(1 + edit.Length)..];
        }

        Take([.. file]);
        Take([.. header, .. input]);
        var files = new SimulatedFileSystem();
        files.CreateDirectory(Directory);
        files.WriteAllBytes(Directory + "/" + EngineFiles.Current, input);
        Tolerate(() => ManifestFile.ReadCurrent(files, Directory));

        static void Take(byte[] bytes)
        {
            var files = new SimulatedFileSystem();
            files.CreateDirectory(Directory);
            files.WriteAllBytes(Directory + "/" + EngineFiles.Manifest(1), bytes);
            Tolerate(() => ManifestFile.Read(files, Directory, 1, out _));
        }
    }

    private static void Tolerate(Action read)
    {
        try
        {
            read();
        }
        catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat)
        {
            // As documented.
        }
    }
}
