using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Tables;
using Henge.Testing.Files;

namespace Henge.Fuzz.Targets;

/// <summary>The storage engine's tables: blocks in memory that has a guard behind it, and whole files whose checksums are right.</summary>
internal static unsafe class TableTargets
{
    private const int TrailerBytes = TableFormat.BlockTrailerBytes;
    private static readonly GuardedMemory Guarded = new(64 * 1024);
    private static readonly BlockCache Cache = new(1 << 20);

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("table-block", Block, BlockSeeds),
        new("table-index", Index, static () => TableSeeds().Select(static table => table.Index)),
        new("table-properties", Properties, static () => TableSeeds().Select(static table => table.Properties)),
        new("table-footer", Footer, FooterSeeds),
        new("bloom-filter", Filter, static () => [[6, .. new byte[64]], [12, .. Enumerable.Repeat((byte)0xFF, 128)], [0, .. new byte[64]]]),
        new("table-file", File, static () => TableSeeds().Select(static table => table.Joined())) { AllocatedAlways = 1024 * 1024 },
    ];

    /// <summary>The parts of a table without what the checksums are of.</summary>
    private sealed record TableParts(byte[] Data, byte[] Filter, byte[] Index, byte[] Properties)
    {
        public byte[] Joined()
        {
            byte[] lengths = new byte[6];
            BinaryPrimitives.WriteUInt16LittleEndian(lengths, (ushort)Data.Length);
            BinaryPrimitives.WriteUInt16LittleEndian(lengths.AsSpan(2), (ushort)Filter.Length);
            BinaryPrimitives.WriteUInt16LittleEndian(lengths.AsSpan(4), (ushort)Index.Length);
            return [.. lengths, .. Data, .. Filter, .. Index, .. Properties];
        }

        public static TableParts Split(ReadOnlySpan<byte> joined)
        {
            ReadOnlySpan<byte> rest = joined[6..];
            byte[] data = Take(BinaryPrimitives.ReadUInt16LittleEndian(joined), ref rest);
            byte[] filter = Take(BinaryPrimitives.ReadUInt16LittleEndian(joined[2..]), ref rest);
            byte[] index = Take(BinaryPrimitives.ReadUInt16LittleEndian(joined[4..]), ref rest);
            return new TableParts(data, filter, index, rest.ToArray());
        }

        private static byte[] Take(int length, ref ReadOnlySpan<byte> rest)
        {
            byte[] taken = rest[..Math.Min(length, rest.Length)].ToArray();
            rest = rest[taken.Length..];
            return taken;
        }
    }

    private static byte[] Key(int i, ulong version, EntryKind kind = EntryKind.Put)
    {
        byte[] key = System.Text.Encoding.ASCII.GetBytes($"user:{i / 3:D3}{(i % 2 == 0 ? "x" : "long-end-of-a-key")}");
        byte[] bytes = new byte[InternalKey.Size(key.Length)];
        InternalKey.Write(bytes, 1, key, new Core.Version(version), kind);
        return bytes;
    }

    private static IEnumerable<(byte[] Key, byte[] Value)> Entries(int count)
    {
        var sorted = new SortedDictionary<byte[], byte[]>(InternalKeyComparer.Instance);
        for (int i = 0; i < count; i++)
        {
            EntryKind kind = i % 7 == 0 ? EntryKind.Delete : i % 5 == 0 ? EntryKind.PutExpiring : EntryKind.Put;
            byte[] value = kind switch
            {
                EntryKind.Delete => [],
                EntryKind.PutExpiring => [9, 0, 0, 0, 0, 0, 0, 0, 1],
                _ => [.. Enumerable.Repeat((byte)i, i % 20)]
            };
            sorted[Key(i, (ulong)(1000 + (i * 3)), kind)] = value;
        }

        return sorted.Select(static entry => (entry.Key, entry.Value));
    }

    private static IEnumerable<byte[]> BlockSeeds()
    {
        foreach (int count in (int[])[1, 5, 40])
        {
            var builder = new BlockBuilder(restartInterval: 4);
            foreach ((byte[] key, byte[] value) in Entries(count))
            {
                builder.Add(key, value);
            }

            byte[] block = [];
            int length = builder.Finish(ref block);
            yield return block[..length];
        }
    }

    private static List<TableParts> TableSeeds()
    {
        List<TableParts> tables = [];
        foreach ((int count, int bits, BlockCodec codec) in new[] { (1, 10, BlockCodec.None), (40, 10, BlockCodec.Brotli),
            (60, 0, BlockCodec.None) })
        {
            var file = new MemoryFile();
            using (var writer = new TableWriter(file, new TableOptions
            {
                BlockBytes = 256,
                RestartInterval = 4,
                BloomBitsPerKey = bits,
                Codec = codec
            }))
            {
                foreach ((byte[] key, byte[] value) in Entries(count))
                {
                    writer.Add(key, value);
                }

                writer.Finish();
            }

            byte[] bytes = file.Bytes;
            TableFormat.ReadFooter(bytes.AsSpan(bytes.Length - TableFormat.FooterBytes), bytes.Length, "table", out BlockHandle filter,
                out BlockHandle index, out BlockHandle properties);
            byte[] Part(BlockHandle handle) => bytes.AsSpan((int)handle.Offset, handle.Length).ToArray();
            tables.Add(new TableParts(bytes[TableFormat.HeaderBytes..(int)filter.Offset], Part(filter), Part(index), Part(properties)));
        }

        return tables;
    }

    // A block that is found good is walked both ways and searched; nothing behind it and its slack is ever read.
    private static void Block(ReadOnlySpan<byte> input)
    {
        byte* block = Guarded.Put(input, BlockMemory.SlackBytes);
        if (BlockFormat.Validate(block, input.Length) is not null)
        {
            return;
        }

        var cursor = new BlockCursor();
        try
        {
            cursor.Open(block);
            var keys = new List<byte[]>();
            for (cursor.SeekToFirst(); cursor.Valid; cursor.Next())
            {
                FuzzCheck.That(keys.Count < input.Length && InternalKey.IsWellFormed(cursor.Key),
                    "more entries than bytes, or a key that is none");
                cursor.Value.IndexOf((byte)0);
                keys.Add(cursor.Key.ToArray());
            }

            int back = keys.Count;
            for (cursor.SeekToLast(); cursor.Valid; cursor.Prev())
            {
                FuzzCheck.That(--back >= 0, "more entries backwards than forwards");
                FuzzCheck.Same(keys[back], cursor.Key, "an entry, backwards");
            }

            FuzzCheck.That(back == 0, "fewer entries backwards than forwards");
            bool rising = keys.Zip(keys.Skip(1)).All(static pair => InternalKey.Compare(pair.First, pair.Second) < 0);
            byte* buffer = stackalloc byte[LookupKey.BufferBytes(4096)];
            foreach (byte[] key in keys.Take(64))
            {
                var lookup = new LookupKey(buffer, InternalKey.GetKeyspace(key), InternalKey.GetKey(key), InternalKey.GetVersion(key));
                FoundEntry found = default;
                bool there = BlockFormat.TryFind(block, lookup, ref found);
                FuzzCheck.That(there || !rising, "an entry that is there is not found");
                cursor.Seek(lookup.Pointer, lookup.PrefixLength, lookup.At.Value, 0);
            }
        }
        finally
        {
            cursor.Free();
        }
    }

    // Where data blocks end comes with the file; any end that the index leads to is tried.
    private static void Index(ReadOnlySpan<byte> input)
    {
        TableIndex? index = TableIndex.Decode(input, long.MaxValue, out string? error);
        FuzzCheck.That(index is null && error is { Length: > 0 }, "an index that covers a file that cannot be");
        long end = DataEndOf(input);
        index = TableIndex.Decode(input, end, out error);
        if (index is null)
        {
            FuzzCheck.That(error is { Length: > 0 }, "refused without a reason");
            return;
        }

        try
        {
            byte* buffer = stackalloc byte[LookupKey.BufferBytes(4096)];
            for (int i = 0; i < index.Count; i++)
            {
                ReadOnlySpan<byte> separator = index.Separator(i);
                if (separator.Length >= InternalKey.KeyspaceBytes && separator.Length <= 4096)
                {
                    var lookup = new LookupKey(buffer, InternalKey.GetKeyspace(separator), separator[InternalKey.KeyspaceBytes..],
                        Core.Version.Max);
                    int found = index.Find(lookup.Pointer, lookup.PrefixLength, 0, 0xFF);
                    FuzzCheck.That(found >= 0 && found < index.Count && found >= i, "a search before its separator");
                }
            }
        }
        finally
        {
            index.Free();
        }
    }

    // As the index itself counts: the lengths of its blocks one after another.
    private static long DataEndOf(ReadOnlySpan<byte> encoded)
    {
        long end = TableFormat.HeaderBytes;
        if (encoded.Length < 4)
        {
            return end;
        }

        int count = BinaryPrimitives.ReadInt32LittleEndian(encoded);
        ReadOnlySpan<byte> rest = encoded[4..];
        for (int i = 0; i < count && Number(ref rest, out _) && Number(ref rest, out ulong suffix) && suffix < (ulong)rest.Length; i++)
        {
            rest = rest[(int)suffix..];
            int skip = rest[0] == 1 ? 1 + InternalKey.TrailerBytes : 1;
            if (skip > rest.Length)
            {
                break;
            }

            rest = rest[skip..];
            if (!Number(ref rest, out ulong length) || !Number(ref rest, out _) || !Number(ref rest, out _))
            {
                break;
            }

            end += (long)Math.Min(length, int.MaxValue) + TrailerBytes;
        }

        return end;

        static bool Number(ref ReadOnlySpan<byte> rest, out ulong number)
        {
            bool read = Varint.TryRead(rest, out number, out int size);
            rest = rest[size..];
            return read;
        }
    }

    private static void Properties(ReadOnlySpan<byte> input)
    {
        if (TablePropertiesFormat.Decode(input, 1000, out int probes) is { } properties)
        {
            byte[] encoded = TablePropertiesFormat.Encode(properties, probes);
            TableProperties? again = TablePropertiesFormat.Decode(encoded, 1000, out int sameProbes);
            FuzzCheck.That(again is not null && sameProbes == probes, "properties that were written are not read");
            FuzzCheck.Same(encoded, TablePropertiesFormat.Encode(again, sameProbes), "properties");
        }
    }

    private static IEnumerable<byte[]> FooterSeeds()
    {
        byte[] footer = new byte[TableFormat.FooterBytes];
        TableFormat.WriteFooter(footer, new BlockHandle(100, 64), new BlockHandle(169, 30), new BlockHandle(204, 50));
        yield return footer;
    }

    private static void Footer(ReadOnlySpan<byte> input)
    {
        if (input.Length < TableFormat.FooterBytes)
        {
            return;
        }

        byte[] footer = input[..TableFormat.FooterBytes].ToArray();
        BinaryPrimitives.WriteUInt64LittleEndian(footer.AsSpan(56), TableFormat.Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(footer.AsSpan(52), Crc32C.Compute(footer.AsSpan(0, 52)));
        foreach (long length in (long[])[BinaryPrimitives.ReadInt64LittleEndian(footer.AsSpan(36)), 1000])
        {
            try
            {
                TableFormat.ReadFooter(footer, length, "table", out BlockHandle filter, out BlockHandle index, out BlockHandle properties);
                FuzzCheck.That(filter.Offset >= TableFormat.HeaderBytes && filter.Length >= 0 && index.Offset > filter.Offset
                    && properties.Offset > index.Offset && properties.End <= length, "a part outside of the file");
            }
            catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat)
            {
                // As documented.
            }
        }
    }

    // How many probes, then a filter of whole blocks: asked, it never reads behind its end, and what is added is there.
    private static void Filter(ReadOnlySpan<byte> input)
    {
        if (input.Length < 1 + BloomFilter.BlockBytes)
        {
            return;
        }

        int blocks = (input.Length - 1) / BloomFilter.BlockBytes, probes = Math.Max(1, (int)input[0]);
        byte[] filter = input.Slice(1, blocks * BloomFilter.BlockBytes).ToArray();
        byte* guarded = Guarded.Put(filter, 0);
        for (ulong i = 0; i < 64; i++)
        {
            ulong hash = (i + 1) * 0x9E37_79B9_7F4A_7C15;
            BloomFilter.MayContain(guarded, (uint)blocks, probes, hash);
            BloomFilter.Add(new Span<byte>(guarded, filter.Length), probes, hash);
            FuzzCheck.That(BloomFilter.MayContain(guarded, (uint)blocks, probes, hash), "what was added is not there");
        }
    }

    private static void File(ReadOnlySpan<byte> input)
    {
        if (input.Length < 6)
        {
            return;
        }

        var parts = TableParts.Split(input);
        var file = new List<byte>(new byte[TableFormat.HeaderBytes]);
        file.AddRange(parts.Data);
        BlockHandle filter = Add(file, parts.Filter), index = Add(file, parts.Index), properties = Add(file, parts.Properties);
        file.AddRange(new byte[TableFormat.FooterBytes]);
        byte[] bytes = [.. file];
        TableFormat.WriteHeader(bytes);
        TableFormat.WriteFooter(bytes.AsSpan(bytes.Length - TableFormat.FooterBytes), filter, index, properties);
        if (TableIndex.Decode(parts.Index, filter.Offset, out _) is { } decoded)
        {
            for (int i = 0; i < decoded.Count; i++)
            {
                Seal(bytes, decoded.Block(i).Handle);
            }

            decoded.Free();
        }

        TableReader table;
        try
        {
            table = TableReader.Open(new MemoryFile(bytes), Cache);
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            return;
        }

        Tolerate(table.Verify);
        Tolerate(() => table.Dump(TextWriter.Null));
        using (InternalIterator entries = table.CreateIterator(new TableReadOptions { FillCache = true }))
        {
            Tolerate(() =>
            {
                int count = 0;
                for (entries.SeekToLast(); entries.Valid; entries.Prev())
                {
                    FuzzCheck.That(++count <= 2 * bytes.Length && InternalKey.IsWellFormed(entries.Key),
                        "more entries than bytes, or a key that is none");
                }
            });
            foreach ((byte[] key, _) in Entries(10))
            {
                Tolerate(() => entries.Seek(key));
                Tolerate(() => Get(table, key));
            }
        }

        table.Release();
    }

    private static void Get(TableReader table, byte[] key)
    {
        byte* buffer = stackalloc byte[LookupKey.BufferBytes(64)];
        var lookup = new LookupKey(buffer, InternalKey.GetKeyspace(key), InternalKey.GetKey(key), Core.Version.Max);
        if (table.TryGet(lookup, out FoundEntry found))
        {
            found.Span.IndexOf((byte)1);
            found.Unpin();
        }
    }

    private static BlockHandle Add(List<byte> file, byte[] payload)
    {
        var handle = new BlockHandle(file.Count, payload.Length);
        file.AddRange(payload);
        byte[] trailer = new byte[TrailerBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(trailer.AsSpan(1), TableFormat.Checksum(handle.Offset, payload, 0));
        file.AddRange(trailer);
        return handle;
    }

    private static void Seal(byte[] bytes, BlockHandle handle)
    {
        int end = (int)handle.Offset + handle.Length;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(end + 1),
            TableFormat.Checksum(handle.Offset, bytes.AsSpan((int)handle.Offset, handle.Length), bytes[end]));
    }

    private static void Tolerate(Action read)
    {
        try
        {
            read();
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            // As documented.
        }
    }
}
