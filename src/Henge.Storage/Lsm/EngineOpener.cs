using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;

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
        IBackgroundScheduler? ownScheduler = options.Scheduler is null ? new ThreadScheduler("henge-" + Path.GetFileName(options.Directory)) : null;
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
        private readonly List<WriteBuffer> _buffers = [];

        public Run(LsmOptions options, IFileSystem files, IBackgroundScheduler scheduler)
        {
            var cache = new BlockCache(options.BlockCacheBytes);
            var obsolete = new ObsoleteFiles(files, options.Directory, scheduler, options.Log);
            _parts = new EngineParts(options, files, scheduler, cache, obsolete, new TableStore(files, options.Directory, options.Tables, cache, obsolete));
        }

        public LsmEngine Open(IDisposable directoryLock, IBackgroundScheduler? ownScheduler)
        {
            EngineLog? log = null;
            LevelSet? levels = null;
            ManifestFile? manifest = null;
            try
            {
                ManifestState found = ReadManifest(out bool torn, out ulong? oldManifest);
                levels = OpenTables(found);
                (log, List<byte[]> records, List<ulong> positions) = OpenLog(found);
                manifest = WriteManifest(found);
                EngineState state = CreateState(manifest, found, levels, log, positions);
                var work = new BackgroundWork(state, log);
                EngineLog? own = log;
                var applier = new BatchApplier(state, work, () => own?.End ?? 0);
                Replay(state, applier, records, positions);
                if (!torn)
                {
                    DeleteLeftovers(found, manifest.Number);
                }
                else if (oldManifest is { } old)
                {
                    _parts.Log($"{EngineFiles.Manifest(old)} ended with a torn edit, which was never in effect; files that are not listed are left alone this time.");
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
                _parts.Cache.Dispose();
                throw;
            }
        }

        private ManifestState ReadManifest(out bool torn, out ulong? number)
        {
            torn = false;
            number = null;
            IFileSystem files = _parts.Files;
            string directory = _parts.Directory;
            IReadOnlyList<string> names = files.List(directory);
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
                state = ManifestFile.Read(files, directory, number.Value, out torn);
            }
            else if (names.FirstOrDefault(static name => EngineFiles.IsTable(name, out _)) is { } table)
            {
                throw new HengeException(ErrorCode.Corruption, $"{Path.Combine(directory, EngineFiles.Current)} is missing, and there are tables ({table}). "
                    + "Put the file back, restore the directory from a checkpoint, or empty it and let the node be rebuilt from its peers; nothing was changed.");
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
                        opened.Add(table.Number, _parts.Store.Open(table));
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

        private (EngineLog? Log, List<byte[]> Records, List<ulong> Positions) OpenLog(ManifestState found)
        {
            LsmOptions options = _parts.Options;
            string directory = Path.Combine(options.Directory, EngineFiles.LogDirectory);
            var records = new List<byte[]>();
            var positions = new List<ulong>();
            if (!options.WriteAheadLog && (!_parts.Files.DirectoryExists(directory) || _parts.Files.List(directory).Count == 0))
            {
                return (null, records, positions);
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
                    throw new HengeException(ErrorCode.UnsupportedFormat, $"The engine's log in {directory} has a record of kind {kind} at {position}, which this build does not know.");
                }

                if (position.Value >= found.LogFloor)
                {
                    records.Add(payload.ToArray());
                    positions.Add(position.Value);
                }
            });
            try
            {
                if (log.Recovery.CutTail is { } cut)
                {
                    _parts.Log($"The end of the engine's log was torn by a crash and was cut: {cut}");
                }

                CheckLog(log, found, directory, records.Count);
            }
            catch
            {
                log.Dispose();
                throw;
            }

            if (!options.WriteAheadLog)
            {
                log.Dispose();
                return (null, records, positions);
            }

            return (new EngineLog(log), records, positions);
        }

        private void CheckLog(SegmentedLog log, ManifestState found, string directory, int recordCount)
        {
            if (!_parts.Options.WriteAheadLog && recordCount > 0)
            {
                throw new HengeException(ErrorCode.Misconfigured, $"The engine's log in {directory} holds {recordCount} batches that are in no table yet, and the options say WriteAheadLog = false. "
                    + "Open it with WriteAheadLog = true and flush it first.");
            }

            if (found.LogFloor != 0 && log.End.Value < found.LogFloor)
            {
                throw new HengeException(ErrorCode.Corruption, $"The engine's log in {directory} ends at {log.End}, and the manifest says that it went on to {LogPosition.FromValue(found.LogFloor)}. "
                    + "Files of the log are missing. Put them back, or restore the directory from a checkpoint; nothing was changed.");
            }

            if (log.First.SegmentId > LogPosition.FromValue(found.LogFloor).SegmentId && log.First.SegmentId > 1)
            {
                throw new HengeException(ErrorCode.Corruption, $"The engine's log in {directory} begins at {log.First}, and the manifest says that tables hold what lies below {LogPosition.FromValue(found.LogFloor)} only. "
                    + "Files of the log are missing, or the manifest's last edit is. Restore the directory from a checkpoint; nothing was changed.");
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

        private EngineState CreateState(ManifestFile manifest, ManifestState found, LevelSet levels, EngineLog? log, List<ulong> positions)
        {
            // Records from before a drop go to a memtable of an earlier epoch than those from after it.
            long capacity = _parts.Options.EffectiveMemTableBytes;
            ulong epoch = 0;
            foreach (ulong position in positions)
            {
                ulong at = EpochAt(found, position);
                if (_buffers.Count == 0 || at != epoch)
                {
                    epoch = at;
                    _buffers.Add(new WriteBuffer(capacity, epoch, position));
                }
            }

            if (_buffers.Count == 0 || epoch != found.Epoch)
            {
                _buffers.Add(new WriteBuffer(capacity, found.Epoch, log?.End ?? 0));
            }

            WriteBuffer[] older = [.. _buffers.Take(_buffers.Count - 1).Reverse()];
            return new EngineState(_parts, manifest, found, levels, _buffers[^1], older);
        }

        private void Replay(EngineState state, BatchApplier applier, List<byte[]> records, List<ulong> positions)
        {
            int at = 0;
            for (int i = 0; i < records.Count; i++)
            {
                while (at + 1 < _buffers.Count && positions[i] >= _buffers[at + 1].LogStart)
                {
                    at++;
                }

                if (!applier.Apply(records[i], _buffers[at]))
                {
                    throw new HengeException(ErrorCode.Corruption, $"The engine's log in {_parts.Directory} has a batch at {LogPosition.FromValue(positions[i])} that makes no sense, though its checksum is right. "
                        + "It was written by a faulty build.");
                }
            }

            for (int i = 0; i + 1 < _buffers.Count; i++)
            {
                _buffers[i].Seal();
            }
        }

        private static ulong EpochAt(ManifestState found, ulong position)
        {
            ulong epoch = found.Drops.Count == 0 ? found.Epoch : 0;
            foreach (RangeDrop drop in found.Drops.Values)
            {
                if (drop.LogPosition <= position)
                {
                    epoch = Math.Max(epoch, drop.Epoch);
                }
            }

            return epoch;
        }

        // The manifest was read whole, so what it does not list is what a crash left behind: outputs of jobs that did not end, and files that were
        // dropped and not deleted yet.
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
