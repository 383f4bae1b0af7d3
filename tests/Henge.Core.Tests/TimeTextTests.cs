using Henge.Core;

namespace Henge.Core.Tests;

public sealed class TimeTextTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 20, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("0", 0)]
    [InlineData("250ms", 250)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("2W", 1_209_600_000)]
    [InlineData("3600", 3_600_000)]
    [InlineData("1.5S", 1500)]
    [InlineData(".5s", 500)]
    [InlineData("10675199d", 922_337_193_600_000)]
    public void A_length_of_time_is_a_number_with_a_unit(string text, long ms)
    {
        Assert.True(TimeText.TryParseDuration(text, out TimeSpan duration));
        Assert.Equal(ms, (long)duration.TotalMilliseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("ms")]
    [InlineData("1.2.3s")]
    [InlineData("-5m")]
    [InlineData("+5m")]
    [InlineData("5 m")]
    [InlineData("5m3")]
    [InlineData("5x")]
    [InlineData("5mss")]
    [InlineData("1e9s")]
    [InlineData("NaN")]
    [InlineData("NaNs")]
    [InlineData("Infinity")]
    [InlineData("∞s")]
    [InlineData("٥s")]
    [InlineData("10675200d")]
    [InlineData("99999999999999999999999999d")]
    public void Anything_else_is_none(string text) => Assert.False(TimeText.TryParseDuration(text, out _));

    [Theory]
    [InlineData("now", "2026-11-20T12:00:00Z")]
    [InlineData("5m", "2026-11-20T11:55:00Z")]
    [InlineData("5m-ago", "2026-11-20T11:55:00Z")]
    [InlineData("0s", "2026-11-20T12:00:00Z")]
    [InlineData("900000d", "1970-01-01T00:00:00Z")]
    [InlineData("@0", "1970-01-01T00:00:00Z")]
    [InlineData("@1763632800.5", "2025-11-20T10:00:00.500Z")]
    [InlineData("2024-01-01", "2024-01-01T00:00:00Z")]
    [InlineData("2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00Z")]
    public void A_moment_is_how_long_ago_or_a_date(string text, string expected)
    {
        Assert.True(TimeText.TryParseMoment(text, Now, local: false, out DateTimeOffset moment));
        Assert.Equal(DateTimeOffset.Parse(expected, System.Globalization.CultureInfo.InvariantCulture), moment);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("@")]
    [InlineData("@-1")]
    [InlineData("@NaN")]
    [InlineData("@1e400")]
    [InlineData("@99999999999999999999")]
    [InlineData("NaN")]
    [InlineData("Infinity")]
    [InlineData("-5m")]
    [InlineData("-ago")]
    [InlineData("2026-11-20-ago")]
    [InlineData("yesterday")]
    [InlineData("10:00")]
    public void Anything_else_is_no_moment(string text) => Assert.False(TimeText.TryParseMoment(text, Now, local: false, out _));
}
