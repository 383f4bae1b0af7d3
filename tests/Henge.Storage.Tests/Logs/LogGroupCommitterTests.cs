using System.Text;
using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Testing;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Logs;

public sealed class LogGroupCommitterTests : LogTestBase
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public void One_thread_gets_positions_in_order()
    {
        using (var committer = new LogGroupCommitter(Open()))
        {
            LogPosition first = committer.Append(1, "one"u8, sync: true);
            LogPosition second = committer.Append(1, "two"u8, sync: false);
            Assert.True(first < second);
        }

        Open().Dispose();
        Assert.Equal(["1:one", "1:two"], Found);
    }

    [Fact]
    public void Writers_that_wait_while_the_disk_is_busy_share_the_next_sync()
    {
        using var firstSyncRuns = new ManualResetEventSlim();
        using var mayGoOn = new ManualResetEventSlim();
        var committer = new LogGroupCommitter(Open());
        Disk.Faults = op =>
        {
            if (op.Kind == FileOperationKind.Sync && !firstSyncRuns.IsSet)
            {
                firstSyncRuns.Set();
                Assert.True(mayGoOn.Wait(Patience));
            }

            return FaultDecision.None;
        };

        long syncs = Disk.Statistics.Syncs;

        // The first one is held up in its sync. The tickets of the others are taken before it ends: all are of one group.
        var leader = new Thread(() => committer.Append(1, "first"u8, sync: true));
        leader.Start();
        Assert.True(firstSyncRuns.Wait(Patience));
        LogTicket[] tickets = [.. Enumerable.Range(0, 20).Select(i => committer.Enqueue(2, Encoding.ASCII.GetBytes($"{i}")))];
        var positions = new LogPosition[20];
        Thread[] followers = [.. tickets.Select((ticket, i) => new Thread(() => positions[i] = committer.Wait(ticket, sync: true)))];
        Assert.All(followers, static t => t.Start());
        mayGoOn.Set();
        Assert.All(followers, t => Assert.True(t.Join(Patience)));
        Assert.True(leader.Join(Patience));
        Assert.Equal(2, committer.GroupsWritten);
        Assert.Equal(21, committer.RecordsWritten);
        Assert.Equal(syncs + 2, Disk.Statistics.Syncs);
        Assert.Equal(positions.Order(), positions);
        committer.Dispose();
        Open().Dispose();
        Assert.Equal(Enumerable.Range(0, 20).Select(static i => $"2:{i}").Prepend("1:first"), Found);
    }

    [Fact]
    public void Many_threads_lose_nothing_that_was_acknowledged()
    {
        Options = Options with { SegmentBytes = 64 * 1024 };
        for (int seed = 0; seed < 20; seed++)
        {
            var disk = new SimulatedFileSystem();
            var random = new Random(seed);
            var committer = new LogGroupCommitter(SegmentedLog.Open(disk, Dir, Options, static (_, _, _) => { }));
            disk.CrashAt = disk.OperationCount + random.Next(10, 400);
            var acknowledged = new System.Collections.Concurrent.ConcurrentDictionary<string, LogPosition>();
            Thread[] writers = [.. Enumerable.Range(0, 6).Select(w => new Thread(() =>
            {
                try
                {
                    for (int i = 0; ; i++)
                    {
                        string text = $"{w}-{i}";
                        bool sync = (i + w) % 3 != 0;
                        LogPosition position = committer.Append(1, Encoding.ASCII.GetBytes(text.PadRight(i % 50)), sync);
                        if (sync)
                        {
                            acknowledged[text] = position;
                        }
                    }
                }
                catch (IOException)
                {
                    // The crash reached this writer: it stops, as its process would.
                    return;
                }
            }))];
            Assert.All(writers, static t => t.Start());
            Assert.All(writers, t => Assert.True(t.Join(Patience)));
            disk.Crash((CrashMode)(seed % 3), seed);
            var found = new Dictionary<string, LogPosition>();
            var last = new int[6];
            SegmentedLog.Open(disk, Dir, Options, (position, _, payload) =>
            {
                string text = Encoding.ASCII.GetString(payload).TrimEnd();
                found.Add(text, position);
                string[] parts = text.Split('-');
                int writer = int.Parse(parts[0]), number = int.Parse(parts[1]);
                Assert.Equal(last[writer]++, number);
            }).Dispose();
            foreach ((string text, LogPosition position) in acknowledged)
            {
                Assert.True(found.TryGetValue(text, out LogPosition there) && there == position, $"seed {seed}: {text} was acknowledged at {position} and is lost");
            }
        }
    }

    [Fact]
    public void A_sync_asked_for_after_the_group_was_written_is_made()
    {
        var committer = new LogGroupCommitter(Open());
        LogTicket a = committer.Enqueue(1, "a"u8);
        LogTicket b = committer.Enqueue(1, "b"u8);
        committer.Wait(a, sync: false);
        long syncs = Disk.Statistics.Syncs;
        committer.Wait(b, sync: true);
        Assert.Equal(syncs + 1, Disk.Statistics.Syncs);
        Disk.Crash(CrashMode.LoseAllUnsynced, 0);
        Open().Dispose();
        Assert.Equal(["1:a", "1:b"], Found);
    }

    [Fact]
    public void A_full_group_is_written_to_make_room()
    {
        using (var committer = new LogGroupCommitter(Open()))
        {
            LogTicket[] tickets = [.. Enumerable.Range(0, 10).Select(_ => committer.Enqueue(1, new byte[5_000]))];
            Assert.True(committer.GroupsWritten >= 4);
            Assert.Equal(10, tickets.Select(t => committer.Wait(t, sync: true)).Distinct().Count());
        }

        Open().Dispose();
        Assert.Equal(10, Found.Count);
    }

    [Fact]
    public void A_failed_sync_poisons_it_for_ever()
    {
        using var committer = new LogGroupCommitter(Open());
        committer.Append(1, "good"u8, sync: true);
        Disk.Faults = static op => op.Kind == FileOperationKind.Sync ? FaultDecision.Fail : FaultDecision.None;
        LogTicket bystander = committer.Enqueue(1, "bystander"u8);
        Assert.ThrowsAny<IOException>(() => committer.Append(1, "bad"u8, sync: true));
        Disk.Faults = null;
        Assert.ThrowsAny<IOException>(() => committer.Wait(bystander, sync: false));
        Assert.ThrowsAny<IOException>(() => committer.Enqueue(1, "more"u8));
        Assert.ThrowsAny<IOException>(() => committer.WithLog(static log => log.Sync()));
    }

    [Fact]
    public void A_full_disk_fails_the_group_and_not_the_log()
    {
        Disk.CapacityBytes = 20_000;
        using (var committer = new LogGroupCommitter(Open()))
        {
            committer.Append(1, new byte[8_000], sync: true);
            Assert.Throws<DiskFullException>(() => committer.Append(2, new byte[8_000], sync: true));
            Disk.CapacityBytes = 100_000;
            committer.Append(3, "room"u8, sync: true);
            committer.WithLog(static log => log.TruncateFront(log.End));
        }

        Open().Dispose();
        Assert.DoesNotContain(Found, static f => f.StartsWith("2:", StringComparison.Ordinal));
        Assert.Contains("3:room", Found);
    }

    [Fact]
    public void A_record_over_the_limit_is_refused_alone()
    {
        using (var committer = new LogGroupCommitter(Open()))
        {
            LogTicket ticket = committer.Enqueue(1, "before"u8);
            Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => committer.Enqueue(1, new byte[1 << 20])).Code);
            committer.Wait(ticket, sync: true);
        }

        Open().Dispose();
        Assert.Equal(["1:before"], Found);
    }

    [Fact]
    public void After_a_close_every_call_says_so()
    {
        var committer = new LogGroupCommitter(Open());
        LogTicket ticket = committer.Enqueue(1, "never waited for"u8);
        committer.Dispose();
        committer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => committer.Enqueue(1, "x"u8));
        Assert.Throws<ObjectDisposedException>(() => committer.Wait(ticket, sync: true));
    }

    [Fact]
    public void An_append_allocates_nothing()
    {
        string directory = Directory.CreateTempSubdirectory("henge-group-").FullName;
        try
        {
            using var committer = new LogGroupCommitter(
                SegmentedLog.Open(PosixFileSystem.Instance, directory, new SegmentedLogOptions { SegmentBytes = 4 << 20 }, static (_, _, _) => { }));
            byte[] payload = new byte[100];
            Assert.Equal(0, Allocations.Fewest(() =>
            {
                for (int i = 0; i < 200; i++)
                {
                    committer.Append(1, payload, sync: i % 10 == 0);
                }
            }));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
