using System.Buffers.Binary;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Keys;
using Version = Henge.Core.Version;

namespace Henge.Storage.Tests;

/// <summary>Random entries, and a sorted dictionary of internal keys as the model that memtables and tables are held against.</summary>
internal static unsafe class Entries
{
    public const int MaxKeyBytes = 400;

    public static readonly IComparer<byte[]> Order = Comparer<byte[]>.Create(static (a, b) => Reference(a, b));

    /// <summary>The order, written in the plainest way, apart from the code under test.</summary>
    private static int Reference(byte[] a, byte[] b)
    {
        for (int i = 0; i < Math.Min(a.Length, b.Length) - 9; i++)
        {
            if (a[i] != b[i])
            {
                return a[i] - b[i];
            }
        }

        if (a.Length != b.Length)
        {
            return a.Length - b.Length;
        }

        for (int i = a.Length - 9; i < a.Length; i++)
        {
            if (a[i] != b[i])
            {
                return a[i] - b[i];
            }
        }

        return 0;
    }

    public static byte[] RandomBytes(Random random, int length)
    {
        byte[] bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Keys that collide often, share prefixes, hold zeros and 0xFF, and are sometimes long.</summary>
    public static byte[] RandomKey(Random random)
    {
        int length = random.Next(30) == 0 ? random.Next(MaxKeyBytes) : random.Next(random.Next(2) == 0 ? 4 : 14);
        byte[] key = new byte[length];
        for (int i = 0; i < length; i++)
        {
            // Long keys mostly begin alike, over hundreds of bytes.
            bool alike = length > 14 && i < 270 && random.Next(1000) != 0;
            key[i] = alike ? (byte)'a' : random.Next(5) switch { 0 => (byte)0, 1 => (byte)255, 2 => (byte)'b', _ => (byte)'a' };
        }

        return key;
    }

    /// <summary>A value as it is stored: with its expiry before it when it has one.</summary>
    public static byte[] Stored(EntryKind kind, byte[] value, long expiresAtMs)
    {
        if (kind != EntryKind.PutExpiring)
        {
            return value;
        }

        byte[] stored = new byte[value.Length + 8];
        BinaryPrimitives.WriteInt64LittleEndian(stored, expiresAtMs);
        value.CopyTo(stored, 8);
        return stored;
    }

    public static SortedDictionary<byte[], byte[]> RandomModel(Random random, int entries, int maxValueBytes = 40)
    {
        SortedDictionary<byte[], byte[]> model = new(Order);
        for (int i = 0; i < entries; i++)
        {
            byte[] key = RandomKey(random);
            byte[] internalKey = new byte[InternalKey.Size(key.Length)];
            EntryKind kind = (EntryKind)random.Next(3);
            ulong version = random.Next(10) == 0 ? (ulong)random.NextInt64((long)Version.MaxValue) : (ulong)random.Next(1, 40);
            InternalKey.Write(internalKey, (uint)random.Next(3), key, new Version(version), kind);
            byte[] value = kind == EntryKind.Delete ? [] : RandomBytes(random, random.Next(maxValueBytes));
            model[internalKey] = Stored(kind, value, random.NextInt64(1_000_000));
        }

        return model;
    }

    /// <summary>Walks an iterator every way and compares each step with the model.</summary>
    public static void CheckWalks(InternalIterator iterator, SortedDictionary<byte[], byte[]> model, Random random, int seeks = 200)
    {
        KeyValuePair<byte[], byte[]>[] entries = [.. model];
        int at = 0;
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            CheckAt(iterator, entries, at++);
        }

        Assert.Equal(entries.Length, at);
        for (iterator.SeekToLast(); iterator.Valid; iterator.Prev())
        {
            CheckAt(iterator, entries, --at);
        }

        Assert.Equal(0, at);
        byte[][] keys = [.. model.Keys];
        for (int i = 0; i < seeks; i++)
        {
            byte[] target = new byte[InternalKey.Size(MaxKeyBytes)];
            byte[] key = RandomKey(random);
            int length = InternalKey.Write(
                target,
                (uint)random.Next(4),
                key,
                new Version((ulong)random.Next(42)),
                (EntryKind)random.Next(3));
            target = random.Next(3) == 0 && keys.Length > 0 ? keys[random.Next(keys.Length)] : target[..length];
            int found = Array.BinarySearch(keys, target, Order);
            bool forward = random.Next(2) == 0;
            if (forward)
            {
                iterator.Seek(target);
                at = found >= 0 ? found : ~found;
            }
            else
            {
                iterator.SeekForPrev(target);
                at = found >= 0 ? found : ~found - 1;
            }

            for (int step = random.Next(60); step >= 0; step--)
            {
                CheckAt(iterator, entries, at);
                if (!iterator.Valid)
                {
                    break;
                }

                if (random.Next(4) == 0 ? !forward : forward)
                {
                    iterator.Next();
                    at++;
                }
                else
                {
                    iterator.Prev();
                    at--;
                }
            }
        }
    }

    private static void CheckAt(InternalIterator iterator, KeyValuePair<byte[], byte[]>[] entries, int at)
    {
        Assert.Equal(at >= 0 && at < entries.Length, iterator.Valid);
        if (iterator.Valid)
        {
            Assert.True(
                iterator.Key.SequenceEqual(entries[at].Key),
                $"key at {at}: {InternalKey.Describe(iterator.Key)}, not {InternalKey.Describe(entries[at].Key)}");
            Assert.True(iterator.Value.SequenceEqual(entries[at].Value), $"value at {at}");
        }
    }

    /// <summary>Compares what a point read found with the model, and lets go of it.</summary>
    public static void CheckFound(
        bool wasFound,
        in FoundEntry found,
        SortedDictionary<byte[], byte[]> model,
        byte[][] keys,
        uint keyspace,
        ReadOnlySpan<byte> key,
        Version at)
    {
        byte[] target = new byte[InternalKey.Size(key.Length)];
        InternalKey.Write(target, keyspace, key, at, 0);
        int index = Array.BinarySearch(keys, target, Order);
        index = index < 0 ? ~index : index;
        KeyValuePair<byte[], byte[]>? expected = index < keys.Length && InternalKey.SamePrefix(keys[index], target)
            ? new(keys[index], model[keys[index]])
            : null;
        Assert.Equal(expected is not null, wasFound);
        if (expected is { } entry)
        {
            EntryKind kind = InternalKey.GetKind(entry.Key);
            Assert.Equal(kind, found.Kind);
            Assert.Equal(InternalKey.GetVersion(entry.Key), found.Version);
            bool expiring = kind == EntryKind.PutExpiring;
            Assert.Equal(expiring ? BinaryPrimitives.ReadInt64LittleEndian(entry.Value) : 0, found.ExpiresAtMs);
            Assert.True(found.Span.SequenceEqual(entry.Value.AsSpan(expiring ? 8 : 0)));
            found.Unpin();
        }
    }
}
