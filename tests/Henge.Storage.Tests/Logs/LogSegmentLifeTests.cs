using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Testing;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Logs;

/// <summary>Dropping and recycling segments, reading by position, and errors of the disk.</summary>
public sealed class LogSegmentLifeTests : LogTestBase
{
    [Fact]
    public void Segments_below_a_position_are_dropped_and_recycled()
    {
        using SegmentedLog log = Open();
        var positions = new List<LogPosition>();
        for (int i = 0; i < 50; i++)
        {
            positions.Add(AppendSynced(log, new string('x', 3_000) + i));
        }

        log.TruncateFront(positions[30]);
        Assert.Equal(positions[30].SegmentId, log.First.SegmentId);
        Assert.Equal(2, Disk.List(Dir).Count(static n => n.EndsWith(".free", StringComparison.Ordinal)));
        Assert.EndsWith("x30", ReadText(log, positions[30]), StringComparison.Ordinal);
        Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<HengeException>(() => ReadText(log, positions[0])).Code);

        // Two more segments cost no new space.
        long used = Disk.UsedBytes;
        uint last = log.End.SegmentId;
        while (log.End.SegmentId < last + 2)
        {
            AppendSynced(log, new string('z', 3_000));
        }

        Assert.Equal(used, Disk.UsedBytes);
        log.Dispose();
        Open().Dispose();
        Assert.EndsWith("x30", Found.First(static f => f.EndsWith("x30", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.DoesNotContain(Found, static f => f.EndsWith("x5", StringComparison.Ordinal));
    }

    [Fact]
    public void Old_bytes_of_a_recycled_segment_do_not_pass_for_new()
    {
        using SegmentedLog log = Open();
        for (int i = 0; i < 20; i++)
        {
            AppendSynced(log, "old old old " + i);
        }

        log.StartNewSegment();
        log.TruncateFront(log.End);
        log.StartNewSegment();
        AppendSynced(log, "new");
        log.StartNewSegment();
        AppendSynced(log, "newer");
        Kill();
        Open().Dispose();
        Assert.Equal(["1:new", "1:newer"], Found);
    }

    [Fact]
    public void A_value_made_of_forged_records_is_not_believed_when_its_space_is_recycled()
    {
        // Whoever chooses values may know the format and the next segment ids, but not the salt.
        byte[] forged = new byte[LogFormat.RecordHeaderBytes + 1];
        LogFormat.WriteRecordHeader(forged, LogFormat.Seed(0, 0), segmentId: 3, kind: 7);
        byte[] payload = [.. Enumerable.Repeat(forged, 800).SelectMany(static f => f)];
        for (int fill = 0; fill < forged.Length; fill++)
        {
            var disk = new SimulatedFileSystem();
            SegmentedLog log = SegmentedLog.Open(disk, Dir, Options, static (_, _, _) => { });
            log.Append(1, payload);
            log.StartNewSegment();
            log.TruncateFront(log.End);
            log.Append(1, []);
            log.StartNewSegment();
            log.TruncateFront(log.End);

            // Segment 3 lies where the value was. One of these lengths ends exactly where a forged record begins.
            log.Append(1, new byte[fill]);
            log.Sync();
            disk.Crash(CrashMode.LoseAllUnsynced, 0);
            int records = 0;
            SegmentedLog.Open(disk, Dir, Options, (_, kind, _) =>
            {
                records++;
                Assert.Equal(1, kind);
            }).Dispose();
            Assert.Equal(1, records);
        }
    }

    [Fact]
    public void A_full_disk_refuses_appends_and_takes_them_again_when_there_is_room()
    {
        Disk.CapacityBytes = 40_000;
        using SegmentedLog log = Open();
        var positions = new List<LogPosition>();
        DiskFullException? full = null;
        while (full is null)
        {
            try
            {
                positions.Add(AppendSynced(log, new string('x', 1_000) + positions.Count));
            }
            catch (DiskFullException e)
            {
                full = e;
            }
        }

        Assert.Throws<DiskFullException>(() => AppendSynced(log, new string('y', 1_000)));
        Assert.EndsWith("x3", ReadText(log, positions[3]), StringComparison.Ordinal);
        log.TruncateFront(positions[^1]);
        AppendSynced(log, "there is room again");
        log.Dispose();
        Open().Dispose();
        Assert.Equal("1:there is room again", Found[^1]);
        Assert.DoesNotContain(Found, static f => f.Contains('y', StringComparison.Ordinal));
    }

    [Fact]
    public void A_spare_that_a_crash_left_under_a_later_id_does_no_harm()
    {
        using (SegmentedLog first = Open())
        {
            AppendSynced(first, "first");
            first.StartNewSegment();
        }

        Disk.WriteAllBytes(Dir + "/0000000003.free", new byte[16 * 1024]);
        using SegmentedLog log = Open();
        for (int i = 0; i < 12; i++)
        {
            if (i < 6)
            {
                log.TruncateFront(log.End);
            }

            AppendSynced(log, $"{i}");
            log.StartNewSegment();
        }
    }

    [Fact]
    public void Segments_can_be_dropped_when_the_directory_has_no_room_for_a_name()
    {
        using SegmentedLog log = Open();
        AppendSynced(log, "one");
        log.StartNewSegment();
        Disk.Faults = static op => op.Kind == FileOperationKind.Rename ? FaultDecision.DiskFull : FaultDecision.None;
        log.TruncateFront(log.End);
        Assert.Equal(["0000000002.log"], Disk.List(Dir));
        Assert.Throws<DiskFullException>(() => log.Append(1, new byte[20]).ToString() + RollOver(log));
        Assert.Throws<DiskFullException>(() => RollOver(log));
        Disk.Faults = null;
        RollOver(log);
        AppendSynced(log, "two");
    }

    private static string RollOver(SegmentedLog log)
    {
        log.StartNewSegment();
        return log.End.ToString();
    }

    [Theory]
    [InlineData(FileOperationKind.Sync)]
    [InlineData(FileOperationKind.SyncDirectory)]
    public void A_sync_that_finds_no_room_finishes_the_log_and_does_not_look_like_a_refusal(FileOperationKind kind)
    {
        using SegmentedLog log = Open();
        log.Append(1, "one"u8);
        Disk.Faults = op => op.Kind == kind ? FaultDecision.DiskFull : FaultDecision.None;
        Assert.IsNotType<DiskFullException>(Assert.ThrowsAny<IOException>(log.StartNewSegment));
        Disk.Faults = null;
        Assert.Throws<IOException>(() => log.Append(1, "two"u8));
    }

    [Fact]
    public void A_log_opens_on_a_full_disk()
    {
        Disk.CapacityBytes = 17_000;
        SegmentedLog log = Open();
        while (log.End.Offset + 1_100 < 16 * 1024)
        {
            AppendSynced(log, new string('x', 1_000));
        }

        Kill();
        Disk.Faults = static op =>
            op.Kind == FileOperationKind.Write && op.Offset + op.Length > 15_900 ? FaultDecision.DiskFull : FaultDecision.None;
        log = Open();
        Assert.NotEmpty(Found);
        Assert.Throws<DiskFullException>(() => log.Append(1, new byte[2_000]));
    }

    [Fact]
    public void Where_space_cannot_be_reserved_a_refused_batch_is_not_believed_later()
    {
        SegmentedLog log = Open();
        AppendSynced(log, "one");
        Disk.Faults = static op => op.Kind == FileOperationKind.Write ? FaultDecision.DiskFull : FaultDecision.None;
        Assert.Throws<DiskFullException>(() => log.Append(1, "refused"u8));
        Disk.Faults = null;
        AppendSynced(log, "two");
        Assert.Equal("two", ReadText(log, log.Append(2, "two"u8)));
        log.Dispose();
        Open().Dispose();
        Assert.Equal(["1:one", "1:two", "2:two"], Found);
    }

    [Theory]
    [InlineData(FileOperationKind.Sync)]
    [InlineData(FileOperationKind.Write)]
    public void After_a_failed_write_or_sync_the_log_is_finished(FileOperationKind kind)
    {
        SegmentedLog log = Open();
        AppendSynced(log, "one");
        Disk.Faults = op => op.Kind == kind ? FaultDecision.Fail : FaultDecision.None;
        Assert.ThrowsAny<IOException>(() => AppendSynced(log, "two"));
        Disk.Faults = null;
        Assert.Throws<IOException>(() => log.Append(1, "three"u8));
        Assert.Throws<IOException>(log.Sync);
        Assert.Throws<IOException>(() => log.TruncateFront(log.End));
        log.Dispose();
        Kill();
        Open().Dispose();
        Assert.Equal("1:one", Found[0]);
        Assert.DoesNotContain("1:three", Found);
    }

    [Fact]
    public void A_short_write_is_cut_at_the_next_open()
    {
        SegmentedLog log = Open();
        AppendSynced(log, "one");
        Disk.Faults = static op => op.Kind == FileOperationKind.Write ? FaultDecision.ShortWrite(17) : FaultDecision.None;
        Assert.ThrowsAny<IOException>(() => log.Append(1, "this does not get down"u8));
        Kill();
        Disk.Faults = null;
        Open().Dispose();
        Assert.Equal(["1:one"], Found);
    }

    [Fact]
    public void A_bad_record_is_noticed_when_it_is_read_by_position()
    {
        using SegmentedLog log = Open();
        LogPosition small = AppendSynced(log, "small");
        LogPosition large = AppendSynced(log, new string('L', 10_000));
        Assert.Equal("small", ReadText(log, small));
        Assert.Equal(10_000, ReadText(log, large).Length);
        Disk.FlipBit(FirstSegment, large.Offset + 9_000, 1);
        HengeException error = Assert.Throws<HengeException>(() => ReadText(log, large));
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains($"offset {large.Offset}", error.Message, StringComparison.Ordinal);
        Assert.Equal("small", ReadText(log, small));
    }

    [Fact]
    public void A_position_where_no_record_begins_is_refused()
    {
        using SegmentedLog log = Open();
        LogPosition first = AppendSynced(log, "one");
        AppendSynced(log, "two");
        for (uint offset = 0; offset < log.End.Offset + 100; offset++)
        {
            if (offset != first.Offset)
            {
                LogPosition wrong = first with { Offset = offset };
                try
                {
                    Assert.Equal("two", ReadText(log, wrong));
                }
                catch (HengeException e)
                {
                    Assert.True(e.Code is ErrorCode.InvalidArgument or ErrorCode.Corruption);
                }
            }
        }

        Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<HengeException>(() => ReadText(log, new LogPosition(7, 4096))).Code);
    }

    [Fact]
    public async Task Readers_and_the_writer_do_not_disturb_each_other()
    {
        using SegmentedLog log = Open();
        var positions = new System.Collections.Concurrent.ConcurrentQueue<(LogPosition Position, string Text)>();
        using var stop = new CancellationTokenSource();
        long[] reads = new long[3];
        Task[] readers = [.. Enumerable.Range(0, 3).Select(reader => Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                foreach ((LogPosition position, string text) in positions)
                {
                    try
                    {
                        Assert.Equal(text, ReadText(log, position));
                        Interlocked.Increment(ref reads[reader]);
                    }
                    catch (HengeException e) when (e.Code == ErrorCode.InvalidArgument && position < log.First)
                    {
                        continue;
                    }
                }
            }
        }))];
        for (int i = 0; i < 2_000 || (reads.Any(static r => r < 100) && readers.All(static r => !r.IsCompleted)); i++)
        {
            string text = $"{i}:" + new string((char)('a' + i % 26), i * 37 % 700);
            positions.Enqueue((AppendSynced(log, text), text));
            while (positions.Count > 50)
            {
                positions.TryDequeue(out _);
            }

            if (i % 10 == 0)
            {
                log.TruncateFront(positions.First().Position);
            }
        }

        await stop.CancelAsync();
        await Task.WhenAll(readers);
    }

    [Fact]
    public void Appending_and_recovering_allocate_nothing_for_each_record()
    {
        string directory = Directory.CreateTempSubdirectory("henge-log-").FullName;
        try
        {
            var options = new SegmentedLogOptions { SegmentBytes = 4 << 20, ZeroAheadBytes = 0 };
            byte[] payload = new byte[100];
            int appended = 0;
            using (SegmentedLog log = SegmentedLog.Open(PosixFileSystem.Instance, directory, options, static (_, _, _) => { }))
            {
                LogBatch batch = log.CreateBatch();
                void Round()
                {
                    batch.Clear();
                    for (int i = 0; i < 10; i++)
                    {
                        batch.Add(1, payload);
                    }

                    log.Append(batch);
                    log.Sync();
                    appended += 10;
                }

                Assert.Equal(0, Allocations.Fewest(() =>
                {
                    for (int i = 0; i < 50; i++)
                    {
                        Round();
                    }
                }));
                for (; appended < 20_000; appended++)
                {
                    log.Append(1, payload);
                }
            }

            // Buffers are a matter of the log's length, not of its records.
            int records = 0;
            long fewest = Allocations.Fewest(() =>
            {
                records = 0;
                SegmentedLog.Open(PosixFileSystem.Instance, directory, options, (_, _, _) => records++).Dispose();
            });
            Assert.Equal(appended, records);
            Assert.InRange(fewest, 0, 300_000);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void A_dump_shows_header_records_marks_and_the_end()
    {
        using (SegmentedLog log = Open())
        {
            AppendSynced(log, "one");
            AppendSynced(log, "two", kind: 9);
        }

        var text = new StringWriter();
        LogDump.Write(Disk, FirstSegment, text, static (kind, payload) => $"<{kind}|{Encoding.ASCII.GetString(payload)}>");
        string dump = text.ToString();
        Assert.Contains("log segment 1, format 1", dump, StringComparison.Ordinal);
        Assert.Contains("<1|one>", dump, StringComparison.Ordinal);
        Assert.Contains("<9|two>", dump, StringComparison.Ordinal);
        Assert.Contains("mark: incarnation 0, all before 4112 is synced", dump, StringComparison.Ordinal);
        Assert.Contains("end of 2 good records", dump, StringComparison.Ordinal);
        Assert.DoesNotContain("DAMAGED", dump, StringComparison.Ordinal);
        Disk.FlipBit(FirstSegment, 4096 + 13, 0);
        text = new StringWriter();
        LogDump.Write(Disk, FirstSegment, text);
        Assert.Contains("DAMAGED", text.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_counts_records_and_lists_all_damage()
    {
        using (SegmentedLog log = Open())
        {
            for (int i = 0; i < 4; i++)
            {
                AppendSynced(log, "record");
                log.StartNewSegment();
            }
        }

        LogVerifyReport good = LogVerify.Verify(Disk, Dir);
        Assert.True(good.IsGood);
        Assert.Equal((5, 4L, 4L * 19), (good.Segments, good.Records, good.RecordBytes));
        Disk.FlipBit(FirstSegment, 4096 + 14, 0);
        Disk.FlipBit(Dir + "/0000000003.log", 4096 + 2, 0);
        LogVerifyReport bad = LogVerify.Verify(Disk, Dir);
        Assert.False(bad.IsGood);
        Assert.Equal([(FirstSegment, 4096L), (Dir + "/0000000003.log", 4096L)], bad.Damage.Select(static d => (d.Path, d.Offset)));
        Disk.FlipBit(Dir + "/0000000004.log", 18, 0);
        Assert.Contains((Dir + "/0000000004.log", 0L), LogVerify.Verify(Disk, Dir).Damage.Select(static d => (d.Path, d.Offset)));
        Assert.True(LogVerify.Verify(Disk, Dir + "/0000000002.log").IsGood);
        Assert.Throws<FileNotFoundException>(() => LogVerify.Verify(Disk, Dir + "/none.log"));
    }
}
