using Henge.Core;
using Henge.Storage.Files;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Files;

/// <summary>
/// The simulated disk must lose what a real one may lose, and nothing else: tests that rest on it are worth as much as this.
/// </summary>
public sealed class SimulatedFileSystemTests
{
    private readonly SimulatedFileSystem _disk = new();

    [Theory]
    [InlineData(CrashMode.LoseAllUnsynced)]
    [InlineData(CrashMode.KeepAll)]
    [InlineData(CrashMode.LoseRandomPart)]
    public void What_was_synced_survives_every_crash(CrashMode mode)
    {
        IFile file = Create("/a", 10_000, 1);
        file.Sync();
        _disk.SyncDirectory("/");
        for (int seed = 0; seed < 20; seed++)
        {
            _disk.Crash(mode, seed);
            Assert.All(_disk.ReadAllBytes("/a"), static b => Assert.Equal(1, b));
            Assert.Equal(10_000, _disk.ReadAllBytes("/a").Length);
        }

        Assert.Throws<CrashException>(() => file.Read(0, new byte[1]));
        Assert.Throws<CrashException>(() => file.Sync());
        file.Dispose();
    }

    [Fact]
    public void Contents_not_synced_are_lost()
    {
        IFile file = Create("/a", 5_000, 1);
        file.Sync();
        _disk.SyncDirectory("/");
        file.Write(1_000, Filled(9_000, 2));
        _disk.Crash(CrashMode.LoseAllUnsynced, 0);
        Assert.Equal(Filled(5_000, 1), _disk.ReadAllBytes("/a"));
    }

    [Fact]
    public void Names_not_synced_are_lost_even_when_the_contents_were_synced()
    {
        Create("/a", 10, 1).Sync();
        _disk.Crash(CrashMode.LoseAllUnsynced, 0);
        Assert.False(_disk.FileExists("/a"));
    }

    [Fact]
    public void A_rename_not_synced_may_be_undone_by_a_crash()
    {
        Create("/a", 10, 1).Sync();
        Create("/b", 10, 2).Sync();
        _disk.SyncDirectory("/");
        _disk.Rename("/a", "/b");
        Assert.Equal(Filled(10, 1), _disk.ReadAllBytes("/b"));
        _disk.Crash(CrashMode.LoseAllUnsynced, 0);
        Assert.Equal(Filled(10, 1), _disk.ReadAllBytes("/a"));
        Assert.Equal(Filled(10, 2), _disk.ReadAllBytes("/b"));
    }

    [Fact]
    public void A_delete_not_synced_may_be_undone_by_a_crash()
    {
        Create("/a", 10, 1).Sync();
        _disk.SyncDirectory("/");
        _disk.Delete("/a");
        Assert.Equal(0, _disk.UsedBytes - 10);
        _disk.Crash(CrashMode.LoseAllUnsynced, 0);
        Assert.True(_disk.FileExists("/a"));
    }

    [Fact]
    public void A_killed_process_loses_nothing_but_what_was_not_synced_is_still_at_risk()
    {
        Create("/a", 10, 1);
        _disk.Crash(CrashMode.KeepAll, 0);
        Assert.Equal(Filled(10, 1), _disk.ReadAllBytes("/a"));
        _disk.Crash(CrashMode.LoseAllUnsynced, 0);
        Assert.False(_disk.FileExists("/a"));
    }

    [Fact]
    public void A_random_crash_keeps_some_pages_and_loses_others()
    {
        bool sawMixed = false;
        for (int seed = 0; seed < 50; seed++)
        {
            var disk = new SimulatedFileSystem();
            IFile file = disk.Open("/a", FileOpenMode.CreateNew);
            file.Write(0, Filled(64 * 1024, 1));
            file.Sync();
            disk.SyncDirectory("/");
            file.Write(0, Filled(64 * 1024, 2));
            disk.Crash(CrashMode.LoseRandomPart, seed);
            byte[] bytes = disk.ReadAllBytes("/a");
            Assert.All(bytes.Chunk(512), static sector => Assert.True(sector.All(b => b == sector[0]) && sector[0] is 1 or 2));
            sawMixed |= bytes.Contains((byte)1) && bytes.Contains((byte)2);
        }

        Assert.True(sawMixed);
    }

    [Fact]
    public void Crashes_repeat_by_seed()
    {
        byte[] Run(int seed)
        {
            var disk = new SimulatedFileSystem();
            IFile file = disk.Open("/a", FileOpenMode.CreateNew);
            disk.SyncDirectory("/");
            for (int i = 0; i < 30; i++)
            {
                file.Write(i * 3_000, Filled(5_000, (byte)i));
            }

            disk.Crash(CrashMode.LoseRandomPart, seed);
            return disk.ReadAllBytes("/a");
        }

        Assert.Equal(Run(5), Run(5));
        Assert.NotEqual(Run(5), Run(6));
    }

    [Fact]
    public void After_the_crash_point_nothing_works_until_the_restart()
    {
        IFile file = Create("/a", 10, 1);
        file.Sync();
        _disk.SyncDirectory("/");
        _disk.CrashAt = _disk.OperationCount + 2;
        file.Read(0, new byte[1]);
        Assert.Throws<CrashException>(() => file.Write(0, Filled(10, 9)));
        Assert.True(_disk.IsDown);
        Assert.Throws<CrashException>(() => file.Sync());
        Assert.Throws<CrashException>(() => _disk.FileExists("/a"));
        Assert.Throws<CrashException>(() => _disk.Open("/a", FileOpenMode.Read));
        _disk.Crash(CrashMode.LoseAllUnsynced, 0);
        Assert.Equal(Filled(10, 1), _disk.ReadAllBytes("/a"));
    }

