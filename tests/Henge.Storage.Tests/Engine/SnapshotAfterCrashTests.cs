using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Engine;

public sealed class SnapshotAfterCrashTests
{
    [Fact]
    public void A_snapshot_does_not_see_what_is_applied_again_behind_it_after_a_crash()
    {
        var files = new SimulatedFileSystem();
        using (var scheduler = new InlineScheduler())
        {
            LsmEngine engine = Open(files, scheduler);
            Write(engine, 1);
            engine.RequestFlush();

            // Goes into the next memtable, which is lost; the flush of the one before must not speak for it.
            Write(engine, 2);
            while (scheduler.TryRunOne())
            {
            }

            Assert.Equal(1UL, engine.GetDurablePosition(7));
            files.PowerOff();
            files.Crash(CrashMode.LoseAllUnsynced, 1);
        }

        using var second = new InlineScheduler();
        using LsmEngine again = Open(files, second);
        using IEngineSnapshot snapshot = again.CreateSnapshot();
        Write(again, 2);
        Assert.True(snapshot.TryGet(7, "key"u8, ReadPoint.AsOf(Core.Version.Max), out PinnedValue value));
        using (value)
        {
            Assert.Equal(1UL, value.Version.Value);
        }
    }

    private static LsmEngine Open(SimulatedFileSystem files, InlineScheduler scheduler) =>
        LsmEngine.Open(new LsmOptions { Directory = "/engine", FileSystem = files, Scheduler = scheduler, WriteAheadLog = false });

    private static void Write(LsmEngine engine, ulong version)
    {
        var batch = new WriteBatch();
        batch.Put(7, "key"u8, new Core.Version(version), [(byte)version]);
        batch.SetPosition(7, version);
        engine.Apply(batch);
    }
}
