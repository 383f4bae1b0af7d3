using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Node.Tests.StateMachine;
using Henge.Node.Watch;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Memory;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Watch;

/// <summary>
/// Random commands on several shards, and readers that come and go, are slow, resume by token, start in the past, and lose their state to
/// snapshots: each must see exactly the events of its range from its start on, in order; or be told that history is gone.
/// </summary>
public sealed class WatchPropertyTests : IApplyObserver
{
    private const int Shards = 3;
    private readonly List<int> _foundExpired = [];

    private static int Seeds =>
        int.Parse(Environment.GetEnvironmentVariable("HENGE_SEEDS") ?? "60", System.Globalization.CultureInfo.InvariantCulture);

    private sealed class Reader(WatchQuery query, int shardCount)
    {
        public IWatch? Watch { get; set; }

        public WatchQuery Query { get; } = query;

        public WatchRecorder Recorder { get; } = new();

        public bool Gone { get; set; }

        public ulong[] Starts { get; } = new ulong[shardCount];
    }

    void IApplyObserver.OnResult(LogIndex index, int command, in CommandResult result, ReadOnlySpan<byte> payload) =>
        _foundExpired.Add(result.Found ? 1 : 0);

    [Fact]
    public void Without_loss_of_history_every_reader_sees_every_event_once_in_order() => Run(loseHistory: false, Seeds);

    [Fact]
    public void With_loss_of_history_a_reader_is_told_and_never_skips() => Run(loseHistory: true, Seeds);

    /// <summary>An engine as under Raft, so small that everything it does happens often.</summary>
    internal static LsmEngine TinyLsm(SimulatedFileSystem files, InlineScheduler? scheduler = null) => LsmEngine.Open(new LsmOptions
    {
        Directory = "/data",
        FileSystem = files,
        Scheduler = scheduler ?? new InlineScheduler(),
        WriteAheadLog = false,
        MemoryBytes = 256 * 1024,
        MemTableBytes = 4 * 1024,
        BlockBytes = 256,
        TargetTableBytes = 4096,
        LevelBaseBytes = 16 * 1024,
        LevelMultiplier = 3,
    });

    private void Run(bool loseHistory, int seeds)
    {
        int complete = 0,
            gone = 0;
        int first = int.Parse(
            Environment.GetEnvironmentVariable("HENGE_FIRST_SEED") ?? "0",
            System.Globalization.CultureInfo.InvariantCulture);
        for (int seed = first; seed < first + seeds; seed++)
        {
            var random = new Random(seed);
            var options = new WatchOptions
            {
                RingBytes = random.Next(256, 3000),
                InlineValueBytes = random.Next(5, 100),
                SliceBytes = random.Next(50, 2000),
                HistoryEvents = random.Next(2, 60),
                HistoryKeyBytes = random.Next(20, 400),
                HistorySteps = random.Next(1, 300),
                HistoryTotalBytes = random.Next(100, 20_000),
            };
            var twin = new ShardedHarness(Shards);
            using IStorageEngine engine = loseHistory ? TinyLsm(new SimulatedFileSystem()) : new MemoryEngine();
            var h = new ShardedHarness(Shards, options, engine);
            var expired = new HashSet<(uint, ulong)>();
            var readers = new List<Reader>();
            var pending = new List<byte[]>[] { [], [], [] };
            for (int step = 0; step < 300; step++)
            {
                twin.NowMs += random.Next(4) == 0 ? random.Next(60_000) : random.Next(20);
                h.NowMs = twin.NowMs;
                uint shard = (uint)random.Next(Shards);
                switch (random.Next(12))
                {
                    case <= 5:
                        byte[] payload = MakeEntry(random, twin, shard, expired);
                        pending[shard].Add(payload);
                        goto case 6;
                    case 6:
                        // This node follows, one or more entries at a time, or later.
                        ShardStateMachine machine = h.Machines[shard];
                        for (int n = random.Next(0, 6); n > 0 && pending[shard].Count > 0; n--)
                        {
                            machine.ApplyEntry(
                                new LogIndex(machine.AppliedIndex.Value + (machine.HasBatch ? 1UL : 0) + 1),
                                pending[shard][0],
                                null);
                            pending[shard].RemoveAt(0);
                            machine.CommitBatch();
                        }

                        break;
                    case 7:
                        if (readers.Count < 6)
                        {
                            readers.Add(OpenReader(random, h));
                        }

                        break;
                    case 8 or 9 when readers.Count > 0:
                        Read(readers[random.Next(readers.Count)], random);
                        break;
                    case 10 when readers.Count > 0:
                        Resume(readers[random.Next(readers.Count)], h);
                        break;
                    case 11 when random.Next(4) == 0:
                        if (pending[shard].Count > 0)
                        {
                            Install(twin.Machines[shard], h.Machines[shard], random);
                            pending[shard].Clear();
                        }

                        break;
                }

                if (loseHistory && random.Next(40) == 0)
                {
                    ulong last = h.Machines.Min(static m => m.LastVersion.Value);
                    h.History.Advance(
                        new Core.Version(last - Math.Min(last, (ulong)random.Next(100_000, 2_000_000) << Core.Version.CounterBits)));
                    ((LsmEngine)h.Engine).Compact();
                }
            }

            for (uint s = 0; s < Shards; s++)
            {
                foreach (byte[] payload in pending[s])
                {
                    h.Apply(s, payload);
                }
            }

            foreach (Reader reader in readers)
            {
                for (int i = 0; i < 20_000 && !reader.Gone; i++)
                {
                    Read(reader, random);
                    if (reader.Watch is NodeWatch { IsCaughtUp: true })
                    {
                        break;
                    }
                }

                Check(seed, reader, Truth(twin, expired), loseHistory);
                gone += reader.Gone ? 1 : 0;
                complete += reader.Gone ? 0 : 1;
                reader.Watch?.Dispose();
            }

            Assert.All(h.Machines, static m => Assert.Equal(0, ((WatchHub)m.Feed).Readers));
            Assert.Equal(0, h.Watches.HistoryReaders);
        }

        Assert.True(complete > seeds / 2 && (gone > 0) == loseHistory, $"{complete} complete, {gone} gone");
    }

