using Henge.Protocol.Messages;

namespace Henge.Protocol.Tests.Messages;

public sealed class FieldReaderTests
{
    [Fact]
    public void Random_bytes_never_make_it_leave_its_message()
    {
        Random random = new(78);
        for (int round = 0; round < 20_000; round++)
        {
            byte[] message = new byte[random.Next(30)];
            random.NextBytes(message);
            FieldReader reader = new(message);
            try
            {
                while (reader.Read())
                {
                    Assert.InRange(reader.Position, 1, message.Length);
                    Assert.InRange(reader.Tag >> WireType.Bits, 1u, 0x1FFF_FFFFu);
                }

                Assert.Equal(message.Length, reader.Position);
            }
            catch (MessageFormatException)
            {
                // As documented.
            }
        }
    }

    [Theory]
    [InlineData("0801", 1)]
    [InlineData("088100", 1)]
    [InlineData("0881808080808080808000", 1)] // Ten bytes, most of them needless.
    [InlineData("08FFFFFFFFFFFFFFFFFF01", ulong.MaxValue)]
    [InlineData("8880808000" + "01", 1)] // A tag in five bytes.
    public void A_number_may_have_more_bytes_than_it_needs(string hex, ulong expected)
    {
        FieldReader reader = new(Convert.FromHexString(hex));
        Assert.True(reader.Read());
        Assert.Equal((1u << WireType.Bits, expected), (reader.Tag, reader.Number));
        Assert.False(reader.Read());
    }

    [Theory]
    [InlineData("08")] // No value.
    [InlineData("0880")] // Cut off in it.
    [InlineData("08818080808080808080" + "8000")] // Eleven bytes.
    [InlineData("08FFFFFFFFFFFFFFFFFF02")] // More than 64 bits.
    [InlineData("00")] // Field number 0.
    [InlineData("0001")]
    [InlineData("F8FFFFFF1F" + "01")] // A tag of more than 32 bits.
    [InlineData("0A02" + "61")] // Bytes that end too early.
    [InlineData("0AFFFFFFFF0F")]
    [InlineData("0AFFFFFFFFFFFFFFFFFF01")]
    [InlineData("0900000000000000")] // Fixed numbers that end too early.
    [InlineData("0D000000")]
    [InlineData("0B0C")] // Groups.
    [InlineData("0C")]
    [InlineData("0E")] // Wire types that nobody has defined.
    [InlineData("0F")]
    public void What_is_no_message_is_refused(string hex) => Assert.Throws<MessageFormatException>(() =>
    {
        FieldReader reader = new(Convert.FromHexString(hex));
        while (reader.Read())
        {
        }
    });
}
