using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Compactions;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Settings;
using Henge.Storage.Lsm.State;
using Henge.Storage.Lsm.Writing;

namespace Henge.Storage.Lsm;

/// <summary>Opens an engine: takes the lock, reads the manifest, opens tables, replays the log, and only then clears up.</summary>
internal static class EngineOpener
{
    public static LsmEngine Open(LsmOptions options)
    {
        options.Validate();
        IFileSystem files = options.FileSystem ?? PosixFileSystem.Instance;
        files.CreateDirectoryDurably(options.Directory);
        IDisposable directoryLock = files.Lock(Path.Combine(options.Directory, EngineFiles.Lock));
        IBackgroundScheduler? ownScheduler = options.Scheduler is null
            ? new ThreadScheduler("henge-" + Path.GetFileName(options.Directory))
            : null;
        try
        {
            var run = new Run(options, files, options.Scheduler ?? ownScheduler!);
            return run.Open(directoryLock, ownScheduler);
        }
        catch
        {
            ownScheduler?.Dispose();
            directoryLock.Dispose();
            throw;
        }
    }

    private sealed class Run
    {
        private readonly EngineParts _parts;
        public Run(LsmOptions options, IFileSystem files, IBackgroundScheduler scheduler)
        {
            var cache = new BlockCache(options.BlockCacheBytes);
            var obsolete = new ObsoleteFiles(files, options.Directory, scheduler, options.Log);
            _parts = new EngineParts(
                options,
                files,
                scheduler,
                cache,
                obsolete,
                new TableStore(files, options.Directory, options.Tables, cache, obsolete));
        }

        public LsmEngine Open(IDisposable directoryLock, IBackgroundScheduler? ownScheduler)
        {
            EngineLog? log = null;
            LevelSet? levels = null;
            ManifestFile? manifest = null;
            ReplayTarget? replay = null;
            try
            {
                ManifestState found = ReadManifest(out ManifestTail tail, out ulong? oldManifest);
                levels = OpenTables(found);
                replay = new ReplayTarget(found, _parts.Options.EffectiveMemTableBytes);
                log = OpenLog(found, replay);
                manifest = WriteManifest(found);
                List<WriteBuffer> buffers = replay.Finish(log?.End ?? 0);
                var state = new EngineState(_parts, manifest, found, levels, replay.Clocks, buffers);
                var work = new BackgroundWork(state, log);
                EngineLog? own = log;
                var applier = new BatchApplier(state, work, () => own?.End ?? 0);
                if (tail.VoidEdit is { } voidEdit)
                {
                    _parts.Log($"{voidEdit}; files that are not listed are left alone this time.");
                }
                else if (!tail.IsTorn)
                {
                    DeleteLeftovers(found, manifest.Number);
                }
                else if (oldManifest is { } old)
                {
                    _parts.Log(
                        $"{EngineFiles.Manifest(old)} ended with a torn edit, which was never in effect; files that are not listed are "
                            + $"left alone this time.");
                }

                var engine = new LsmEngine(state, work, applier, log, directoryLock, ownScheduler);
                work.ScheduleFlush();
                work.ScheduleCompaction();
                return engine;
            }
            catch
            {
                manifest?.Dispose();
                log?.Dispose();
                levels?.Release();
                replay?.Free();
                _parts.Cache.Dispose();
                throw;
            }
        }

        private ManifestState ReadManifest(out ManifestTail tail, out ulong? number)
        {
            tail = default;
            number = null;
            IFileSystem files = _parts.Files;
            string directory = _parts.Directory;
            IReadOnlyList<string> names = files.List(directory);
            if (names.Contains(EngineFiles.BitcaskManifest))
            {
                throw new HengeException(
                    ErrorCode.Misconfigured,
                    $"{directory} holds the files of the bitcask engine, and was to be opened as one of the lsm engine. Nothing was changed. "
                        + "Open it with the engine that it was made with, or name another directory.");
            }

            ulong highest = 0;
            foreach (string name in names)
            {
                if (EngineFiles.IsTable(name, out ulong n) || EngineFiles.IsManifest(name, out n))
                {
                    highest = Math.Max(highest, n);
                }
            }

            ManifestState state;
            if (files.FileExists(Path.Combine(directory, EngineFiles.Current)))
            {
                number = ManifestFile.ReadCurrent(files, directory);
                state = ManifestFile.Read(files, directory, number.Value, out tail);
            }
            else if (names.FirstOrDefault(static name => EngineFiles.IsTable(name, out _)) is { } table)
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"{Path.Combine(directory, EngineFiles.Current)} is missing, and there are tables ({table}). "
                        + "Nothing was changed. Put the file back. "
                        + DirectoryAdvice.Engine);
            }
            else
            {
                state = new ManifestState();
            }