    private byte[] MakeEntry(Random random, ShardedHarness twin, uint shard, HashSet<(uint, ulong)> expired)
    {
        ShardStateMachine machine = twin.Machines[shard];
        var entry = new EntryBuilder();
        int due = random.Next(3) == 0 ? machine.CollectDue(twin.NowMs, 3, entry) : 0;
        for (int n = random.Next(0, 5); n > 0; n--)
        {
            entry.Add(CommandModel.Random(random).Bytes);
        }

        // Keys are not sharded here, so versions tell the shards apart.
        var version = new Core.Version(
            Math.Max(Core.Version.FromMilliseconds(twin.NowMs).Value + (shard * 1000), machine.LastVersion.Value + 1));
        byte[] payload = entry.ToArray(version);
        _foundExpired.Clear();
        twin.Apply(shard, payload, this);
        for (int i = 0; i < due; i++)
        {
            if (_foundExpired[i] == 1)
            {
                expired.Add((shard, version.Value + (ulong)i));
            }
        }

        return payload;
    }

    private static Reader OpenReader(Random random, ShardedHarness h)
    {
        string[] bounds = ["", "k1", "k2", "k4", "k6"];
        string lower = bounds[random.Next(bounds.Length)];
        string upper = random.Next(2) == 0 ? "" : "k" + (char)('7' + random.Next(3));
        ulong start = random.Next(3) switch
        {
            0 => 0,
            1 => h.Machines[random.Next(Shards)].LastVersion.Value + (ulong)random.Next(3),
            _ => (ulong)random.NextInt64(1, (long)h.Machines.Max(static m => m.LastVersion.Value) + 2),
        };
        var query = new WatchQuery
        {
            Lower = MachineHarness.Bytes(lower),
            Upper = MachineHarness.Bytes(upper),
            Start = new Core.Version(start),
            PreviousValues = random.Next(2) == 0,
        };
        var reader = new Reader(query, Shards);
        for (int s = 0; s < Shards; s++)
        {
            reader.Starts[s] = start == 0 ? h.Machines[s].LastVersion.Value + 1 : start;
        }

        try
        {
            reader.Watch = h.Watches.Open(query, static () => { });
        }
        catch (HengeException e) when (e.Code == ErrorCode.HistoryGone)
        {
            reader.Gone = true;
        }

        return reader;
    }

    private static void Read(Reader reader, Random random)
    {
        if (reader.Gone)
        {
            return;
        }

        try
        {
            reader.Watch!.TryRead(reader.Recorder, random.Next(1, 10), random.Next(1, 400));
        }
        catch (HengeException e) when (e.Code == ErrorCode.HistoryGone)
        {
            reader.Gone = true;
        }
    }

    private static void Resume(Reader reader, ShardedHarness h)
    {
        if (reader.Gone)
        {
            return;
        }

        byte[] token = reader.Watch!.ResumeToken;
        reader.Watch.Dispose();
        try
        {
            reader.Watch = h.Watches.Open(reader.Query with { Resume = token }, static () => { });
        }
        catch (HengeException e) when (e.Code == ErrorCode.HistoryGone)
        {
            reader.Watch = null;
            reader.Gone = true;
        }
    }

