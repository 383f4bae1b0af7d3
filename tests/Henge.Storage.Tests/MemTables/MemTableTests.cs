using System.Buffers.Binary;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;
using Version = Henge.Core.Version;

namespace Henge.Storage.Tests.MemTables;

public sealed unsafe class MemTableTests
{
    [Fact]
    public void Keys_of_different_lengths_order_as_bytes_do()
    {
        byte[][] keys =
        [
            [],
            [0],
            [0, 0],
            [0, 1],
            [1],
            "a"u8.ToArray(),
            "ab"u8.ToArray(),
            "ab\0"u8.ToArray(),
            "abc"u8.ToArray(),
            "b"u8.ToArray(),
            [255],
            [255, 255],
        ];
        for (int i = 0; i < keys.Length; i++)
        {
            for (int j = 0; j < keys.Length; j++)
            {
                Assert.Equal(i == j ? 1 : i.CompareTo(j), Math.Sign(InternalKey.Compare(Key(7, keys[i], 3), Key(7, keys[j], 99))));
            }
        }

        Assert.True(InternalKey.Compare(Key(1, [255], 1), Key(2, [0], 1)) < 0);
        Assert.True(InternalKey.Compare(Key(1, [1], 9), Key(1, [1], 8)) < 0);
        Assert.True(InternalKey.Compare(Key(1, [1], 9, EntryKind.Delete), Key(1, [1], 9, EntryKind.Put)) < 0);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(4, false)]
    [InlineData(5, true)]
    [InlineData(6, true)]
    [InlineData(7, true)]
    [InlineData(8, true)]
    public void A_memtable_agrees_with_a_sorted_dictionary(int seed, bool inGroups)
    {
        MemTableGroup group = default;
        Random random = new(seed);
        SortedDictionary<byte[], byte[]> model = new(Entries.Order);
        MemTable table = new(random.Next(1, 4) * 20_000);
        for (int i = 0; i < 3000; i++)
        {
            EntryKind kind = (EntryKind)random.Next(3);
            byte[] key = Entries.RandomKey(random);
            uint keyspace = (uint)random.Next(3);
            Version version = new((ulong)random.Next(1, 40));
            byte[] value = kind == EntryKind.Delete ? [] : Entries.RandomBytes(random, random.Next(random.Next(200) == 0 ? 20_000 : 30));
            byte[] internalKey = Key(keyspace, key, version.Value, kind);
            model.TryAdd(internalKey, Entries.Stored(kind, value, 77));
            if (inGroups)
            {
                table.Add(ref group, kind, keyspace, key, version, value, 77);
                if (!group.IsFull && random.Next(6) != 0 && i < 2999)
                {
                    continue;
                }

                table.AddGroup(&group);
            }
            else
            {
                table.Add(kind, keyspace, key, version, value, 77);
            }

            Assert.Equal(model.Count, table.EntryCount);
        }

        byte[][] keys = [.. model.Keys];
        Assert.Equal(keys.Min(k => InternalKey.GetVersion(k).Value), table.MinVersion.Value);
        Assert.Equal(keys.Max(k => InternalKey.GetVersion(k).Value), table.MaxVersion.Value);
        using (InternalIterator iterator = table.CreateIterator())
        {
            Entries.CheckWalks(iterator, model, random);
        }

        byte* buffer = stackalloc byte[LookupKey.BufferBytes(Entries.MaxKeyBytes)];
        for (int i = 0; i < 3000; i++)
        {
            byte[] key = Entries.RandomKey(random);
            uint keyspace = (uint)random.Next(3);
            Version at = new((ulong)random.Next(0, 42));
            LookupKey lookup = new(buffer, keyspace, key, at);
            Entries.CheckFound(table.TryGet(lookup, out FoundEntry found), found, model, keys, keyspace, key, at);
        }

        table.Release();
    }

    [Fact]
    public void Adding_an_entry_twice_keeps_the_first()
    {
        MemTable table = new(100_000);
        table.Add(EntryKind.Put, 1, "k"u8, new Version(5), "first"u8);
        table.Add(EntryKind.Put, 1, "k"u8, new Version(5), "second"u8);
        Assert.Equal(1, table.EntryCount);
        using InternalIterator iterator = table.CreateIterator();
        iterator.SeekToFirst();
        Assert.True(iterator.Value.SequenceEqual("first"u8));
        iterator.Next();
        Assert.False(iterator.Valid);
        table.Release();
    }

    [Fact]
    public void A_memtable_holds_more_than_its_capacity_and_values_of_megabytes()
    {
        MemTable table = new(64 << 10);
        byte[] value = new byte[5 << 20];
        for (int i = 0; i < 20; i++)
        {
            value.AsSpan().Fill((byte)i);
            table.Add(EntryKind.Put, 0, [(byte)i], new Version(1), value);
        }

        Assert.InRange(table.ApproximateBytes, 20L * value.Length, 21L * value.Length);
        byte* buffer = stackalloc byte[LookupKey.BufferBytes(1)];
        for (int i = 0; i < 20; i++)
        {
            LookupKey lookup = new(buffer, 0, [(byte)i], Version.Max);
            Assert.True(table.TryGet(lookup, out FoundEntry found));
            Assert.Equal(value.Length, found.ValueLength);
            Assert.False(found.Span.ContainsAnyExcept((byte)i));
            found.Unpin();
        }

        table.Release();
    }

    [Fact]
    public void Sequential_keys_both_ways_are_all_there()
    {
        MemTable table = new(1 << 20);
        byte[] key = new byte[8];
        for (int i = 0; i < 10_000; i++)
        {
            BinaryPrimitives.WriteInt64BigEndian(key, 1_000_000 + i);
            table.Add(EntryKind.Put, 1, key, new Version(1), key);
            BinaryPrimitives.WriteInt64BigEndian(key, 1_000_000 - i);
            table.Add(EntryKind.Put, 2, key, new Version(1), key);
        }

        using InternalIterator iterator = table.CreateIterator();
        int count = 0;
        byte[] last = [];
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next(), count++)
        {
            Assert.True(count == 0 || InternalKey.Compare(last, iterator.Key) < 0);
            Assert.True(InternalKey.GetKey(iterator.Key).SequenceEqual(iterator.Value));
            last = iterator.Key.ToArray();
        }

        Assert.Equal(20_000, count);
        table.Release();
    }

    [Fact]
    public void A_reference_can_be_had_only_while_one_is_left()
    {
        MemTable table = new(1000);
        Assert.True(table.TryRetain());
        table.Release();
        table.Release();
        Assert.False(table.TryRetain());
    }

    internal static byte[] Key(uint keyspace, ReadOnlySpan<byte> key, ulong version, EntryKind kind = EntryKind.Put)
    {
        byte[] bytes = new byte[InternalKey.Size(key.Length)];
        InternalKey.Write(bytes, keyspace, key, new Version(version), kind);
        return bytes;
    }
}