            _parts.Store.ReserveBelow(Math.Max(state.NextFileNumber, highest + 1));
            return state;
        }

        private LevelSet OpenTables(ManifestState found)
        {
            var edit = new VersionEdit();
            var opened = new Dictionary<ulong, TableHandle>();
            try
            {
                for (int level = 0; level < LevelSet.LevelCount; level++)
                {
                    foreach (TableMeta table in found.Levels[level].Values)
                    {
                        opened.Add(table.Number, OpenTable(table));
                        edit.AddedTables.Add((level, table));
                    }
                }
            }
            catch
            {
                foreach (TableHandle table in opened.Values)
                {
                    table.Retain();
                    table.Release();
                }

                throw;
            }

            edit.AddedDrops.AddRange(found.Drops.Values);
            return LevelSet.Empty().With(edit, opened);
        }

        private TableHandle OpenTable(TableMeta table)
        {
            try
            {
                return _parts.Store.Open(table);
            }
            catch (HengeException error) when (error.Code == ErrorCode.Corruption && _parts.Options.OpenDamagedTables)
            {
                _parts.Log($"A table cannot be opened, and what lies in it is refused: {error.Message}");
                return _parts.Store.OpenUnreadable(table, error);
            }
        }

        private EngineLog? OpenLog(ManifestState found, ReplayTarget replay)
        {
            LsmOptions options = _parts.Options;
            string directory = Path.Combine(options.Directory, EngineFiles.LogDirectory);
            if (!options.WriteAheadLog && (!_parts.Files.DirectoryExists(directory) || _parts.Files.List(directory).Count == 0))
            {
                return null;
            }

            var logOptions = new SegmentedLogOptions
            {
                SegmentBytes = (int)Math.Clamp(options.LogSegmentBytes, 16 << 10, 1 << 30),
                MaxRecordBytes = int.MaxValue,
                NewSalt = options.NewLogSalt,
            };
            SegmentedLog log = SegmentedLog.Open(_parts.Files, directory, logOptions, (position, kind, payload) =>
            {
                if (kind != EngineLog.BatchKind)
                {
                    throw new HengeException(ErrorCode.UnsupportedFormat, $"The engine's log in {directory} has a record of kind {kind} at "
                        + $"{position}, which this build does not know.");
                }

                replay.Add(position, payload, directory);
            });
            try
            {
                if (log.Recovery.CutTail is { } cut)
                {
                    _parts.Log($"The end of the engine's log was torn by a crash and was cut: {cut}");
                }

                CheckLog(log, found, directory, replay.Batches);
            }
            catch
            {
                log.Dispose();
                throw;
            }

            if (!options.WriteAheadLog)
            {
                log.Dispose();
                return null;
            }

            return new EngineLog(log);
        }

        private void CheckLog(SegmentedLog log, ManifestState found, string directory, long recordCount)
        {
            if (!_parts.Options.WriteAheadLog && recordCount > 0)
            {
                throw new HengeException(
                    ErrorCode.Misconfigured,
                    $"The engine's log in {directory} holds {recordCount} batches that are in no table yet, and the options say "
                        + $"WriteAheadLog = false. "
                        + "Open it with WriteAheadLog = true and flush it first.");
            }

            if (found.LogFloor != 0 && log.End.Value < found.LogFloor)
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"The engine's log in {directory} ends at {log.End}, and the manifest says that it went on to "
                        + $"{LogPosition.FromValue(found.LogFloor)}. "
                        + "Files of the log are missing. Put them back, or restore the directory from a checkpoint; nothing was changed.");
            }

            if (log.First.SegmentId > LogPosition.FromValue(found.LogFloor).SegmentId && log.First.SegmentId > 1)
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"The engine's log in {directory} begins at {log.First}, and the manifest says that tables hold what lies below "
                        + $"{LogPosition.FromValue(found.LogFloor)} only. "
                        + "Files of the log are missing, or the manifest's last edit is. Restore the directory from a checkpoint; nothing "
                        + "was changed.");
            }
        }

        // Each start begins a new manifest: the old one may end in a torn record, behind which nothing must be written.
        private ManifestFile WriteManifest(ManifestState found)
        {
            ulong number = _parts.Store.NextNumber();
            found.NextFileNumber = _parts.Store.PeekNumber;
            ManifestFile manifest = ManifestFile.Create(_parts.Files, _parts.Directory, number, found.ToEdit());
            try
            {
                ManifestFile.SwitchTo(_parts.Files, _parts.Directory, number);
                return manifest;
            }
            catch
            {
                manifest.Dispose();
                throw;
            }
        }

        // The manifest was read whole, so what it does not list is what a crash left behind: outputs of jobs that did not end, and files
        // that were dropped and not deleted yet.
        private void DeleteLeftovers(ManifestState found, ulong manifestNumber)
        {
            var listed = found.Levels.SelectMany(static level => level.Keys).ToHashSet();
            foreach (string name in _parts.Files.List(_parts.Directory))
            {
                if ((EngineFiles.IsTable(name, out ulong number) && !listed.Contains(number))
                    || (EngineFiles.IsManifest(name, out number) && number != manifestNumber))
                {
                    _parts.Obsolete.Add(name);
                }
            }
        }
    }
}
