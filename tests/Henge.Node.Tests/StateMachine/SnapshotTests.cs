using Henge.Core;
using Henge.Node.StateMachine;
using Henge.Storage;
using static Henge.Node.Tests.StateMachine.MachineHarness;

namespace Henge.Node.Tests.StateMachine;

public sealed class SnapshotTests
{
    private sealed class CrashException : Exception;

    private static MachineHarness Source(int seed)
    {
        var random = new Random(seed);
        var h = new MachineHarness();
        for (int i = 0; i < 200; i++)
        {
            h.NowMs += random.Next(1000);
            h.Apply(
                CommandModel.Random(random, random.Next(2) == 0 ? new SessionStamp((ulong)random.Next(1, 4), (ulong)i + 1) : default).Bytes
            );
        }

        h.Apply(Put("large", new string('x', 100_000)));
        return h;
    }

    private static List<byte[]> Chunks(MachineHarness source, int size)
    {
        using ShardSnapshotReader reader = source.Machine.CreateSnapshot(new Term(9), "members"u8.ToArray());
        var chunks = new List<byte[]>();
        var buffer = new byte[size];
        bool last = false;
        while (reader.TryRead(buffer, out int written, out bool isLast))
        {
            Assert.False(last);
            last = isLast;
            chunks.Add(buffer[..written]);
        }

        Assert.True(last);
        return chunks;
    }

