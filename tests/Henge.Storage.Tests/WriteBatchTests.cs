using Henge.Core;

namespace Henge.Storage.Tests;

public sealed class WriteBatchTests
{
    private sealed record Item(
        bool IsPosition,
        uint Keyspace,
        ulong Position,
        EntryKind Kind,
        Core.Version Version,
        string Key,
        long ExpiresAtMs,
        string Value,
        DataType Type = DataType.Bytes);

    [Fact]
    public void What_goes_in_comes_out()
    {
        for (int seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var batch = new WriteBatch(random.Next(1, 100));
            for (int reuse = 0; reuse < 3; reuse++)
            {
                batch.Clear();
                List<Item> items = Fill(batch, random);
                Assert.Equal(items.Count(static i => !i.IsPosition), batch.Count);
                Assert.Equal(batch.Encoded.Length, batch.ByteCount);
                Assert.Equal(items, Read(batch.Encoded, out bool damaged));
                Assert.False(damaged);
                var copy = new WriteBatch(0);
                copy.Load(batch.Encoded, batch.Count);
                Assert.Equal(items, Read(copy.Encoded, out _));
            }
        }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(EntryHeader.MaxExpiresAtMs + 1)]
    [InlineData(long.MaxValue)]
    public void A_moment_that_there_is_no_room_for_is_refused_and_takes_no_type(long expiresAtMs)
    {
        var batch = new WriteBatch();
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Put(1, "k"u8, new Core.Version(1), "v"u8, expiresAtMs));
        Assert.Equal(0, batch.Count);
    }

    [Fact]
    public void A_batch_that_was_large_goes_back_to_little_memory()
    {
        var batch = new WriteBatch();
        byte[] value = new byte[100_000];
        for (int round = 1; round <= 3; round++)
        {
            for (int i = 0; i < 40; i++)
            {
                value.AsSpan().Fill((byte)(i + round));
                batch.Put(1, BitConverter.GetBytes(i), new Core.Version((ulong)(i + 1)), value);
            }

            Assert.True(batch.CapacityBytes > 4_000_000);
            var reader = new WriteBatchReader(batch.Encoded);
            for (int i = 0; i < 40; i++)
            {
                Assert.True(reader.MoveNext());
                Assert.Equal(value.Length, reader.Value.Length);
                Assert.Equal(-1, reader.Value.IndexOfAnyExcept((byte)(i + round)));
            }

            batch.Clear();
            Assert.InRange(batch.CapacityBytes, 1, 256 * 1024);
        }
    }

    [Fact]
    public void What_is_added_may_be_read_from_the_batch_itself_while_it_grows()
    {
        var random = new Random(11);
        var batch = new WriteBatch();
        byte[] value = new byte[60_000];
        random.NextBytes(value);
        batch.Put(1, "first"u8, new Core.Version(1), value);
        for (int i = 0; i < 60; i++)
        {
            // Always the newest entry of the batch: its bytes lie in the buffer that is outgrown.
            var reader = new WriteBatchReader(batch.Encoded);
            for (int j = 0; j <= i; j++)
            {
                reader.MoveNext();
            }

            batch.Put(1, reader.Key, new Core.Version((ulong)(i + 2)), reader.Value);
        }

        var all = new WriteBatchReader(batch.Encoded);
        for (int i = 0; i <= 60; i++)
        {
            Assert.True(all.MoveNext());
            Assert.True(all.Key.SequenceEqual("first"u8));
            Assert.True(all.Value.SequenceEqual(value));
        }
    }

    [Fact]
    public void Every_cut_gives_a_beginning_and_says_when_it_is_torn()
    {
        var batch = new WriteBatch();
        List<Item> items = Fill(batch, new Random(5));
        var ends = new HashSet<int>();
        for (int cut = 0; cut <= batch.ByteCount; cut++)
        {
            List<Item> read = Read(batch.Encoded[..cut], out bool damaged);
            Assert.Equal(items.Take(read.Count), read);
            if (!damaged)
            {
                ends.Add(cut);
            }
        }

        Assert.Equal(items.Count + 1, ends.Count);
    }

    [Fact]
    public void Random_and_wounded_bytes_end_the_walk_without_harm()
    {
        var random = new Random(7);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] bytes;
            if (random.Next(2) == 0)
            {
                bytes = new byte[random.Next(60)];
                random.NextBytes(bytes);
                if (bytes.Length > 0 && random.Next(2) == 0)
                {
                    bytes[0] = (byte)random.Next(4);
                }
            }
            else
            {
                var batch = new WriteBatch();
                Fill(batch, random);
                bytes = batch.Encoded.ToArray();
                for (int wounds = random.Next(1, 4); wounds > 0 && bytes.Length > 0; wounds--)
                {
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                }
            }

            List<Item> items = Read(bytes, out _);
            Assert.True(items.Count <= bytes.Length / 13 + 1);
            Assert.All(items, static i => Assert.True(i.Version <= Core.Version.Max));
        }
    }

    private static List<Item> Fill(WriteBatch batch, Random random)
    {
        var items = new List<Item>();
        for (int i = random.Next(12); i >= 0; i--)
        {
            uint keyspace = (uint)random.NextInt64(uint.MaxValue + 1L);
            string key = new('k', random.Next(4) == 0 ? random.Next(400) : random.Next(20));
            string value = new('v', random.Next(4) == 0 ? random.Next(40_000) : random.Next(50));
            var version = new Core.Version((ulong)random.NextInt64((long)Core.Version.MaxValue + 1));
            byte[] keyBytes = System.Text.Encoding.ASCII.GetBytes(key), valueBytes = System.Text.Encoding.ASCII.GetBytes(value);
            long expiry = random.NextInt64(1, EntryHeader.MaxExpiresAtMs + 1);
            switch (random.Next(5))
            {
                case 0:
                    batch.Put(keyspace, keyBytes, version, valueBytes);
                    items.Add(new Item(false, keyspace, 0, EntryKind.Put, version, key, 0, value));
                    break;
                case 1:
                    batch.Put(keyspace, keyBytes, version, valueBytes, expiry);
                    items.Add(new Item(false, keyspace, 0, EntryKind.PutExpiring, version, key, expiry, value));
                    break;
                case 2:
                    batch.Delete(keyspace, keyBytes, version);
                    items.Add(new Item(false, keyspace, 0, EntryKind.Delete, version, key, 0, ""));
                    break;
                case 3:
                    expiry = random.Next(2) == 0 ? 0 : expiry;
                    batch.Put(keyspace, keyBytes, version, valueBytes, expiry, DataType.Hash);
                    items.Add(new Item(false, keyspace, 0, EntryKind.PutTyped, version, key, expiry, value, DataType.Hash));
                    break;
                default:
                    ulong position = (ulong)random.NextInt64();
                    batch.SetPosition(keyspace, position);
                    items.Add(new Item(true, keyspace, position, default, default, "", 0, ""));
                    break;
            }
        }

        return items;
    }

    private static List<Item> Read(ReadOnlySpan<byte> encoded, out bool damaged)
    {
        var items = new List<Item>();
        var reader = new WriteBatchReader(encoded);
        while (reader.MoveNext())
        {
            items.Add(
                reader.IsPosition
                    ? new Item(true, reader.Keyspace, reader.Position, default, default, "", 0, "")
                    : new Item(
                        false,
                        reader.Keyspace,
                        0,
                        reader.Kind,
                        reader.Version,
                        System.Text.Encoding.ASCII.GetString(reader.Key),
                        reader.ExpiresAtMs,
                        System.Text.Encoding.ASCII.GetString(reader.Value),
                        reader.Type));
        }

        damaged = reader.Damaged;
        Assert.False(reader.MoveNext());
        return items;
    }
}
