using Henge.Cli;
using Henge.Cli.Commands;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Cli.Parsing;

namespace Henge.Client.Tests.Cli;

public sealed class ParsingTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 20, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("250ms", 250)]
    [InlineData("30s", 30_000)]
    [InlineData("5m", 300_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("7d", 604_800_000)]
    [InlineData("2w", 1_209_600_000)]
    [InlineData("90", 90_000)]
    [InlineData("1.5s", 1500)]
    [InlineData("0.5", 500)]
    public void Lengths_of_time_have_units(string text, long ms) => Assert.Equal(ms, (long)Durations.Parse(text).TotalMilliseconds);

    [Theory]
    [InlineData("")]
    [InlineData("m")]
    [InlineData("5x")]
    [InlineData("5m3")]
    [InlineData("-5m")]
    [InlineData("5 m")]
    [InlineData("1e9s")]
    [InlineData("99999999999999999d")]
    public void What_is_no_length_of_time_is_refused(string text) => Assert.Throws<UsageException>(() => Durations.Parse(text));

    [Theory]
    [InlineData("5m", "2026-11-20T11:55:00Z")]
    [InlineData("5m-ago", "2026-11-20T11:55:00Z")]
    [InlineData("1d", "2026-11-19T12:00:00Z")]
    [InlineData("now", "2026-11-20T12:00:00Z")]
    [InlineData("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z")]
    [InlineData("2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00Z")]
    [InlineData("@1763632800", "2025-11-20T10:00:00Z")]
    public void Moments_are_read_as_people_write_them(string text, string expected) =>
        Assert.Equal(DateTimeOffset.Parse(expected), Durations.ParseMoment(text, Now));

    [Theory]
    [InlineData("")]
    [InlineData("yesterday")]
    [InlineData("@x")]
    [InlineData("5")]
    [InlineData("@99999999999999999999")]
    public void What_is_no_moment_is_refused(string text) => Assert.Throws<UsageException>(() => Durations.ParseMoment(text, Now));

    [Theory]
    [InlineData(
        "Cannot parse argument 'x' for option '--limit' as expected type 'System.Int64'.",
        "Cannot parse argument 'x' for option '--limit': it must be a whole number.")]
    [InlineData(
        "Cannot parse argument 'x' as expected type 'System.Nullable`1[System.UInt64]'. Did you mean y?",
        "Cannot parse argument 'x': it must be a whole number, not negative.")]
    [InlineData("Required argument missing.", "Required argument missing.")]
    public void Messages_have_no_names_of_types(string message, string plain) => Assert.Equal(plain, ParseMessage.Plain(message));

    [Fact]
    public void A_comparison_may_have_brackets_in_its_key()
    {
        Compare compare = TxnSyntax.ParseCompare("value(f(x)) = a) = b", ByteEncoding.Text);

        Assert.Equal("f(x)"u8.ToArray(), compare.Key.ToArray());
        Assert.Equal("a) = b"u8.ToArray(), compare.ValueTarget!.Value.ToArray());
    }

    [Fact]
    public void A_key_with_spaces_stands_in_quotes()
    {
        TransactionOperation put = TxnSyntax.ParseOperation("put \"a \\\"b\" c  d", ByteEncoding.Text);

        Assert.Equal("a \"b"u8.ToArray(), put.Key.ToArray());
        Assert.Equal("c  d"u8.ToArray(), put.Value.ToArray());
    }
}
