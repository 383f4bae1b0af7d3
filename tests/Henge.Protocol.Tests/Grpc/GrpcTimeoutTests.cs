using Henge.Protocol.Grpc;

namespace Henge.Protocol.Tests.Grpc;

public sealed class GrpcTimeoutTests
{
    [Theory]
    [InlineData("1H", 3_600_000)]
    [InlineData("2M", 120_000)]
    [InlineData("3S", 3000)]
    [InlineData("4m", 4)]
    [InlineData("1u", 1)]
    [InlineData("1n", 1)]
    [InlineData("0m", 0)]
    [InlineData("99999999H", 86_400_000_000)]
    public void Timeouts_are_read(string text, long expectedMs)
    {
        Assert.True(GrpcTimeout.TryParse(text, out long timeoutMs));
        Assert.Equal(expectedMs, timeoutMs);
    }

    [Fact]
    public void A_timeout_that_was_written_is_read_back_never_shorter()
    {
        Random random = new(80);
        for (int round = 0; round < 5000; round++)
        {
            TimeSpan timeout = TimeSpan.FromTicks(random.NextInt64(1, 1L << random.Next(1, 49)));
            string text = GrpcTimeout.Format(timeout);
            Assert.InRange(text.Length, 2, 9);
            Assert.True(GrpcTimeout.TryParse(text, out long timeoutMs), text);
            Assert.True(timeoutMs >= timeout.TotalMilliseconds, $"{timeout} became {text}");
        }
    }
}
