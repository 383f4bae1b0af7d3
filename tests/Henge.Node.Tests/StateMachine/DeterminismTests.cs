using Henge.Core;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Tests.Watch;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Testing.Files;

namespace Henge.Node.Tests.StateMachine;

public sealed class DeterminismTests
{
    private static readonly SessionLimits SmallSessions = new()
    {
        Sessions = 4,
        Window = 6,
        MinimumWindow = 2,
        PayloadBytes = 30,
        SessionPayloadBytes = 60,
        TotalBytes = 2000,
        IdleMs = 30_000,
        ProtectedMs = 500,
    };

    private static int FirstSeed =>
        int.Parse(Environment.GetEnvironmentVariable("HENGE_FIRST_SEED") ?? "0", System.Globalization.CultureInfo.InvariantCulture);

    private static int Seeds =>
        int.Parse(Environment.GetEnvironmentVariable("HENGE_SEEDS") ?? "40", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A log: entries of random commands, the clock moving on between them, expiries proposed by whoever leads.</summary>
    private static List<byte[]> MakeLog(int seed, int entries, bool sessions, out List<List<CommandModel.Step>> steps)
    {
        var random = new Random(seed);
        var log = new List<byte[]>();
        steps = [];
        var leader = new MachineHarness(new StateMachineOptions { Sessions = SmallSessions });
        var sequences = new ulong[6];
        while (log.Count < entries)
        {
            leader.NowMs += random.Next(4) == 0 ? random.Next(100_000) : random.Next(50);
            var entry = new EntryBuilder();
            var entrySteps = new List<CommandModel.Step>();
            if (random.Next(5) == 0)
            {
                leader.Machine.CollectDue(leader.NowMs, random.Next(1, 5), entry);
            }

            for (int i = random.Next(0, 6); i > 0; i--)
            {
                SessionStamp stamp = default;
                if (sessions && random.Next(2) == 0)
                {
                    // New requests mostly; some come late, some twice.
                    int client = random.Next(sequences.Length);
                    sequences[client] += (ulong)random.Next(0, 4);
                    stamp = new SessionStamp(
                        (ulong)client + 1,
                        Math.Max(1, sequences[client] - Math.Min(sequences[client], (ulong)random.Next(0, 12) / 2)));
                }

                if (sessions && random.Next(8) == 0)
                {
                    // The model does not know it: it depends on what was deleted.
                    entry.Add(IfUnwritten(random, leader.Machine.LastVersion));
                    continue;
                }

                CommandModel.Step step = CommandModel.Random(random, stamp);
                entrySteps.Add(step);
                entry.Add(step.Bytes);
            }

            byte[] payload = entry.ToArray(leader.NextVersion(entry.Count));
            leader.Machine.ApplyEntry(leader.Machine.AppliedIndex.Next, payload, leader);
            leader.Machine.CommitBatch();
            log.Add(payload);
            steps.Add(entrySteps);
        }

        return log;
    }

    // Of a version that all replicas are sure to know of, or of one that is too old.
    private static byte[] IfUnwritten(Random random, Core.Version last) =>
        MachineHarness.Command(writer =>
        {
            var builder = new TxnBuilder();
            byte[] key = MachineHarness.Bytes("k" + random.Next(12));
            long sinceMs = Math.Max(0, last.Milliseconds - random.Next(1_500 * random.Next(1, 12)));
            builder.CompareUnwritten(key, Core.Version.FromMilliseconds(sinceMs));
            builder.Then.Add(MachineHarness.Put(MachineHarness.Text(key), "unwritten"));
            builder.Encode(writer);
        });

    // As the node does (NodeUpkeep).
    private static Core.Version Floor(Random random, Core.Version last) =>
        Core.Version.FromMilliseconds(last.Milliseconds - HistoryWindow.AlwaysKeptMs - random.Next(4) * random.Next(10_000));

    [Fact]
    public void Commands_do_what_the_model_says()
    {
        for (int seed = FirstSeed; seed < FirstSeed + Seeds; seed++)
        {
            List<byte[]> log = MakeLog(seed, 120, sessions: false, out List<List<CommandModel.Step>> steps);
            var h = new MachineHarness();
            var model = new CommandModel();
            for (int i = 0; i < log.Count; i++)
            {
                h.Results.Clear();
                h.Machine.ApplyEntry(new LogIndex((ulong)i + 1), log[i], h);
                h.Machine.CommitBatch();
                Assert.True(EntryReader.TryOpen(log[i], out EntryReader entry));
                int own = entry.Count - steps[i].Count;
                for (int c = 0; entry.MoveNext(); c++)
                {
                    if (c >= own)
                    {
                        string expected = steps[i][c - own].Do(model, entry.Version.Value);
                        string found = CommandModel.DescribeAny(steps[i][c - own].Bytes, h.Results[c].Result, h.Results[c].Payload);
                        Assert.True(expected == found, $"seed {seed}, entry {i}, command {c}: expected {expected}, found {found}");
                    }
                }

                SortedDictionary<string, CommandModel.Value> visible = model.Visible(h.Machine.LastVersion);
                Assert.Equal(visible.Select(static p => (p.Key, p.Value.Text, p.Value.Version, p.Value.ExpiresAtMs)), Contents(h));
            }
        }
    }

    [Fact]
    public void The_same_log_gives_the_same_state_whatever_the_batches_restarts_and_crashes()
    {
        for (int seed = FirstSeed; seed < FirstSeed + Seeds; seed++)
        {
            List<byte[]> log = MakeLog(seed, 150, sessions: true, out _);
            var options = new StateMachineOptions { Sessions = SmallSessions };
            var plain = new MachineHarness(options);
            var hashes = new List<ulong>();
            var results = new List<string>();
            for (int i = 0; i < log.Count; i++)
            {
                plain.Machine.ApplyEntry(new LogIndex((ulong)i + 1), log[i], plain);
                plain.Machine.CommitBatch();
                hashes.Add(plain.Machine.StateHash());
            }

            var random = new Random(seed + 1_000_000);
            var engine = new ForgetfulEngine();
            var wild = new MachineHarness(options, engine);
            var later = new Dictionary<ulong, string>();
            for (ulong index = 1; index <= (ulong)log.Count;)
            {
                for (int n = random.Next(1, 12); n > 0 && index <= (ulong)log.Count; n--, index++)
                {
                    int before = wild.Results.Count;
                    wild.Machine.ApplyEntry(new LogIndex(index), log[(int)index - 1], wild);
                    string described = string.Join(
                        " | ",
                        wild.Results.Skip(before).Select(r => CommandModel.Describe(r.Result, default) + Convert.ToHexString(r.Payload)));
                    Assert.True(
                        later.TryAdd(index, described) || later[index] == described,
                        $"seed {seed}: entry {index} came to something else when it was applied again");
                }

                wild.Machine.CommitBatch();
                Assert.True(hashes[(int)index - 2] == wild.Machine.StateHash(), $"seed {seed}: another state at {index - 1}");
                switch (random.Next(8))
                {
                    case 0:
                        wild.Reopen();
                        break;
                    case 1:
                        engine = engine.Crash(random);
                        wild.Reopen(engine);
                        break;
                    case 2:
                        engine.Flush();
                        break;
                    case 3:
                        // Collecting history is each node's own affair, and must not show.
                        wild.History.Advance(Floor(random, wild.Machine.LastVersion));
                        break;
                    case 4:
                        var fresh = new ForgetfulEngine();
                        Copy(wild, fresh, options, random);
                        engine = fresh;
                        wild.Reopen(fresh);
                        break;
                }

                Assert.True(wild.Machine.AppliedIndex.Value < index);
                index = wild.Machine.AppliedIndex.Value + 1;
                if (index > 1)
                {
                    Assert.True(
                        hashes[(int)index - 2] == wild.Machine.StateHash(),
                        $"seed {seed}: another state at {index - 1} after a restart");
                }
            }

            Assert.Equal(
                string.Join(
                    '\n',
                    plain.Results.Select(static r => CommandModel.Describe(r.Result, default) + Convert.ToHexString(r.Payload))),
                string.Join(
                    '\n',
                    later
                        .OrderBy(static p => p.Key)
                        .Where(static p => p.Value.Length > 0)
                        .Select(static p => p.Value.Replace(" | ", "\n", StringComparison.Ordinal))));
        }
    }

    [Fact]
    public void The_same_log_gives_the_same_state_on_a_tree_that_loses_power_again_and_again()
    {
        int restarts = 0;
        for (int seed = FirstSeed; seed < FirstSeed + Seeds; seed++)
        {
            List<byte[]> log = MakeLog(seed, 200, sessions: true, out _);
            var options = new StateMachineOptions { Sessions = SmallSessions };
            var plain = new MachineHarness(options);
            var hashes = new List<ulong>();
            for (int i = 0; i < log.Count; i++)
            {
                plain.Machine.ApplyEntry(new LogIndex((ulong)i + 1), log[i], null);
                plain.Machine.CommitBatch();
                hashes.Add(plain.Machine.StateHash());
            }

            var random = new Random(seed + 2_000_000);
            var files = new SimulatedFileSystem();
            var scheduler = new InlineScheduler();
            LsmEngine engine = WatchPropertyTests.TinyLsm(files, scheduler);
            var wild = new MachineHarness(options, engine);
            for (ulong index = 1; index <= (ulong)log.Count;)
            {
                for (int n = random.Next(1, 12); n > 0 && index <= (ulong)log.Count; n--, index++)
                {
                    wild.Machine.ApplyEntry(new LogIndex(index), log[(int)index - 1], null);
                }

                wild.Machine.CommitBatch();
                switch (random.Next(12))
                {
                    case 0:
                        engine.Flush();
                        break;
                    case 1:
                        wild.History.Advance(Floor(random, wild.Machine.LastVersion));
                        if (random.Next(2) == 0)
                        {
                            engine.Compact();
                        }

                        break;
                    case 4 or 5 or 6:
                        // The background's turn: it flushes and compacts what has been sealed, and leaves the newest in memory.
                        scheduler.RunAll();
                        break;
                    case 2 or 3:
                        ulong durable = engine.GetDurablePosition(SystemKeys.Stream(wild.Shard));
                        engine.Dispose();
                        files.Crash((CrashMode)random.Next(3), random.Next());
                        scheduler = new InlineScheduler();
                        engine = WatchPropertyTests.TinyLsm(files, scheduler);
                        wild.Reopen(engine);
                        restarts++;
                        Assert.InRange(wild.Machine.AppliedIndex.Value, durable, index - 1);
                        break;
                }

                Assert.True(wild.Machine.AppliedIndex.Value < index);
                index = wild.Machine.AppliedIndex.Value + 1;
                if (index > 1)
                {
                    Assert.True(hashes[(int)index - 2] == wild.Machine.StateHash(), $"seed {seed}: another state at {index - 1}");
                }
            }

            engine.Dispose();
        }

        Assert.True(restarts > Seeds);
    }

    private static void Copy(MachineHarness from, IStorageEngine into, StateMachineOptions options, Random random)
    {
        if (from.Machine.AppliedIndex.Value == 0)
        {
            return;
        }

        var target = new MachineHarness(options, into);
        using ShardSnapshotReader reader = from.Machine.CreateSnapshot(new Term(3), "extra"u8.ToArray());
        using ShardSnapshotInstaller installer = target.Machine.BeginInstall();
        var chunk = new byte[random.Next(SnapshotFormat.MinChunkBytes, 4096)];
        while (reader.TryRead(chunk, out int written, out _))
        {
            installer.Write(chunk.AsSpan(0, written));
        }

        installer.Complete();
        Assert.Equal(from.Machine.StateHash(), target.Machine.StateHash());
    }

    private static List<(string, string, ulong, long)> Contents(MachineHarness h)
    {
        using EngineIterator entries = h.Engine.CreateIterator(
            new IteratorOptions { Keyspace = SystemKeys.UserKeyspace(h.Shard), Point = ReadPoint.AsOf(h.Machine.LastVersion) });
        var list = new List<(string, string, ulong, long)>();
        for (entries.SeekToFirst(); entries.Valid; entries.Next())
        {
            list.Add((MachineHarness.Text(entries.Key), MachineHarness.Text(entries.Value), entries.Version.Value, entries.ExpiresAtMs));
        }

        return list;
    }
}
