using System.IO.Compression;

namespace Henge.Protocol.Tests;

/// <summary>A packed message is whole, or it is an error.</summary>
public sealed class GzipMemberTests
{
    private static byte[] Pack(byte[] plain, CompressionLevel level = CompressionLevel.Optimal)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, level, leaveOpen: true))
        {
            gzip.Write(plain);
        }

        return packed.ToArray();
    }

    private static readonly byte[] EmptyMember = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    private static byte[] Plain(int length)
    {
        byte[] plain = new byte[length];
        new Random(length).NextBytes(plain.AsSpan(0, length / 2));
        return plain;
    }

    public static TheoryData<int, CompressionLevel> Sizes()
    {
        TheoryData<int, CompressionLevel> data = [];
        foreach (int size in (int[])[0, 1, 2, 100, 5000, 8191, 8192, 8193, 200_000])
        {
            data.Add(size, CompressionLevel.Optimal);
            data.Add(size, CompressionLevel.Fastest);
            data.Add(size, CompressionLevel.NoCompression);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void A_whole_member_comes_out_as_it_was(int size, CompressionLevel level)
    {
        // The framework writes nothing at all for nothing.
        byte[] packed = size == 0 ? EmptyMember : Pack(Plain(size), level);
        Assert.Equal(Plain(size), GzipMember.Inflate(packed, size));
        if (size > 0)
        {
            Assert.Null(GzipMember.Inflate(packed, size - 1));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(300)]
    [InlineData(20_000)]
    public void What_is_cut_off_anywhere_is_an_error(int size)
    {
        byte[] packed = Pack(Plain(size));
        for (int length = 0; length < packed.Length; length += length > 40 && length < packed.Length - 40 ? 97 : 1)
        {
            Assert.Throws<InvalidDataException>(() => GzipMember.Inflate(packed.AsMemory(0, length), size));
        }
    }

    [Fact]
    public void Anything_behind_the_end_is_an_error()
    {
        byte[] plain = Plain(3000), packed = Pack(plain);
        Assert.Throws<InvalidDataException>(() => GzipMember.Inflate((byte[])[.. packed, 0], 1 << 20));
        Assert.Throws<InvalidDataException>(() => GzipMember.Inflate((byte[])[.. packed, .. "junk"u8], 1 << 20));

        // Even if it ends with a trailer that would fit, and if it is a second member, which gzip files may have.
        Assert.Throws<InvalidDataException>(() => GzipMember.Inflate((byte[])[.. packed, .. "junk"u8, .. packed[^8..]], 1 << 20));
        Assert.Throws<InvalidDataException>(() => GzipMember.Inflate((byte[])[.. packed, .. packed], 1 << 20));
        Assert.Throws<InvalidDataException>(() => GzipMember.Inflate((byte[])[.. packed, .. EmptyMember], 1 << 20));
    }

    [Fact]
    public void A_changed_byte_is_never_taken_for_the_message()
    {
        byte[] plain = Plain(500), packed = Pack(plain);
        for (int i = 0; i < packed.Length; i++)
        {
            byte[] damaged = [.. packed];
            damaged[i] ^= 0x55;
            byte[]? taken = null;
            try
            {
                taken = GzipMember.Inflate(damaged, 1 << 20);
            }
            catch (InvalidDataException)
            {
            }

            // Time, system and the like are of no matter (bytes 4 to 9).
            Assert.Equal(i is >= 4 and < 10 ? plain : null, taken);
        }
    }

    [Fact]
    public void Fields_of_the_header_are_passed_over_and_its_checksum_is_kept()
    {
        byte[] plain = Plain(50), packed = Pack(plain);
        byte[] body = packed[10..];
        byte[] head = [0x1F, 0x8B, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3, 2, 0, 9, 9, (byte)'n', 0, (byte)'c', 0];
        ushort sum = (ushort)System.IO.Hashing.Crc32.HashToUInt32(head);
        Assert.Equal(plain, GzipMember.Inflate((byte[])[.. head, (byte)sum, (byte)(sum >> 8), .. body], 50));
        Assert.Throws<InvalidDataException>(() => GzipMember.Inflate((byte[])[.. head, (byte)(sum + 1), (byte)(sum >> 8), .. body], 50));
        Assert.Throws<InvalidDataException>(() => GzipMember.Inflate((byte[])[0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 0, 3, 255, 255, .. body], 50));
        Assert.Throws<InvalidDataException>(() => GzipMember.Inflate((byte[])[0x1F, 0x8B, 8, 0x20, 0, 0, 0, 0, 0, 3, .. body], 50));
    }
}
