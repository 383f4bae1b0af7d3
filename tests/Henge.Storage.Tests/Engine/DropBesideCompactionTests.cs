using Henge.Core;
using Henge.Storage;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>A range is dropped while a flush or a compaction stands in the middle of its work (decision 0130).</summary>
public sealed class DropBesideCompactionTests : IDisposable
{
    private readonly SimulatedFileSystem _files = new();
    private readonly InlineScheduler _scheduler = new();
    private readonly List<string> _log = [];

    public void Dispose() => _scheduler.Dispose();

    [Theory]
    [InlineData(BackgroundPoint.Chosen)]
    [InlineData(BackgroundPoint.Writing)]
    [InlineData(BackgroundPoint.Written)]
    public void A_compaction_whose_tables_were_dropped_throws_its_output_away(BackgroundPoint until)
    {
        using (LsmEngine engine = OpenWithTwoTables(StorageBugs.None))
        {
            StepUntil(until);
            engine.DropRange(1, "m"u8, "z"u8);
            _scheduler.RunAll();
            Assert.Equal(["a1", "a2"], Keys(engine));
            Assert.Equal(1, engine.GetStatistics().DiscardedCompactions);
            Write(engine, 40, "m7");
            engine.Flush();
            _scheduler.RunAll();
            Assert.Equal(["a1", "a2", "m7"], Keys(engine));
        }

        VerifyReport report = StorageVerifier.Verify(_files, "/db");
        Assert.Empty(report.Problems);
        Assert.Empty(report.Notes);
        using LsmEngine again = Open(StorageBugs.None);
        Assert.Equal(["a1", "a2", "m7"], Keys(again));
    }

