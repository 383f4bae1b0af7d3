using System.Text;

namespace Henge.Core.Tests;

public sealed class Crc32CTests
{
    // RFC 3720, appendix B.4, and the usual check value.
    [Fact]
    public void The_published_vectors_hold()
    {
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Compute(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794Eu, Crc32C.Compute(Enumerable.Range(0, 32).Select(static i => (byte)i).ToArray()));
        Assert.Equal(0x113FDB5Cu, Crc32C.Compute(Enumerable.Range(0, 32).Select(static i => (byte)(31 - i)).ToArray()));
        Assert.Equal(0xE3069283u, Crc32C.Compute("123456789"u8));
        Assert.Equal(0u, Crc32C.Compute([]));
        byte[] readCommand =
        [
            0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
            0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
        ];
        Assert.Equal(0xD9963A56u, Crc32C.Compute(readCommand));
    }

    [Fact]
    public void Pieces_give_the_same_as_the_whole()
    {
        var random = new Random(1);
        for (int round = 0; round < 500; round++)
        {
            byte[] data = new byte[random.Next(200)];
            random.NextBytes(data);
            uint state = Crc32C.Start;
            for (int at = 0; at < data.Length;)
            {
                int take = random.Next(1, data.Length - at + 1);
                state = Crc32C.Append(state, data.AsSpan(at, take));
                at += take;
            }

            Assert.Equal(Crc32C.Compute(data), Crc32C.Finish(state));
            Assert.Equal(BitByBit(data), Crc32C.Compute(data));
        }
    }

    [Fact]
    public void Every_single_flipped_bit_changes_it()
    {
        byte[] data = Encoding.ASCII.GetBytes("a block of some bytes, as there are many on a disk");
        uint good = Crc32C.Compute(data);
        for (int bit = 0; bit < data.Length * 8; bit++)
        {
            data[bit / 8] ^= (byte)(1 << bit % 8);
            Assert.NotEqual(good, Crc32C.Compute(data));
            data[bit / 8] ^= (byte)(1 << bit % 8);
        }
    }

    private static uint BitByBit(byte[] data)
    {
        uint crc = 0xFFFF_FFFF;
        foreach (byte b in data)
        {
            crc ^= b;
            for (int i = 0; i < 8; i++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1;
            }
        }

        return ~crc;
    }
}
