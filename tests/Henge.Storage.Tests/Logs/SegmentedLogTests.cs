using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Logs;

public sealed class SegmentedLogTests : LogTestBase
{
    [Fact]
    public void Records_come_back_in_order_with_kinds_and_positions()
    {
        var positions = new List<LogPosition>();
        using (SegmentedLog log = Open())
        {
            for (int i = 0; i < 100; i++)
            {
                positions.Add(AppendSynced(log, $"record {i}", (byte)(i % 7)));
            }
        }

        var seen = new List<LogPosition>();
        using SegmentedLog again = SegmentedLog.Open(Disk, Dir, Options, (position, _, _) => seen.Add(position));
        Assert.Equal(positions, seen);
        Assert.Equal(100, again.Recovery.Records);
        Assert.Null(again.Recovery.CutTail);
        again.Dispose();
        Open().Dispose();
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i % 7}:record {i}"), Found);
    }

    [Fact]
    public void Payloads_may_be_empty()
    {
        using (SegmentedLog log = Open())
        {
            Assert.Equal("", ReadText(log, AppendSynced(log, "")));
        }

        Open().Dispose();
        Assert.Equal(["1:"], Found);
    }

    [Fact]
    public void A_batch_is_one_write_and_its_records_share_one_sync()
    {
        using SegmentedLog log = Open();
        LogBatch batch = log.CreateBatch();
        for (int i = 0; i < 50; i++)
        {
            batch.Add(3, "some payload"u8);
        }

        FileStatistics before = Disk.Statistics;
        log.Append(batch);
        log.Sync();
        log.Sync();
        Assert.Equal(before.Writes + 1, Disk.Statistics.Writes);
        Assert.Equal(before.Syncs + 1, Disk.Statistics.Syncs);
        Assert.Equal("some payload", ReadText(log, batch.PositionOf(49)));
        Assert.Equal(batch.FirstPosition, batch.PositionOf(0));
    }

    [Fact]
    public void An_empty_batch_writes_nothing()
    {
        using SegmentedLog log = Open();
        long writes = Disk.Statistics.Writes;
        log.Append(log.CreateBatch());
        Assert.Equal(writes, Disk.Statistics.Writes);
    }

    [Fact]
    public void Records_are_spread_over_segments()
    {
        using (SegmentedLog log = Open())
        {
            for (int i = 0; i < 40; i++)
            {
                AppendSynced(log, new string('x', 3_000) + i);
            }

            Assert.True(log.End.SegmentId >= 10);
            Assert.Equal(log.End.SegmentId * 16L * 1024, log.DiskBytes);
            Assert.InRange(log.SizeBytes, 40 * 3_014, 40 * 3_050);
        }

        Open().Dispose();
        Assert.Equal(40, Found.Count);
        Assert.EndsWith("x39", Found[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Unsynced_records_may_be_lost_and_the_log_goes_on_after_them()
    {
        SegmentedLog log = Open();
        AppendSynced(log, "one");
        log.Append(1, "two"u8);
        Disk.Crash(CrashMode.LoseAllUnsynced, 0);
        using (log = Open())
        {
            Assert.Equal(["1:one"], Found);
            AppendSynced(log, "three");
        }

        Open().Dispose();
        Assert.Equal(["1:one", "1:three"], Found);
    }

    [Fact]
    public void A_torn_tail_is_cut()
    {
        SegmentedLog log = Open();
        AppendSynced(log, "one");
        LogPosition last = log.Append(1, "never synced"u8);
        Kill();
        Disk.FlipBit(FirstSegment, last.Offset + 15, 3);
        using (log = Open())
        {
            Assert.Equal(["1:one"], Found);
            Assert.Contains(FirstSegment, log.Recovery.CutTail, StringComparison.Ordinal);
            AppendSynced(log, "two");
        }

        Open().Dispose();
        Assert.Equal(["1:one", "1:two"], Found);
    }

    [Fact]
    public void A_record_cut_with_the_tail_never_comes_back()
    {
        // The second record of the tail is good, and stays in the file behind what is written later.
        SegmentedLog log = Open();
        AppendSynced(log, "one");
        LogPosition torn = log.Append(1, "12345678"u8);
        log.Append(1, "87654321"u8);
        Kill();
        Disk.FlipBit(FirstSegment, torn.Offset + 15, 3);

        // What is now written at the cut is exactly as long as what was there: the good record follows it.
        log = Open();
        Assert.Equal(["1:one"], Found);
        Kill();
        log = Open();
        Assert.Equal(["1:one"], Found);
        log.Dispose();
    }

    [Fact]
    public void A_bad_record_before_what_was_synced_later_is_damage()
    {
        SegmentedLog log = Open();
        LogPosition first = AppendSynced(log, "one");
        AppendSynced(log, "two");
        Kill();
        Disk.FlipBit(FirstSegment, first.Offset + 13, 0);
        byte[] before = Disk.ReadAllBytes(FirstSegment);
        HengeException error = Assert.Throws<HengeException>(Open);
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains(FirstSegment, error.Message, StringComparison.Ordinal);
        Assert.Contains($"offset {first.Offset}", error.Message, StringComparison.Ordinal);
        Assert.Contains("backup", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, Disk.ReadAllBytes(FirstSegment));
    }

    [Fact]
    public void A_lost_page_before_what_was_synced_later_is_damage()
    {
        using (SegmentedLog log = Open())
        {
            AppendSynced(log, new string('x', 9_000));
        }

        byte[] bytes = Disk.ReadAllBytes(FirstSegment);
        bytes.AsSpan(4096, 4096).Clear();
        Disk.WriteAllBytes(FirstSegment, bytes);
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(Open).Code);
    }

    [Fact]
    public void A_damaged_length_is_noticed()
    {
        LogPosition first;
        using (SegmentedLog log = Open())
        {
            first = AppendSynced(log, "one");
            AppendSynced(log, "two");
        }

        for (int bit = 0; bit < 32; bit++)
        {
            Disk.FlipBit(FirstSegment, first.Offset + bit / 8, bit % 8);
            Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(Open).Code);
            Disk.FlipBit(FirstSegment, first.Offset + bit / 8, bit % 8);
        }
    }

    [Fact]
    public void Damage_at_the_end_of_a_segment_that_is_not_the_last_is_damage()
    {
        SegmentedLog log = Open();
        log.Append(1, "one"u8);
        LogPosition last = log.Append(1, "two"u8);
        log.StartNewSegment();
        Kill();
        Disk.FlipBit(FirstSegment, last.Offset + 14, 0);
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(Open).Code);
    }

    [Fact]
    public void An_unknown_format_version_is_refused()
    {
        using (SegmentedLog log = Open())
        {
            AppendSynced(log, "one");
        }

        byte[] bytes = Disk.ReadAllBytes(FirstSegment);
        bytes[8] = 2;
        BitConverter.TryWriteBytes(bytes.AsSpan(32), Crc32C.Compute(bytes.AsSpan(0, 32)));
        Disk.WriteAllBytes(FirstSegment, bytes);
        HengeException error = Assert.Throws<HengeException>(Open);
        Assert.Equal(ErrorCode.UnsupportedFormat, error.Code);
        Assert.Contains("version 2", error.Message, StringComparison.Ordinal);
        Assert.Equal(bytes, Disk.ReadAllBytes(FirstSegment));
    }

    [Fact]
    public void A_flipped_bit_in_the_version_is_damage_and_not_a_newer_format()
    {
        Open().Dispose();
        Disk.FlipBit(FirstSegment, 9, 1);
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(Open).Code);
    }

    [Fact]
    public void A_missing_segment_is_refused()
    {
        using (SegmentedLog log = Open())
        {
            for (int i = 0; i < 3; i++)
            {
                AppendSynced(log, "x");
                log.StartNewSegment();
            }
        }

        Disk.Delete(Dir + "/0000000002.log");
        HengeException error = Assert.Throws<HengeException>(Open);
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains("0000000002.log", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_segment_under_another_name_is_refused()
    {
        Open().Dispose();
        Disk.Rename(FirstSegment, Dir + "/0000000009.log");
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(Open).Code);
    }

    [Fact]
    public void Too_large_records_and_batches_are_refused_and_leave_no_trace()
    {
        Options = Options with { MaxRecordBytes = 1_000 };
        using SegmentedLog log = Open();
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => log.Append(1, new byte[1_001])).Code);
        LogBatch batch = log.CreateBatch();
        batch.Add(1, new byte[1_000]);
        while (batch.Fits(1_000))
        {
            batch.Add(1, new byte[1_000]);
        }

        int count = batch.Count;
        Assert.Equal(ErrorCode.TooLarge, Assert.Throws<HengeException>(() => batch.Add(1, new byte[1_000])).Code);
        Assert.Equal(count, batch.Count);
        Assert.True(batch.ByteCount <= log.MaxBatchBytes);
        log.Append(batch);
        log.Sync();
        Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<HengeException>(() => log.Append(0xF0, "x"u8)).Code);
    }

    [Fact]
    public void The_largest_record_fits_a_segment_that_was_reopened()
    {
        for (int i = 0; i < 5; i++)
        {
            using SegmentedLog log = Open();
            Assert.Equal(i, Found.Count);
            log.Append(1, new byte[log.MaxRecordBytes]);
        }
    }

    [Fact]
    public void Bad_settings_are_named()
    {
        Options = Options with { SegmentBytes = 100 };
        HengeException error = Assert.Throws<HengeException>(Open);
        Assert.Equal(ErrorCode.InvalidArgument, error.Code);
        Assert.Contains("SegmentBytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_may_change_between_starts()
    {
        int[] sizes = [16, 64, 20, 128, 16, 17];
        var expected = new List<string>();
        foreach (int size in sizes)
        {
            Options = Options with { SegmentBytes = size * 1024, MaxSpareSegments = size % 3 };
            using SegmentedLog log = Open();
            Assert.Equal(expected, Found);
            for (int i = 0; i < 30; i++)
            {
                string text = $"{size}-{i}" + new string('y', 900);
                AppendSynced(log, text);
                expected.Add("1:" + text);
            }
        }

        Open().Dispose();
        Assert.Equal(expected, Found);
    }

    [Fact]
    public void Starts_without_writes_leave_no_trace()
    {
        SegmentedLog log = Open();
        AppendSynced(log, "one");
        Kill();
        Open();
        byte[] bytes = Disk.ReadAllBytes(FirstSegment);
        for (int i = 0; i < 10; i++)
        {
            Kill();
            Open();
            Assert.Equal(["1:one"], Found);
        }

        Assert.Equal(bytes, Disk.ReadAllBytes(FirstSegment));
        Assert.Equal(["0000000001.log"], Disk.List(Dir));
    }
}
