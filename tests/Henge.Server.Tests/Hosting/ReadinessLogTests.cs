using Henge.Server.Hosting;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Server.Tests.Hosting;

public sealed class ReadinessLogTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly List<string?> _lines = [];

    [Fact]
    public void A_start_that_flaps_is_one_line()
    {
        ReadinessLog log = new(_time, _lines.Add);
        foreach (string? state in (string?[])["17 of 17", "9 of 17", null, "1 of 17", null, "2 of 17", null])
        {
            log.Observe(state);
            _time.Advance(TimeSpan.FromMilliseconds(250));
        }

        Assert.Empty(_lines);
        for (int i = 0; i < 20; i++)
        {
            log.Observe(null);
            _time.Advance(TimeSpan.FromMilliseconds(250));
        }

        Assert.Equal([null], _lines);
    }

    [Fact]
    public void What_lasts_longer_than_a_second_is_told_once_however_its_figures_change()
    {
        ReadinessLog log = new(_time, _lines.Add);
        for (int i = 0; i < 12; i++)
        {
            log.Observe($"{i} of 17");
            _time.Advance(TimeSpan.FromMilliseconds(250));
        }

        Assert.Equal(["4 of 17"], _lines);
    }

    [Fact]
    public void A_short_trouble_is_not_told_and_a_long_one_is_with_its_end()
    {
        ReadinessLog log = new(_time, _lines.Add);
        void Last(string? state, int looks)
        {
            for (int i = 0; i < looks; i++)
            {
                log.Observe(state);
                _time.Advance(TimeSpan.FromMilliseconds(250));
            }
        }

        Last(null, 6);
        Last("short", 3);
        Last(null, 6);
        Last("long", 6);
        Last(null, 6);
        Assert.Equal([null, "long", null], _lines);
    }
}
