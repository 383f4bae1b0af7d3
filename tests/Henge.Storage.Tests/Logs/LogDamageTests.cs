using System.Text;
using Henge.Core;
using Henge.Storage.Logs;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Logs;

/// <summary>Rotten bits and bytes at every place: noticed, or harmless; never a wrong record, never a wrong kind of error.</summary>
public sealed class LogDamageTests : LogTestBase
{
    private readonly List<string> _written = [];

    [Fact]
    public void Every_flipped_bit_of_a_cleanly_closed_log_is_noticed_or_harmless()
    {
        uint end;
        using (SegmentedLog log = Open())
        {
            for (int i = 0; i < 6; i++)
            {
                LogBatch batch = log.CreateBatch();
                for (int j = 0; j <= i; j++)
                {
                    string text = $"record {i} {j}" + new string('.', i * j);
                    batch.Add(1, Encoding.ASCII.GetBytes(text));
                    _written.Add("1:" + text);
                }

                log.Append(batch);
                log.Sync();
            }

            end = log.End.Offset;
        }

        int refused = 0;
        SimulatedFileSystem good = Disk.CrashClone(CrashMode.KeepAll, 0);
        for (uint offset = 0; offset < end + LogFormat.MarkBytes + 8; offset = offset == 63 ? LogFormat.SegmentHeaderBytes : offset + 1)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                SimulatedFileSystem disk = good.CrashClone(CrashMode.KeepAll, 0);
                disk.FlipBit(FirstSegment, offset, bit);
                string? error = TryOpen(disk, out List<string> found);

                // Every record is proven by a later mark, the last ones by the mark of the clean close: none may be lost in silence.
                bool mustNotice = offset < 36 || (offset >= LogFormat.SegmentHeaderBytes && offset < end);
                Assert.True(error is not null == mustNotice, $"bit {bit} of byte {offset}: {error ?? "not noticed"}");
                if (error is null)
                {
                    Assert.Equal(_written, found);
                }
                else
                {
                    refused++;
                    Assert.Contains(FirstSegment, error, StringComparison.Ordinal);
                    Assert.False(LogVerify.Verify(disk, Dir).IsGood);
                }
            }
        }

        Assert.Equal(8 * (36 + (int)end - LogFormat.SegmentHeaderBytes), refused);
    }

    [Fact]
    public void Every_flipped_bit_after_a_kill_costs_at_most_what_the_last_sync_covered()
    {
        SegmentedLog log = Open();
        LogPosition lastWindow = default;
        int before = 0;
        for (int i = 0; i < 5; i++)
        {
            before = _written.Count;
            lastWindow = log.End;
            for (int j = 0; j < 3; j++)
            {
                log.Append(1, Encoding.ASCII.GetBytes($"record {i} {j}"));
                _written.Add($"1:record {i} {j}");
            }

            log.Sync();
        }

        uint end = log.End.Offset;
        SimulatedFileSystem killed = Disk.CrashClone(CrashMode.KeepAll, 0);
        for (uint offset = LogFormat.SegmentHeaderBytes; offset < end; offset++)
        {
            SimulatedFileSystem disk = killed.CrashClone(CrashMode.KeepAll, 0);
            disk.FlipBit(FirstSegment, offset, (int)(offset % 8));
            string? error = TryOpen(disk, out List<string> found);
            if (error is null)
            {
                Assert.True(offset >= lastWindow.Offset, $"damage at {offset} was not noticed");
                Assert.True(found.Count >= before);
            }

            Assert.Equal(_written.Take(found.Count), found);
        }
    }

    [Fact]
    public void Random_bytes_are_refused_with_a_proper_error()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            byte[] bytes = new byte[random.Next(4) == 0 ? random.Next(64) : random.Next(20_000)];
            random.NextBytes(bytes);
            if (random.Next(2) == 0 && bytes.Length >= LogFormat.SegmentHeaderBytes)
            {
                // A good header, so that the records are reached.
                LogFormat.WriteHeader(bytes, new LogSegmentHeader(1, (ulong)random.NextInt64(), 0, 0));
                for (int i = 0; i < bytes.Length / 40; i++)
                {
                    // And many beginnings of records.
                    int at = random.Next(LogFormat.SegmentHeaderBytes, bytes.Length);
                    new byte[] { (byte)random.Next(40), 0, 0, 0, 1, 2, 3, 4, 1, 0, 0, 0, 0xF0 }
                        .AsSpan(0, Math.Min(13, bytes.Length - at))
                        .CopyTo(bytes.AsSpan(at));
                }
            }

            Disk.CreateDirectory(Dir);
            Disk.WriteAllBytes(FirstSegment, bytes);
            TryOpen(Disk, out List<string> found);
            Assert.Empty(found);
            LogVerify.Verify(Disk, Dir);
        }
    }

    [Fact]
    public void A_log_with_random_wounds_never_gives_a_wrong_record()
    {
        int noticed = 0;
        for (int seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var disk = new SimulatedFileSystem();
            var written = new List<string>();
            using (SegmentedLog log = SegmentedLog.Open(disk, Dir, Options, static (_, _, _) => { }))
            {
                for (int i = 0; i < 40; i++)
                {
                    string text = $"{seed} {i} " + new string('x', random.Next(2_000));
                    log.Append(1, Encoding.ASCII.GetBytes(text));
                    written.Add("1:" + text);
                    if (random.Next(2) == 0)
                    {
                        log.Sync();
                    }
                }
            }

            IReadOnlyList<string> names = disk.List(Dir);
            string victim = Dir + "/" + names[random.Next(names.Count)];
            byte[] bytes = disk.ReadAllBytes(victim);
            switch (random.Next(4))
            {
                case 0:
                    random.NextBytes(bytes.AsSpan(random.Next(bytes.Length / 2), random.Next(1, 5_000)));
                    break;
                case 1:
                    // A piece that slipped: good records at a wrong place.
                    int from = random.Next(bytes.Length - 3_000), to = random.Next(bytes.Length - 3_000);
                    bytes.AsSpan(from, 3_000).ToArray().CopyTo(bytes, to);
                    break;
                case 2:
                    Array.Resize(ref bytes, random.Next(bytes.Length));
                    break;
                default:
                    bytes = disk.ReadAllBytes(Dir + "/" + names[random.Next(names.Count)]);
                    break;
            }

            disk.WriteAllBytes(victim, bytes);
            if (TryOpen(disk, out List<string> found) is not null)
            {
                noticed++;
                Assert.False(LogVerify.Verify(disk, Dir).IsGood);
            }

            Assert.Equal(written.Take(found.Count), found);
        }

        Assert.True(noticed > 150, $"{noticed} noticed");
    }

    [Fact]
    public void Marks_of_an_earlier_incarnation_or_with_impossible_claims_are_not_believed()
    {
        const ulong salt = 77;
        byte[] bytes = new byte[16 * 1024];
        LogFormat.WriteHeader(bytes, new LogSegmentHeader(1, salt, 0, 0));
        int at = LogFormat.SegmentHeaderBytes;
        void Mark(uint incarnation, uint durableEnd)
        {
            LogFormat.WriteMark(bytes.AsSpan(at), salt, 1, new LogMark(incarnation, durableEnd));
            at += LogFormat.MarkBytes;
        }

        void Record(uint incarnation, byte kind)
        {
            LogFormat.WriteRecordHeader(bytes.AsSpan(at, LogFormat.RecordHeaderBytes), LogFormat.Seed(salt, incarnation), 1, kind);
            at += LogFormat.RecordHeaderBytes;
        }

        Record(0, 1);
        Mark(3, (uint)at);
        Record(3, 2);
        Record(2, 3);
        Mark(2, (uint)LogFormat.SegmentHeaderBytes);
        Disk.CreateDirectory(Dir);
        Disk.WriteAllBytes(FirstSegment, bytes);
        Assert.Null(TryOpen(Disk, out List<string> found));
        Assert.Equal(["1:", "2:"], found);

        at -= LogFormat.MarkBytes + LogFormat.RecordHeaderBytes;
        Mark(2, (uint)LogFormat.SegmentHeaderBytes);
        Record(2, 9);
        Disk.WriteAllBytes(FirstSegment, bytes);
        Assert.Null(TryOpen(Disk, out found));
        Assert.Equal(["1:", "2:"], found);

        // A reserved kind with a good checksum is of a newer format.
        at = LogFormat.SegmentHeaderBytes;
        Record(0, 0xF7);
        Disk.WriteAllBytes(FirstSegment, bytes);
        Assert.Equal(ErrorCode.UnsupportedFormat, Assert.Throws<HengeException>(Open).Code);
    }

    private string? TryOpen(SimulatedFileSystem disk, out List<string> found)
    {
        List<string> records = found = [];
        try
        {
            SegmentedLog
                .Open(disk, Dir, Options, (_, kind, payload) => records.Add($"{kind}:{Encoding.ASCII.GetString(payload)}"))
                .Dispose();
            return null;
        }
        catch (HengeException e)
        {
            Assert.True(e.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat, e.Message);
            return e.Message;
        }
    }
}
