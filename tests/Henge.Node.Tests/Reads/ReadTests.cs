using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Tests.StateMachine;
using Henge.Node.Tests.Watch;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Reads;

public sealed class ReadTests : IScanReceiver, IDisposable
{
    private readonly LsmEngine _engine = WatchPropertyTests.TinyLsm(new SimulatedFileSystem());
    private readonly ShardedHarness _h;
    private readonly List<(string Key, string Value, Core.Version Version, EntryKind Kind)> _items = [];

    public ReadTests() => _h = new ShardedHarness(5, engine: _engine);

    public void Dispose() => _engine.Dispose();

    void IScanReceiver.OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs) =>
        _items.Add((MachineHarness.Text(key), MachineHarness.Text(value), version, kind));

    private List<string> Scan(ScanQuery query, out int pages)
    {
        var all = new List<string>();
        pages = 0;
        while (true)
        {
            _items.Clear();
            ScanEnd end = _h.Reads.Scan(query, this);
            pages++;
            Assert.Equal(_items.Count, end.Items);
            Assert.InRange(end.Items, 0, query.LimitItems);
            long bytes = _items.Sum(static i => (long)i.Key.Length + i.Value.Length);
            Assert.True(bytes <= query.LimitBytes || end.Items == 1);
            all.AddRange(_items.Select(static i => $"{i.Key}={i.Value}@{i.Version}"));
            Assert.Equal(end.More, end.NextKey is not null);
            if (!end.More)
            {
                return all;
            }

            Assert.True(end.Items > 0);
            query = query.Reverse ? query with { Upper = end.NextKey } : query with { Lower = end.NextKey };
        }
    }

    [Fact]
    public void Scans_are_the_models_at_every_version_both_ways_and_in_pages()
    {
        var random = new Random(5);
        var versions = new List<(Core.Version Version, SortedDictionary<string, string> State)>();
        var model = new Dictionary<string, (string Text, long ExpiresAtMs)>();
        for (int i = 0; i < 1500; i++)
        {
            _h.NowMs += random.Next(20);
            string key = "key" + random.Next(300).ToString("D3", CultureInfo.InvariantCulture);
            if (random.Next(4) == 0)
            {
                _h.Delete(key);
                model.Remove(key);
            }
            else
            {
                long ttl = random.Next(5) == 0 ? random.Next(1, 3000) : 0;
                string value = new string('v', random.Next(0, 30)) + i;
                Core.Version at = _h.Put(key, value, new PutOptions { Expiry = ttl == 0 ? Expiry.Never : Expiry.After(ttl) });
                model[key] = ($"{value}@{at}", ttl == 0 ? 0 : at.Milliseconds + ttl);
            }

            if (i % 100 == 99)
            {
                Core.Version version = _h.Advance();
                versions.Add(
                    (
                        version,
                        new(
                            model
                                .Where(p => p.Value.ExpiresAtMs == 0 || p.Value.ExpiresAtMs > version.Milliseconds)
                                .ToDictionary(static p => p.Key, static p => p.Value.Text),
                            StringComparer.Ordinal)));
            }
        }

        foreach ((Core.Version version, SortedDictionary<string, string> state) in versions)
        {
            for (int n = 0; n < 20; n++)
            {
                string lower = random.Next(3) == 0 ? "" : "key" + random.Next(300).ToString("D3", CultureInfo.InvariantCulture);
                string upper = random.Next(3) == 0 ? "" : "key" + random.Next(300).ToString("D3", CultureInfo.InvariantCulture);
                bool reverse = random.Next(2) == 0;
                IEnumerable<string> expected = state
                    .Where(p => string.CompareOrdinal(p.Key, lower) >= 0 && (upper.Length == 0 || string.CompareOrdinal(p.Key, upper) < 0))
                    .Select(static p => $"{p.Key}={p.Value}");
                var query = new ScanQuery
                {
                    Version = version,
                    Lower = MachineHarness.Bytes(lower),
                    Upper = MachineHarness.Bytes(upper),
                    Reverse = reverse,
                    LimitItems = random.Next(1, 100),
                    LimitBytes = random.Next(1, 1000),
                };
                Assert.Equal(reverse ? expected.Reverse() : expected, Scan(query, out _));
            }
        }
    }

    [Fact]
    public void Keys_only_costs_no_value_bytes()
    {
        for (int i = 0; i < 20; i++)
        {
            _h.Put("k" + i, new string('x', 500));
        }

        var query = new ScanQuery { Version = _h.Advance(), KeysOnly = true, LimitItems = 100, LimitBytes = 100 };
        List<string> keys = Scan(query, out int pages);
        Assert.Equal((20, 1), (keys.Count, pages));
        Assert.All(_items, static i => Assert.Empty(i.Value));
        Scan(query with { KeysOnly = false }, out pages);
        Assert.Equal(20, pages);
    }

    [Fact]
    public void The_history_of_a_key_is_given_newest_first_down_to_the_floor()
    {
        var versions = new List<Core.Version>();
        for (int i = 0; i < 6; i++)
        {
            _h.NowMs += 100;
            versions.Add(i == 3 ? _h.Delete("k") : _h.Put("k", "v" + i));
        }

        List<string> History(Core.Version newest, int limit, out bool more)
        {
            _items.Clear();
            more = _h.Reads.History("k"u8.ToArray(), newest, limit, this).More;
            return [.. _items.Select(static i => i.Kind == EntryKind.Delete ? "x" : i.Value)];
        }

        Assert.Equal(["v5", "v4", "x", "v2", "v1", "v0"], History(Core.Version.Max, 100, out _));
        Assert.Equal(["v5", "v4"], History(Core.Version.Max, 2, out bool more));
        Assert.True(more);
        Assert.Equal(["v2", "v1", "v0"], History(versions[2], 3, out more));
        Assert.False(more);
        _h.History.Advance(new Core.Version(versions[1].Value + 5));
        Assert.Equal(["v5", "v4", "x", "v2", "v1"], History(Core.Version.Max, 100, out _));
        _engine.Compact();
        Assert.Equal(["v5", "v4", "x", "v2", "v1"], History(Core.Version.Max, 100, out _));
        Assert.Equal(ErrorCode.HistoryGone, Assert.Throws<HengeException>(() => History(versions[0], 100, out _)).Code);
        _h.History.Advance(new Core.Version(versions[3].Value + 5));
        Assert.Equal(["v5", "v4"], History(Core.Version.Max, 100, out _));
    }

    [Fact]
    public void Reads_below_the_floor_are_refused_with_the_oldest_version_also_after_a_restart()
    {
        Core.Version first = _h.Put("k", "1");
        _h.NowMs += 1000;
        Core.Version second = _h.Put("k", "2");
        Assert.True(_h.Reads.TryGet("k"u8, ReadPoint.AsOf(first), out PinnedValue value));
        Assert.Equal("1", MachineHarness.Text(value.Span));
        value.Dispose();
        _h.History.Advance(second);
        HengeException get = Assert.Throws<HengeException>(() => _h.Reads.TryGet("k"u8, ReadPoint.AsOf(first), out _));
        Assert.Equal(ErrorCode.HistoryGone, get.Code);
        Assert.Contains(second.ToString(), get.Message, StringComparison.Ordinal);
        Assert.Equal(
            ErrorCode.HistoryGone,
            Assert
                .Throws<HengeException>(() =>
                    Scan(
                        new ScanQuery
                        {
                            Version = first,
                            LimitItems = 1,
                            LimitBytes = 1,
                        },
                        out _))
                .Code);
        Assert.True(_h.Reads.TryGet("k"u8, ReadPoint.AsOf(second), out value));
        value.Dispose();
        _engine.Compact();
        var again = new HistoryWindow(_engine);
        Assert.Equal(second, again.Floor);
    }

    [Fact]
    public void The_floor_that_versions_were_dropped_by_outlives_a_crash()
    {
        var files = new SimulatedFileSystem();
        LsmEngine engine = WatchPropertyTests.TinyLsm(files);
        var h = new MachineHarness(engine: engine);
        h.Apply(MachineHarness.Put("k", "1"));
        h.NowMs += 10;
        Core.Version floor = h.Apply(MachineHarness.Put("k", "2")).Version;
        h.History.Advance(floor);
        engine.Compact();
        engine.Dispose();
        files.Crash(CrashMode.LoseAllUnsynced, 1);
        using LsmEngine reopened = WatchPropertyTests.TinyLsm(files);
        Assert.Equal(floor, new HistoryWindow(reopened).Floor);
    }

    [Fact]
    public void A_shard_that_is_being_rebuilt_is_not_read()
    {
        _h.Put("{t}", "1");
        ShardStateMachine machine = _h.Machines[_h.Map.ShardOf("t"u8).Value];
        var source = new MachineHarness(shard: machine.Shard.Value);
        for (int i = 0; i < 10; i++)
        {
            source.Apply(MachineHarness.Put("{t}", "new"));
        }

        using ShardSnapshotReader reader = source.Machine.CreateSnapshot(new Term(1), default);
        using ShardSnapshotInstaller installer = machine.BeginInstall();
        var chunk = new byte[100];
        bool first = true;
        while (reader.TryRead(chunk, out int written, out _))
        {
            installer.Write(chunk.AsSpan(0, written));
            if (first)
            {
                first = false;
                Assert.Equal(
                    ErrorCode.Unavailable,
                    Assert.Throws<HengeException>(() => _h.Reads.TryGet("{t}"u8, new ReadPoint(Core.Version.Max, 0), out _)).Code);
                Assert.Equal(
                    ErrorCode.Unavailable,
                    Assert
                        .Throws<HengeException>(() =>
                            Scan(
                                new ScanQuery
                                {
                                    Version = Core.Version.Max,
                                    LimitItems = 1,
                                    LimitBytes = 1,
                                },
                                out _))
                        .Code);
                Assert.Equal(ErrorCode.Unavailable, Assert.Throws<HengeException>(() => _h.Watches.Open(new WatchQuery(), () => { })).Code);
            }
        }

        installer.Complete();
        Assert.True(_h.Reads.TryGet("{t}"u8, new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
        Assert.Equal("new", MachineHarness.Text(value.Span));
        value.Dispose();
    }
}