    private static List<string> AllVersions(MachineHarness h)
    {
        using EngineIterator entries = h.Engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.UserKeyspace(h.Shard),
            Point = new ReadPoint(Core.Version.Max, 0),
            AllVersions = true,
        });
        var list = new List<string>();
        for (entries.SeekToFirst(); entries.Valid; entries.Next())
        {
            list.Add($"{Text(entries.Key)} {entries.Version} {entries.Kind} {entries.ExpiresAtMs} {Text(entries.Value)}");
        }

        return list;
    }

    [Theory]
    [InlineData(64)]
    [InlineData(1000)]
    [InlineData(256 * 1024)]
    public void A_snapshot_carries_history_sessions_and_expiries(int chunkBytes)
    {
        MachineHarness source = Source(chunkBytes);
        List<byte[]> chunks = Chunks(source, chunkBytes);
        Assert.All(chunks, c => Assert.InRange(c.Length, 1, chunkBytes));
        var target = new MachineHarness();
        target.Apply(Put("old", "1", new PutOptions { Expiry = Expiry.After(5) }, new SessionStamp(99, 1)));
        using (ShardSnapshotInstaller installer = target.Machine.BeginInstall())
        {
            foreach (byte[] chunk in chunks)
            {
                Assert.False(installer.HasAll);
                installer.Write(chunk);
            }

            Assert.True(installer.HasAll);
            SnapshotMeta meta = installer.Complete();
            Assert.Equal((source.Machine.AppliedIndex, new Term(9), "members"), (meta.Index, meta.Term, Text(meta.Extra.Span)));
        }

        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(MachineState.Ready, target.Machine.State);
            Assert.Equal(source.Machine.StateHash(), target.Machine.StateHash());
            Assert.Equal(AllVersions(source), AllVersions(target));
            Assert.Equal(source.CountSystem(SystemKeys.ExpiryTag), target.CountSystem(SystemKeys.ExpiryTag));
            Assert.Equal(
                (source.Machine.AppliedIndex, source.Machine.LastVersion),
                (target.Machine.AppliedIndex, target.Machine.LastVersion));
            Assert.Equal(
                (9UL, "members"),
                (target.Machine.InstalledSnapshot.Term.Value, Text(target.Machine.InstalledSnapshot.Extra.Span)));
            target.Reopen();
        }

        byte[] entry = source.Entry(Put("k", "after"));
        foreach (MachineHarness h in new[] { source, target })
        {
            h.Machine.ApplyEntry(h.Machine.AppliedIndex.Next, entry, null);
            h.Machine.CommitBatch();
        }

        Assert.Equal(source.Machine.StateHash(), target.Machine.StateHash());
    }

    [Fact]
    public void A_snapshot_is_one_cut_whatever_is_written_meanwhile()
    {
        MachineHarness source = Source(1);
        ulong hash = source.Machine.StateHash();
        using ShardSnapshotReader reader = source.Machine.CreateSnapshot(new Term(1), default);
        var target = new MachineHarness();
        using ShardSnapshotInstaller installer = target.Machine.BeginInstall();
        var buffer = new byte[500];
        for (int i = 0; reader.TryRead(buffer, out int written, out _); i++)
        {
            installer.Write(buffer.AsSpan(0, written));
            source.Apply(Put("k" + (i % 10), "later"), Delete("large"));
        }

        installer.Complete();
        Assert.Equal(hash, target.Machine.StateHash());
    }

    [Fact]
    public void A_snapshot_of_a_state_that_came_by_a_snapshot_is_one_cut_too()
    {
        // Both have the same last write; the snapshot is newer by an entry that writes nothing, and the next write's version is the very
        // next one.
        var source = new MachineHarness();
        var target = new MachineHarness();
        byte[] first = source.Entry(Put("k", "1", default, new SessionStamp(1, 1)));
        byte[] next = source.Entry(Put("k", "2", default, new SessionStamp(1, 2)));
        foreach (MachineHarness h in new[] { source, target })
        {
            h.Machine.ApplyEntry(new LogIndex(1), first, null);
            h.Machine.CommitBatch();
        }

        source.Machine.ApplyEmpty(new LogIndex(2));
        source.Machine.CommitBatch();
        Install(Chunks(source, 1000), target);
        ulong hash = target.Machine.StateHash();

        using ShardSnapshotReader reader = target.Machine.CreateSnapshot(new Term(1), default);
        target.Machine.ApplyEntry(new LogIndex(3), next, null);
        target.Machine.CommitBatch();
        var buffer = new byte[10_000];
        Assert.True(reader.TryRead(buffer, out int written, out bool isLast) && isLast);
        var third = new MachineHarness();
        Install([buffer[..written]], third);
        Assert.Equal(hash, third.Machine.StateHash());

        third.Machine.ApplyEntry(new LogIndex(3), next, null);
        third.Machine.CommitBatch();
        Assert.Equal("2", third.Get("k"));

        static void Install(List<byte[]> chunks, MachineHarness into)
        {
            using ShardSnapshotInstaller installer = into.Machine.BeginInstall();
            chunks.ForEach(chunk => installer.Write(chunk));
            installer.Complete();
        }
    }

    [Fact]
    public void A_crash_anywhere_leaves_the_old_state_the_new_one_or_a_replica_that_serves_nothing()
    {
        MachineHarness source = Source(5);
        List<byte[]> chunks = Chunks(source, 20_000);
        var outcomes = new Dictionary<string, int>();
        for (int seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var engine = new ForgetfulEngine();
            var target = new MachineHarness(engine: engine);
            for (int i = 0; i < 10; i++)
            {
                target.Apply(Put("old" + i, "1"));
            }

            if (random.Next(2) == 0)
            {
                engine.Flush();
            }

            ulong oldHash = target.Machine.StateHash();
            int left = random.Next(1, 20);
            engine.BeforeOperation = () =>
            {
                if (--left < 0)
                {
                    throw new CrashException();
                }
            };
            bool completed;
            try
            {
                using ShardSnapshotInstaller installer = target.Machine.BeginInstall();
                chunks.ForEach(c => installer.Write(c));
                installer.Complete();
                completed = true;
            }
            catch (CrashException)
            {
                completed = false;
            }

            engine = engine.Crash(random);
            target.Reopen(engine);
            string outcome;
            if (target.Machine.State == MachineState.NeedsSnapshot)
            {
                Assert.False(completed, $"seed {seed}");
                Assert.Equal(0, target.Machine.CollectDue(long.MaxValue, 1, new EntryBuilder()));
                outcome = "needs another";
                using ShardSnapshotInstaller again = target.Machine.BeginInstall();
                chunks.ForEach(c => again.Write(c));
                again.Complete();
                target.Reopen(engine.Crash(random));
                Assert.Equal(source.Machine.StateHash(), target.Machine.StateHash());
            }
            else if (target.Machine.AppliedIndex == source.Machine.AppliedIndex)
            {
                outcome = "new";
                Assert.True(source.Machine.StateHash() == target.Machine.StateHash(), $"seed {seed}");
                Assert.Equal(AllVersions(source), AllVersions(target));
            }
            else
            {
                Assert.False(completed, $"seed {seed}");
                outcome = "old";

                // What was not flushed is replayed from the log.
                while (target.Machine.AppliedIndex.Value < 10)
                {
                    target.Apply(Put("old" + target.Machine.AppliedIndex.Value, "1"));
                }

                Assert.Equal(10, AllVersions(target).Count);
                Assert.Equal(oldHash == 0, target.Machine.StateHash() == 0);
            }

            outcomes[outcome] = outcomes.GetValueOrDefault(outcome) + 1;
        }

        Assert.Equal(3, outcomes.Count);
    }

    [Fact]
    public void An_install_that_is_given_up_leaves_a_replica_that_serves_nothing_until_the_next()
    {
        MachineHarness source = Source(2);
        List<byte[]> chunks = Chunks(source, 1000);
        var target = new MachineHarness();
        ShardSnapshotInstaller untouched = target.Machine.BeginInstall();
        untouched.Dispose();
        Assert.Equal(MachineState.Ready, target.Machine.State);
        for (int i = 0; i < 3; i++)
        {
            using ShardSnapshotInstaller half = target.Machine.BeginInstall();
            chunks.Take(5).ToList().ForEach(c => half.Write(c));
            Assert.Equal(MachineState.Installing, target.Machine.State);
            half.Dispose();
            Assert.Equal(MachineState.NeedsSnapshot, target.Machine.State);
        }

        using ShardSnapshotInstaller whole = target.Machine.BeginInstall();
        chunks.ForEach(c => whole.Write(c));
        whole.Complete();
        Assert.Equal(source.Machine.StateHash(), target.Machine.StateHash());
        Assert.Throws<HengeException>(() =>
        {
            using ShardSnapshotInstaller older = target.Machine.BeginInstall();
            older.Write(chunks[0]);
        });
        Assert.Equal(MachineState.Ready, target.Machine.State);
    }

    [Fact]
    public void Damaged_chunks_and_chunks_out_of_order_are_refused()
    {
        List<byte[]> chunks = Chunks(Source(3), 700);
        var random = new Random(1);
        for (int i = 0; i < 500; i++)
        {
            var target = new MachineHarness();
            using ShardSnapshotInstaller installer = target.Machine.BeginInstall();
            int good = random.Next(chunks.Count - 1);
            chunks.Take(good).ToList().ForEach(c => installer.Write(c));
            byte[] bad = [.. chunks[good]];
            switch (random.Next(4))
            {
                case 0:
                    bad[random.Next(bad.Length)] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bad = bad[..random.Next(bad.Length)];
                    break;
                case 2:
                    bad = chunks[good + 1];
                    break;
                default:
                    random.NextBytes(bad);
                    break;
            }

            Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => installer.Write(bad)).Code);
        }
    }

    [Fact]
    public void Records_that_make_no_sense_are_refused_even_when_checksums_hold()
    {
        List<byte[]> chunks = Chunks(Source(4), 64 * 1024);
        for (int seed = 0; seed < 2000; seed++)
        {
            var random = new Random(seed);
            byte[] bytes = [.. chunks[0]];
            for (int n = random.Next(1, 4); n > 0; n--)
            {
                bytes[random.Next(SnapshotFormat.ChunkHeaderBytes, Math.Min(bytes.Length, 400))] = (byte)random.Next(256);
            }

            SnapshotFormat.WriteChunkHeader(bytes, 0);
            var target = new MachineHarness();
            using ShardSnapshotInstaller installer = target.Machine.BeginInstall();
            try
            {
                installer.Write(bytes);
            }
            catch (HengeException e)
            {
                Assert.True(
                    e.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat or ErrorCode.InvalidArgument,
                    $"seed {seed}: {e.Code}");
            }
        }
    }
}
