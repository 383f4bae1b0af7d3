using System.Buffers;

namespace Henge.Core.Tests;

public sealed class SpanReaderTests
{
    [Fact]
    public void What_is_written_is_read_again()
    {
        byte[] bytes = new byte[64];
        SpanWriter writer = new(bytes);
        writer.WriteByte(7);
        writer.WriteVarint(300);
        writer.WriteBytes("key"u8);
        writer.WriteUInt64(ulong.MaxValue - 1);
        writer.WriteUInt32(0x04030201);
        writer.WriteRaw("end"u8);

        SpanReader tried = new(bytes.AsSpan(0, writer.Written));
        Assert.True(tried.TryReadByte(out byte first) && first == 7);
        Assert.True(tried.TryReadVarint(out ulong number) && number == 300);
        Assert.True(tried.TryReadBytes(out ReadOnlySpan<byte> key) && key.SequenceEqual("key"u8));
        Assert.True(tried.TryReadUInt64(out ulong fixedNumber) && fixedNumber == ulong.MaxValue - 1);
        Assert.True(tried.Rest.SequenceEqual("\u0001\u0002\u0003\u0004end"u8));

        SpanReader read = new(bytes.AsSpan(0, writer.Written));
        Assert.Equal(7, read.ReadByte());
        Assert.Equal(300u, read.ReadVarint(300));
        Assert.True(read.ReadBytes().SequenceEqual("key"u8));
        read.ReadRaw(12);
        Assert.True(read.ReadRaw(3).SequenceEqual("end"u8));
        Assert.True(read.IsEmpty && !read.Failed);
    }

    [Fact]
    public void A_buffer_that_grows_gets_the_same_bytes()
    {
        byte[] bytes = new byte[64];
        SpanWriter writer = new(bytes);
        ArrayBufferWriter<byte> grown = new();
        writer.WriteByte(9);
        grown.WriteByte(9);
        writer.WriteVarint(1 << 20);
        grown.WriteVarint(1 << 20);
        writer.WriteBytes("value"u8);
        grown.WriteBytes("value"u8);
        Assert.Equal(bytes.AsSpan(0, writer.Written).ToArray(), grown.WrittenSpan.ToArray());
    }

    [Theory]
    [InlineData("")]
    [InlineData("80")]
    [InlineData("FFFFFFFFFFFFFFFFFF02")]
    public void A_number_that_is_none_is_not_taken(string hex)
    {
        byte[] bytes = Convert.FromHexString(hex);
        SpanReader tried = new(bytes);
        Assert.False(tried.TryReadVarint(out _));
        Assert.False(tried.TryReadBytes(out _));
        Assert.Equal(bytes.Length, tried.Rest.Length);

        SpanReader read = new(bytes);
        Assert.Equal(0u, read.ReadVarint());
        Assert.True(read.Failed && read.IsEmpty);
    }

    [Fact]
    public void Nothing_is_read_after_a_failure_or_outside()
    {
        SpanReader reader = new([5, 1, 2, 3]);
        Assert.False(reader.TryReadBytes(out _));
        Assert.False(reader.TryReadUInt64(out _));
        Assert.True(reader.ReadBytes().IsEmpty);
        Assert.True(reader.Failed);
        Assert.Equal(0, reader.ReadByte());
        Assert.Equal(0u, reader.ReadVarint());
        Assert.True(reader.ReadRaw(0).IsEmpty);

        SpanReader tooLarge = new([200, 1]);
        Assert.Equal(0u, tooLarge.ReadVarint(199));
        Assert.True(tooLarge.Failed);

        SpanReader tooMany = new([1, 2]);
        Assert.True(tooMany.ReadRaw(3).IsEmpty);
        Assert.True(tooMany.Failed);
    }
}
