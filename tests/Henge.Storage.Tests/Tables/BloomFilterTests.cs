using System.Buffers.Binary;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Tests.Tables;

public sealed unsafe class BloomFilterTests
{
    [Theory]
    [InlineData(1, 10)]
    [InlineData(10, 10)]
    [InlineData(1000, 10)]
    [InlineData(100_000, 10)]
    [InlineData(100_000, 1)]
    [InlineData(100_000, 30)]
    public void A_key_that_was_added_is_never_denied(int keys, int bits)
    {
        byte[] filter = Build(keys, bits, out int probes);
        for (int i = 0; i < keys; i++)
        {
            Assert.True(MayContain(filter, probes, HashOf(i)));
        }
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(500_000)]
    public void Ten_bits_a_key_let_fewer_than_two_in_a_hundred_pass(int keys)
    {
        byte[] filter = Build(keys, 10, out int probes);
        int passed = 0;
        const int Asked = 200_000;
        for (int i = 0; i < Asked; i++)
        {
            passed += MayContain(filter, probes, HashOf(10_000_000 + i)) ? 1 : 0;
        }

        Assert.InRange(passed / (double)Asked, 0, 0.02);
        Assert.InRange(filter.Length, 1, (keys * 10 / 8) + 64);
    }

    private static byte[] Build(int keys, int bits, out int probes)
    {
        byte[] filter = new byte[BloomFilter.SizeFor(keys, bits)];
        probes = BloomFilter.ProbesFor(bits);
        for (int i = 0; i < keys; i++)
        {
            BloomFilter.Add(filter, probes, HashOf(i));
        }

        return filter;
    }

    private static bool MayContain(byte[] filter, int probes, ulong hash)
    {
        fixed (byte* pointer = filter)
        {
            return BloomFilter.MayContain(pointer, (uint)(filter.Length / BloomFilter.BlockBytes), probes, hash);
        }
    }

    private static ulong HashOf(int i)
    {
        Span<byte> key = stackalloc byte[12];
        key.Clear();
        BinaryPrimitives.WriteInt32BigEndian(key[8..], i);
        return BloomFilter.Hash(key);
    }
}
