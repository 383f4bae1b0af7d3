using System.Buffers.Binary;
using Henge.Core;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Tables;
using Henge.Testing.Files;
using Version = Henge.Core.Version;

namespace Henge.Storage.Tests.Tables;

/// <summary>
/// Tables whose checksums are right and whose contents are not: no reader may leave its memory, hang, or fail otherwise than by saying so.
/// </summary>
public sealed unsafe class ForgedTableTests
{
    private const int HandleBytes = 12;

    [Theory]
    [MemberData(nameof(TableTests.Seeds), MemberType = typeof(TableTests))]
    public void Forged_blocks_are_refused_or_read_without_harm(int seed)
    {
        Random random = new(seed);
        SortedDictionary<byte[], byte[]> model = Entries.RandomModel(random, random.Next(1, 120));
        byte[] good = TableTests.Write(model, TableTests.RandomOptions(random), out _).Bytes;
        byte[][] keys = [.. model.Keys];
        using BlockCache cache = new(1 << 20);
        List<BlockHandle> blocks = BlocksOf(good, cache);
        int refused = 0, read = 0;
        for (int round = 0; round < 150; round++)
        {
            byte[] forged = [.. good];
            for (int i = random.Next(1, 3); i > 0; i--)
            {
                Forge(forged, blocks[random.Next(3) == 0 ? random.Next(blocks.Count) : blocks.Count - random.Next(1, 4)], random);
            }

            if (TryUse(forged, cache, keys, random))
            {
                read++;
            }
            else
            {
                refused++;
            }
        }

        Assert.True(refused > 0, $"{read} read, {refused} refused");
    }

    /// <summary>All data blocks, then filter, index and properties.</summary>
    private static List<BlockHandle> BlocksOf(byte[] bytes, BlockCache cache)
    {
        TableReader table = TableReader.Open(new MemoryFile(bytes), cache);
        List<BlockHandle> blocks = [];
        for (int i = 0; i < table.Index.Count; i++)
        {
            blocks.Add(table.Index.Block(i).Handle);
        }

        table.Release();
        for (int i = 0; i < 3; i++)
        {
            ReadOnlySpan<byte> handle = bytes.AsSpan(bytes.Length - TableFormat.FooterBytes + (i * HandleBytes));
            blocks.Add(
                new BlockHandle(BinaryPrimitives.ReadInt64LittleEndian(handle), BinaryPrimitives.ReadInt32LittleEndian(handle[8..])));
        }

        return blocks;
    }

    private static void Forge(byte[] bytes, BlockHandle block, Random random)
    {
        Span<byte> payload = bytes.AsSpan((int)block.Offset, block.Length);
        if (payload.IsEmpty)
        {
            return;
        }

        for (int i = random.Next(1, 4); i > 0; i--)
        {
            // Headers and lengths lie in front.
            int at = random.Next(random.Next(2) == 0 ? Math.Min(payload.Length, 60) : payload.Length);
            payload[at] = random.Next(4) switch { 0 => 0xFF, 1 => 0, 2 => (byte)(payload[at] + 1), _ => (byte)random.Next(256) };
        }

        byte codec = random.Next(20) == 0 ? (byte)random.Next(3) : bytes[block.Offset + block.Length];
        bytes[block.Offset + block.Length] = codec;
        BinaryPrimitives.WriteUInt32LittleEndian(
            bytes.AsSpan((int)block.Offset + block.Length + 1),
            TableFormat.Checksum(block.Offset, payload, codec));
    }

    private static bool TryUse(byte[] bytes, BlockCache cache, byte[][] keys, Random random)
    {
        bool whole = true;
        void Try(Action action)
        {
            try
            {
                action();
            }
            catch (HengeException e) when (e.Code == ErrorCode.Corruption)
            {
                whole = false;
            }
        }

        TableReader? opened = null;
        Try(() => opened = TableReader.Open(new MemoryFile(bytes), cache));
        if (opened is not { } table)
        {
            return false;
        }

        Try(table.Verify);
        Try(() => table.Dump(TextWriter.Null));
        InternalIterator iterator = table.CreateIterator(
            new TableReadOptions { FillCache = random.Next(2) == 0, Sequential = random.Next(2) == 0 });
        long most = (bytes.Length * 2L) + 100;
        Try(() =>
        {
            long steps = 0;
            for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
            {
                _ = iterator.Value.Length;
                Assert.True(InternalKey.IsWellFormed(iterator.Key) && ++steps < most);
            }
        });
        Try(() =>
        {
            long steps = 0;
            for (iterator.SeekToLast(); iterator.Valid; iterator.Prev())
            {
                Assert.True(++steps < most);
            }
        });
        foreach (byte[] key in keys)
        {
            Try(() => iterator.Seek(key));
            Try(() => iterator.SeekForPrev(key));
            Try(() =>
            {
                byte* buffer = stackalloc byte[LookupKey.BufferBytes(Entries.MaxKeyBytes)];
                LookupKey lookup = new(buffer, InternalKey.GetKeyspace(key), InternalKey.GetKey(key), Version.Max);
                if (table.TryGet(lookup, out FoundEntry found))
                {
                    Assert.InRange(found.ValueLength, 0, TableFormat.MaxBlockBytes);
                    _ = found.Span.IndexOf((byte)1);
                    found.Unpin();
                }
            });
        }

        iterator.Dispose();
        table.Release();
        return whole;
    }
}