    private static void Install(ShardStateMachine from, ShardStateMachine to, Random random)
    {
        using ShardSnapshotReader reader = from.CreateSnapshot(new Term(1), default);
        using ShardSnapshotInstaller installer = to.BeginInstall();
        var chunk = new byte[random.Next(64, 2000)];
        while (reader.TryRead(chunk, out int written, out _))
        {
            installer.Write(chunk.AsSpan(0, written));
        }

        installer.Complete();
    }

    // All events of the twin, which never loses history: by shard, in order.
    private static List<string>[] Truth(ShardedHarness twin, HashSet<(uint, ulong)> expired)
    {
        var truth = new List<string>[Shards];
        for (uint s = 0; s < Shards; s++)
        {
            var events = new List<(ulong, string, string)>();
            using EngineIterator entries = twin.Engine.CreateIterator(
                new IteratorOptions
                {
                    Keyspace = s,
                    Point = new ReadPoint(Core.Version.Max, 0),
                    AllVersions = true,
                });
            for (entries.SeekToFirst(); entries.Valid; entries.Next())
            {
                string key = MachineHarness.Text(entries.Key);
                ulong version = entries.Version.Value;
                bool isExpired = expired.Contains((s, version));
                WatchReason reason =
                    entries.Kind != EntryKind.Delete ? WatchReason.Put
                    : isExpired ? WatchReason.Expired
                    : WatchReason.Delete;
                bool had = twin.Engine.TryGet(
                    s,
                    entries.Key,
                    new ReadPoint(new Core.Version(version - 1), isExpired ? 0 : entries.Version.Milliseconds),
                    out PinnedValue previous);
                events.Add(
                    (
                        version,
                        key,
                        WatchRecorder.Describe(
                            reason,
                            key,
                            MachineHarness.Text(entries.Value),
                            entries.Version,
                            entries.ExpiresAtMs,
                            had ? MachineHarness.Text(previous.Span) : null,
                            had ? previous.Version : default)));
                previous.Dispose();
            }

            truth[s] =
            [
                .. events.OrderBy(static e => e.Item1).ThenBy(static e => e.Item2, StringComparer.Ordinal).Select(static e => e.Item3),
            ];
        }

        return truth;
    }

    private static void Check(int seed, Reader reader, List<string>[] truth, bool loseHistory)
    {
        var range = KeyRange.Between(reader.Query.Lower, reader.Query.Upper);
        bool Mine(string e, ulong start) =>
            range.Contains(MachineHarness.Bytes(e.Split(' ')[2]))
            && ulong.Parse(e.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture) >= start;
        List<string>[] expected =
        [
            .. truth.Select((t, s) => t.Where(e => Mine(e, reader.Starts[s])).Select(e => Strip(e, !reader.Query.PreviousValues)).ToList()),
        ];

        // Which shard an event is of is not told; take each from the shard that it is next in.
        var at = new int[Shards];
        var versions = new HashSet<string>();
        List<string> events = reader.Recorder.Events;
        if (reader.Gone && events.Count > 0)
        {
            // It may have been told in the middle of a version.
            string last = events[^1].Split(' ')[0];
            events = [.. events.Where(e => e.Split(' ')[0] != last)];
        }

        IEnumerable<string> seen = InVersionOrder(events);
        foreach (string e in seen)
        {
            int shard = Array.FindIndex(
                expected,
                x => at[Array.IndexOf(expected, x)] < x.Count && Same(x[at[Array.IndexOf(expected, x)]], e, loseHistory));
            Assert.True(
                shard >= 0,
                $"seed {seed}: {e} is not the next event of any shard; expected one of "
                    + $"{string.Join(" / ", expected.Select((x, s) => at[s] < x.Count ? x[at[s]] : "end"))}");
            at[shard]++;
        }

        if (!reader.Gone)
        {
            for (int s = 0; s < Shards; s++)
            {
                Assert.True(at[s] == expected[s].Count, $"seed {seed}: shard {s} gave {at[s]} of {expected[s].Count} events");
            }
        }
    }

    // Within one version, order means nothing: make it the keys'.
    private static IEnumerable<string> InVersionOrder(List<string> events)
    {
        for (int i = 0; i < events.Count;)
        {
            string version = events[i].Split(' ')[0];
            int end = i;
            while (end < events.Count && events[end].Split(' ')[0] == version)
            {
                end++;
            }

            foreach (string e in events[i..end].OrderBy(static e => e.Split(' ')[2], StringComparer.Ordinal))
            {
                yield return e;
            }

            i = end;
        }
    }

    private static string Strip(string e, bool strip) =>
        strip ? e[..e.LastIndexOf(", was ", StringComparison.Ordinal)] + ", was - of 0" : e;

    // Where history is lost, a previous value may be missing; it is never another.
    private static bool Same(string expected, string found, bool loseHistory) =>
        expected == found || (loseHistory && found == Strip(expected, true));
}
