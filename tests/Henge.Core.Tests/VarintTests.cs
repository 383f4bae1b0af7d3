namespace Henge.Core.Tests;

public sealed class VarintTests
{
    [Theory]
    [InlineData(0UL, "00")]
    [InlineData(1UL, "01")]
    [InlineData(127UL, "7F")]
    [InlineData(128UL, "8001")]
    [InlineData(150UL, "9601")]
    [InlineData(300UL, "AC02")]
    [InlineData(ulong.MaxValue, "FFFFFFFFFFFFFFFFFF01")]
    public void Numbers_are_written_as_protocol_buffers_writes_them(ulong value, string hex)
    {
        byte[] buffer = new byte[Varint.MaxBytes];
        int size = Varint.Write(buffer, value);
        Assert.Equal(hex, Convert.ToHexString(buffer, 0, size));
        Assert.Equal(size, Varint.Size(value));
        Assert.True(Varint.TryRead(buffer, out ulong read, out int bytes));
        Assert.Equal((value, size), (read, bytes));
    }

    [Fact]
    public void Every_number_comes_back_and_every_cut_is_noticed()
    {
        var random = new Random(1);
        byte[] buffer = new byte[Varint.MaxBytes];
        for (int i = 0; i < 10_000; i++)
        {
            ulong value = (ulong)random.NextInt64() << random.Next(2) >> random.Next(64);
            int size = Varint.Write(buffer, value);
            Assert.Equal(size, Varint.Size(value));
            Assert.True(Varint.TryRead(buffer.AsSpan(0, size), out ulong read, out int bytes));
            Assert.Equal((value, size), (read, bytes));
            for (int cut = 0; cut < size; cut++)
            {
                Assert.False(Varint.TryRead(buffer.AsSpan(0, cut), out _, out _));
            }
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("80")]
    [InlineData("FFFFFFFFFFFFFFFFFF02")]
    [InlineData("FFFFFFFFFFFFFFFFFF81")]
    [InlineData("8080808080808080808001")]
    public void Too_short_and_too_large_numbers_are_refused(string hex) =>
        Assert.False(Varint.TryRead(Convert.FromHexString(hex), out _, out _));
}
