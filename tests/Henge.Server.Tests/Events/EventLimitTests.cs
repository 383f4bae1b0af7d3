using Henge.Core;
using Henge.Server.Events;
using Henge.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Server.Tests.Events;

/// <summary>Events of which there is one for each shard, when hundreds of shards have one at once.</summary>
public sealed class EventLimitTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly StringWriter _written = new();

    public void Dispose() => _written.Dispose();

    [Fact]
    public void The_first_leaders_of_a_mass_election_are_named_and_the_others_counted()
    {
        using ServerLogging logging = new(_written, new LogOptions { Level = LogLevel.Information });
        using NodeEventLog log = new(logging, _time);
        for (uint s = 0; s < 1_024; s++)
        {
            log.LeadershipGained(new ShardId(s), new Term(2));
        }

        Assert.Equal(NodeEventLog.MostNamed, Lines("[1101]").Length);
        Assert.Contains("leads shard s0 in", Lines("[1101]")[0], StringComparison.Ordinal);
        Assert.Empty(Lines("[1109]"));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Contains($"leads {1_024 - NodeEventLog.MostNamed} more shards", Assert.Single(Lines("[1109]")), StringComparison.Ordinal);

        // Afterwards each is named again, and nothing is told twice.
        log.LeadershipGained(new ShardId(7), new Term(3));
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(NodeEventLog.MostNamed + 1, Lines("[1101]").Length);
        Assert.Single(Lines("[1109]"));
    }

    [Fact]
    public void Leaders_that_are_lost_are_counted_apart_and_told_at_the_end_of_the_log_at_the_latest()
    {
        using ServerLogging logging = new(_written, new LogOptions { Level = LogLevel.Information });
        using (NodeEventLog log = new(logging, _time))
        {
            for (uint s = 0; s < NodeEventLog.MostNamed + 5; s++)
            {
                log.LeadershipLost(new ShardId(s), new Term(2), "node2");
            }

            log.LeadershipGained(new ShardId(1), new Term(3));
            Assert.Single(Lines("[1101]"));
            Assert.Empty(Lines("[1110]"));
        }

        Assert.Equal(NodeEventLog.MostNamed, Lines("[1102]").Length);
        Assert.Contains("leads 5 more shards no longer", Assert.Single(Lines("[1110]")), StringComparison.Ordinal);
        Assert.Empty(Lines("[1109]"));
    }

    [Fact]
    public void Few_events_are_never_counted()
    {
        List<int> rests = [];
        using EventLimit limit = new(_time, 3, TimeSpan.FromSeconds(1), rests.Add);
        for (int i = 0; i < 30; i++)
        {
            Assert.True(limit.IsLogged());
            _time.Advance(TimeSpan.FromMilliseconds(400));
        }

        Assert.Empty(rests);
    }

    private string[] Lines(string id) =>
        [.. _written.ToString().Split('\n').Where(l => l.Contains(id, StringComparison.Ordinal))];
}