    [Fact]
    public void A_failed_sync_forgets_pages_that_can_still_be_read()
    {
        int lost = 0;
        for (int round = 0; round < 20; round++)
        {
            var disk = new SimulatedFileSystem();
            IFile file = disk.Open("/a", FileOpenMode.CreateNew);
            file.Write(0, Filled(40_960, 1));
            file.Sync();
            disk.SyncDirectory("/");
            file.Write(0, Filled(40_960, 2));
            int skip = round;
            disk.Faults = op => op.Kind == FileOperationKind.Sync && skip-- <= round ? FaultDecision.Fail : FaultDecision.None;
            Assert.Throws<IOException>(file.Sync);
            disk.Faults = null;
            file.Sync();
            Assert.Equal(Filled(40_960, 2), disk.ReadAllBytes("/a"));
            SimulatedFileSystem rewritten = disk.CrashClone(CrashMode.KeepAll, 0);
            disk.Crash(CrashMode.LoseAllUnsynced, 0);
            lost += disk.ReadAllBytes("/a").Count(static b => b == 1);

            // Written again and synced, the pages are safe.
            using (IFile again = rewritten.Open("/a", FileOpenMode.ReadWrite))
            {
                again.Write(0, Filled(40_960, 2));
                again.Sync();
            }

            rewritten.Crash(CrashMode.LoseAllUnsynced, 0);
            Assert.Equal(Filled(40_960, 2), rewritten.ReadAllBytes("/a"));
        }

        Assert.True(lost > 0);
    }

    [Fact]
    public void A_full_disk_refuses_growth_and_takes_it_again_after_a_delete()
    {
        _disk.CapacityBytes = 10_000;
        IFile file = Create("/a", 6_000, 1);
        IFile second = Create("/b", 0, 0);
        Assert.Throws<DiskFullException>(() => second.Write(0, Filled(6_000, 2)));
        Assert.Throws<DiskFullException>(() => second.Preallocate(6_000));
        Assert.Equal(4_000, _disk.AvailableBytes("/"));
        file.Write(0, Filled(6_000, 3));
        _disk.Delete("/a");
        Assert.Throws<DiskFullException>(() => second.Preallocate(6_000));
        file.Dispose();
        second.Preallocate(6_000);
        Assert.Equal(4_000, _disk.AvailableBytes("/"));
    }

    [Fact]
    public void A_short_write_leaves_its_beginning()
    {
        IFile file = Create("/a", 10, 1);
        _disk.Faults = static op => op.Kind == FileOperationKind.Write ? FaultDecision.ShortWrite(4) : FaultDecision.None;
        Assert.Throws<IOException>(() => file.Write(0, Filled(10, 2)));
        _disk.Faults = null;
        Assert.Equal([2, 2, 2, 2, 1, 1, 1, 1, 1, 1], _disk.ReadAllBytes("/a"));
    }

    [Fact]
    public void A_flipped_bit_is_there_before_and_after_a_crash()
    {
        IFile file = Create("/a", 10, 0);
        file.Sync();
        _disk.SyncDirectory("/");
        _disk.FlipBit("/a", 3, 4);
        Assert.Equal(16, _disk.ReadAllBytes("/a")[3]);
        _disk.Crash(CrashMode.LoseAllUnsynced, 0);
        Assert.Equal(16, _disk.ReadAllBytes("/a")[3]);
    }

    [Fact]
    public void A_crash_clone_leaves_the_original_alone()
    {
        IFile file = Create("/a", 10, 1);
        file.Sync();
        _disk.SyncDirectory("/");
        _disk.Link("/a", "/b");
        file.Write(0, Filled(10, 2));
        SimulatedFileSystem lost = _disk.CrashClone(CrashMode.LoseAllUnsynced, 0);
        SimulatedFileSystem kept = _disk.CrashClone(CrashMode.KeepAll, 0);
        Assert.Equal(Filled(10, 1), lost.ReadAllBytes("/a"));
        Assert.False(lost.FileExists("/b"));
        Assert.Equal(Filled(10, 2), kept.ReadAllBytes("/b"));
        file.Write(0, Filled(10, 3));
        Assert.Equal(Filled(10, 3), _disk.ReadAllBytes("/b"));
        Assert.Equal(Filled(10, 2), kept.ReadAllBytes("/a"));
    }

    [Fact]
    public void Delays_and_counts_are_reported()
    {
        _disk.Faults = static op =>
            op.Kind == FileOperationKind.Sync ? FaultDecision.Slow(TimeSpan.FromMilliseconds(5)) : FaultDecision.None;
        IFile file = Create("/a", 10, 1);
        file.Sync();
        file.Sync();
        Assert.Equal(TimeSpan.FromMilliseconds(10), _disk.TakeDelay());
        Assert.Equal(TimeSpan.Zero, _disk.TakeDelay());
        Assert.Equal(new FileStatistics(0, 1, 2, 0, 0, 10), _disk.Statistics);
    }

    [Fact]
    public void Locks_end_with_the_process()
    {
        IDisposable before = _disk.Lock("/LOCK");
        _disk.Crash(CrashMode.KeepAll, 0);
        using (_disk.Lock("/LOCK"))
        {
            before.Dispose();
            Assert.Equal(ErrorCode.Locked, Assert.Throws<HengeException>(() => _disk.Lock("/LOCK")).Code);
        }
    }

    private IFile Create(string path, int length, byte value)
    {
        IFile file = _disk.Open(path, FileOpenMode.CreateNew);
        if (length > 0)
        {
            file.Write(0, Filled(length, value));
        }

        return file;
    }

    private static byte[] Filled(int length, byte value)
    {
        byte[] bytes = new byte[length];
        bytes.AsSpan().Fill(value);
        return bytes;
    }
}