    [Fact]
    public void A_table_that_was_dropped_is_not_moved()
    {
        using LsmEngine engine = Open(StorageBugs.None);
        _scheduler.RunAll();
        Write(engine, 1, "m1");
        FlushOnly(engine);
        Write(engine, 2, "n1");
        FlushOnly(engine);
        Assert.True(_scheduler.TryStep(BackgroundKind.Compaction, out BackgroundPoint point));
        Assert.Equal(BackgroundPoint.Chosen, point);
        engine.DropRange(1, "m"u8, "n"u8);
        _scheduler.RunAll();
        Assert.Equal(["n1"], Keys(engine));
        engine.Dispose();
        using LsmEngine again = Open(StorageBugs.None);
        Assert.Equal(["n1"], Keys(again));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_a_flush_was_writing_when_it_was_dropped_does_not_come_back(bool reopen)
    {
        LsmEngine engine = Open(StorageBugs.None);
        Write(engine, 5, "a1", "m1", "m2");
        engine.RequestFlush();
        StepUntil(BackgroundPoint.Written, BackgroundKind.Flush);
        Assert.Equal(["a1", "m1", "m2"], Keys(engine));
        engine.DropRange(1, "m"u8, "z"u8);
        _scheduler.RunAll();

        // At a lower version than what was dropped, as a snapshot from a leader may bring it.
        Write(engine, 3, "m2");
        if (reopen)
        {
            engine.Flush();
            engine.Dispose();
            engine = Open(StorageBugs.None);
        }

        Assert.Equal(["a1", "m2"], Keys(engine));
        Assert.Equal(3ul, VersionOf(engine, "m2"));
        engine.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_manifest_that_an_older_build_left_behind_can_be_opened(bool rolled)
    {
        MakeOldManifest(rolled);

        // What that build said at each start.
        VerifyReport report = StorageVerifier.Verify(_files, "/db");
        Assert.Empty(report.Problems);
        Assert.Contains(report.Notes, static note => note.Contains("never in effect", StringComparison.Ordinal));

        using (LsmEngine engine = Open(StorageBugs.None))
        {
            Assert.Contains(_log, static line => line.Contains("never in effect", StringComparison.Ordinal));
            Assert.Equal(["a1", "a2"], Keys(engine));
            Write(engine, 50, "m9");
            engine.Flush();
            _scheduler.RunAll();
        }

        _log.Clear();
        using LsmEngine again = Open(StorageBugs.None);
        Assert.Empty(_log);
        Assert.Equal(["a1", "a2", "m9"], Keys(again));
        again.Dispose();
        Assert.Empty(StorageVerifier.Verify(_files, "/db").Problems);
    }

    [Fact]
    public void An_edit_that_does_not_fit_and_is_not_the_last_one_is_damage()
    {
        MakeOldManifest(rolled: false);
        ulong number = ManifestFile.ReadCurrent(_files, "/db");
        string path = "/db/" + EngineFiles.Manifest(number);
        uint edits = 0;
        ManifestFile.Walk(_files, path, (_, _) => edits++);
        using (Henge.Storage.Files.IFile file = _files.Open(path, Henge.Storage.Files.FileOpenMode.ReadWrite))
        {
            file.Write(file.Length, ManifestRecord.Encode(edits + 1, new VersionEdit { HistoryFloor = new Core.Version(1) }.Encode()));
            file.Sync();
        }

        HengeException error = Assert.Throws<HengeException>(() => Open(StorageBugs.None));
        Assert.Equal(ErrorCode.Corruption, error.Code);
    }

    [Fact]
    public void An_edit_with_a_position_that_does_not_fit_is_damage()
    {
        MakeOldManifest(rolled: false, edit => edit.Positions.Add((9, 100)));
        HengeException error = Assert.Throws<HengeException>(() => Open(StorageBugs.None));
        Assert.Equal(ErrorCode.Corruption, error.Code);
    }

    [Fact]
    public void A_full_disk_when_the_manifest_is_synced_stops_the_engine()
    {
        using LsmEngine engine = Open(StorageBugs.None);
        Write(engine, 1, "a");
        bool full = false;
        _files.Faults = operation =>
            full && operation.Kind == FileOperationKind.Sync && operation.Path.Contains("MANIFEST", StringComparison.OrdinalIgnoreCase)
                ? FaultDecision.DiskFull
                : FaultDecision.None;
        full = true;
        engine.RequestFlush();
        _scheduler.RunAll();
        full = false;
        Assert.Throws<IOException>(() => Keys(engine));
        engine.Dispose();

        // The record was written: whatever of it counts, its table must be there.
        _files.Crash(CrashMode.KeepAll, 1);
        using LsmEngine again = Open(StorageBugs.None);
        Assert.Equal(["a"], Keys(again));
    }

    [Fact]
    public void A_drop_that_a_full_disk_refuses_hides_nothing()
    {
        using LsmEngine engine = Open(StorageBugs.None);
        Write(engine, 1, "a");
        engine.Flush();
        _scheduler.RunAll();
        _files.Faults = static operation => operation.Kind == FileOperationKind.Write ? FaultDecision.DiskFull : FaultDecision.None;
        Assert.ThrowsAny<IOException>(() => engine.DropRange(1, default, default));
        _files.Faults = null;
        Assert.Equal(["a"], Keys(engine));
        engine.DropRange(1, default, default);
        Assert.Empty(Keys(engine));
    }

    // What a build before decision 0130 left behind: the edit of a compaction behind that of the drop that was faster.
    private void MakeOldManifest(bool rolled, Action<VersionEdit>? change = null)
    {
        using (LsmEngine engine = OpenWithTwoTables(StorageBugs.WriteUncheckedEdits, rolled ? 1 : 1 << 20))
        {
            StepUntil(BackgroundPoint.Written);
            engine.DropRange(1, "m"u8, "z"u8);
            if (change is null)
            {
                _scheduler.RunAll();
                Assert.Throws<HengeException>(() => Keys(engine));
            }
            else
            {
                var edit = new VersionEdit();
                edit.RemovedTables.Add((0, 1_000));
                edit.NextFileNumber = 2_000;
                change(edit);
                Assert.Throws<HengeException>(() => engine.State.TryInstall(edit, [], []));
            }
        }

        _scheduler.Clear();
        _log.Clear();
    }

    private LsmEngine OpenWithTwoTables(StorageBugs bugs, long manifestRollBytes = 1 << 20)
    {
        LsmEngine engine = Open(bugs, manifestRollBytes);
        _scheduler.RunAll();
        Write(engine, 1, "m1", "m2");
        FlushOnly(engine);
        Write(engine, 2, "a1", "m1", "m3");
        Write(engine, 3, "a2");
        FlushOnly(engine);
        return engine;
    }

    // Flushes, and leaves compactions alone.
    private void FlushOnly(LsmEngine engine)
    {
        engine.RequestFlush();
        while (_scheduler.TryStep(BackgroundKind.Flush, out _))
        {
            // To its end.
        }
    }

    private void StepUntil(BackgroundPoint wanted, BackgroundKind kind = BackgroundKind.Compaction)
    {
        BackgroundPoint point = default;
        while (_scheduler.Count > 0)
        {
            if (_scheduler.TryStep(kind, out point) && point == wanted)
            {
                return;
            }
        }

        Assert.Fail($"No job came to {wanted}.");
    }

    private LsmEngine Open(StorageBugs bugs, long manifestRollBytes = 1 << 20) => LsmEngine.Open(TinyOptions.Create(_files, _scheduler) with
    {
        WriteAheadLog = false,
        StepEntries = 1,
        ManifestRollBytes = manifestRollBytes,
        Bugs = bugs,
        Log = _log.Add,
    });

    private static void Write(LsmEngine engine, ulong version, params string[] keys)
    {
        var batch = new WriteBatch();
        foreach (string key in keys)
        {
            batch.Put(1, System.Text.Encoding.ASCII.GetBytes(key), new Core.Version(version), "value"u8);
        }

        engine.Apply(batch);
    }

    private static ulong VersionOf(LsmEngine engine, string key)
    {
        Assert.True(engine.TryGet(1, System.Text.Encoding.ASCII.GetBytes(key), new ReadPoint(Core.Version.Max, 0), out PinnedValue value));
        using (value)
        {
            return value.Version.Value;
        }
    }

    private static List<string> Keys(LsmEngine engine)
    {
        using EngineIterator iterator = engine.CreateIterator(
            new IteratorOptions { Keyspace = 1, Point = new ReadPoint(Core.Version.Max, 0) });
        var keys = new List<string>();
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            keys.Add(System.Text.Encoding.ASCII.GetString(iterator.Key));
        }

        return keys;
    }
}
