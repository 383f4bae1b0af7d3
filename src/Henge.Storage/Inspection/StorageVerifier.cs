using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Inspection;

/// <summary>
/// Checks the directory of an engine that is not open: every checksum of every file, that levels are sorted and disjoint, that tables hold
/// what the manifest says, and that nothing is missing. Changes nothing. Behind <c>henge storage verify</c>.
/// </summary>
public static class StorageVerifier
{
    /// <summary>Checks a directory on the machine's own disk.</summary>
    public static VerifyReport Verify(string directory, Action<VerifyProgress>? progress = null) =>
        Verify(PosixFileSystem.Instance, directory, progress);

    /// <summary>Checks a directory: an engine's, a log's, or one that holds these below it (a node's data directory).</summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.Locked"/>: a process has it open. <see cref="ErrorCode.InvalidArgument"/>:
    /// there is nothing to check.</exception>
    public static VerifyReport Verify(IFileSystem files, string directory, Action<VerifyProgress>? progress = null)
    {
        if (!files.DirectoryExists(directory))
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"There is no directory {directory}. Name the directory of an engine, or a node's data directory.");
        }

        var reports = new List<VerifyReport>();
        Visit(files, directory, depth: 0, progress, reports);
        if (reports.Count == 0)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"{directory} holds no engine and no log: neither {EngineFiles.Current} nor a segment is in it or below it. Name the "
                    + $"directory of an engine, or a node's data directory.");
        }

        return new VerifyReport
        {
            Problems = [.. reports.SelectMany(static report => report.Problems)],
            Notes = [.. reports.SelectMany(static report => report.Notes)],
            Tables = reports.Sum(static report => report.Tables),
            Entries = reports.Sum(static report => report.Entries),
            TableBytes = reports.Sum(static report => report.TableBytes),
            LogRecords = reports.Sum(static report => report.LogRecords),
        };
    }

    private static void Visit(IFileSystem files, string directory, int depth, Action<VerifyProgress>? progress, List<VerifyReport> reports)
    {
        IReadOnlyList<string> names = files.List(directory);
        bool isRocksDb = names.Contains(EngineFiles.Current) && names.Any(static n => n.StartsWith("OPTIONS-", StringComparison.Ordinal));
        bool isEngine = !isRocksDb && names.Any(static name => name == EngineFiles.Current || EngineFiles.IsTable(name, out _));
        bool isLog = names.Any(static name => LogFormat.TryParseName(name, LogFormat.SegmentSuffix, out _));
        using IDisposable? held =
            isEngine || (!isRocksDb && names.Contains(EngineFiles.Lock)) ? files.Lock(Path.Combine(directory, EngineFiles.Lock)) : null;
        if (isEngine)
        {
            reports.Add(new Run(files, directory, progress).Go());
        }
        else if (isRocksDb)
        {
            var run = new Run(files, directory, progress);
            run.Note(
                $"{directory} holds a database of RocksDB, whose files are not looked at here. RocksDB checks every block that it reads.");
            reports.Add(run.Report([]));
        }
        else if (isLog)
        {
            var run = new Run(files, directory, progress);
            run.VerifyLog(directory, state: null, batches: false);
            reports.Add(run.Report([]));
        }

        foreach (string name in names.Where(name => depth < 3 && !(isEngine && name == EngineFiles.LogDirectory)))
        {
            string path = Path.Combine(directory, name);
            if (files.DirectoryExists(path))
            {
                Visit(files, path, depth + 1, progress, reports);
            }
        }
    }

    private sealed class Run(IFileSystem files, string directory, Action<VerifyProgress>? progress)
    {
        private readonly List<string> _problems = [];
        private readonly List<string> _notes = [];
        private int _filesDone;
        private long _bytesDone;
        private long _entries;
        private long _logRecords;

        public VerifyReport Go()
        {
            ManifestState? state = Try(() => ReadManifest());
            TableMeta[] tables = state is null ? [] : [.. state.Levels.SelectMany(static level => level.Values)];
            long total = tables.Sum(static table => table.Bytes);
            using (var cache = new BlockCache(0))
            {
                foreach (TableMeta table in tables)
                {
                    Try(() => VerifyTable(table, cache));
                    _bytesDone += table.Bytes;
                    progress?.Invoke(new VerifyProgress(EngineFiles.Table(table.Number), ++_filesDone, tables.Length, _bytesDone, total));
                }
            }

            VerifyLog(Path.Combine(directory, EngineFiles.LogDirectory), state, batches: true);
            NoteUnlisted(tables);
            return Report(tables);
        }

        public void Note(string note) => _notes.Add(note);

        public VerifyReport Report(TableMeta[] tables) => new()
        {
            Problems = _problems,
            Notes = _notes,
            Tables = tables.Length,
            Entries = _entries,
            TableBytes = tables.Sum(static table => table.Bytes),
            LogRecords = _logRecords,
        };

        private T? Try<T>(Func<T> check)
        {
            try
            {
                return check();
            }
            catch (HengeException error)
            {
                _problems.Add(error.Message);
            }
            catch (IOException error)
            {
                _problems.Add($"Could not be read: {error.Message}");
            }

            return default;
        }

        private ManifestState ReadManifest()
        {
            ulong number = ManifestFile.ReadCurrent(files, directory);
            ManifestState state = ManifestFile.Read(files, directory, number, out ManifestTail tail);
            if (tail.VoidEdit is { } voidEdit)
            {
                _notes.Add($"{voidEdit} by the next start, which leaves what it would have removed in place.");
            }

            if (tail.IsTorn)
            {
                _notes.Add($"{EngineFiles.Manifest(number)} ends with a torn edit, which was never in effect. The next start clears it.");
            }

            return state;
        }

        private bool VerifyTable(TableMeta table, BlockCache cache)
        {
            string path = Path.Combine(directory, EngineFiles.Table(table.Number));
            if (!files.FileExists(path))
            {
                throw Damage(path, "it is missing, and the manifest lists it");
            }

            IFile file = files.Open(path, FileOpenMode.Read);
            if (file.Length != table.Bytes)
            {
                long length = file.Length;
                file.Dispose();
                throw Damage(path, $"it has {length} bytes, and the manifest says {table.Bytes}");
            }

            TableReader reader = TableReader.Open(file, cache);
            try
            {
                reader.Verify();
                TableProperties properties = reader.Properties;
                if (
                    !properties.SmallestKey.AsSpan().SequenceEqual(table.Smallest)
                    || !properties.LargestKey.AsSpan().SequenceEqual(table.Largest)
                    || properties.EntryCount != table.Entries
                    || properties.MinVersion != table.MinVersion
                    || properties.MaxVersion != table.MaxVersion)
                {
                    throw Damage(path, $"its properties are not those that the manifest lists ({table})");
                }

                _entries += properties.EntryCount;
                return true;
            }
            finally
            {
                reader.Release();
            }
        }

        /// <summary>
        /// Checks a log; with <paramref name="batches"/>, also that its records are batches and reach up to what the manifest says.
        /// </summary>
        public void VerifyLog(string path, ManifestState? state, bool batches)
        {
            if (!files.DirectoryExists(path))
            {
                return;
            }

            LogVerifyReport? report = Try(() => LogVerify.Verify(files, path));
            if (report is null)
            {
                return;
            }

            _problems.AddRange(report.Damage.Select(static damage => damage.ToString()));
            _logRecords += report.Records;
            if (report.TornTail is { } torn)
            {
                _notes.Add(torn);
            }

            if (batches && report.IsGood)
            {
                Try(() => VerifyBatches(path, state));
            }
        }

        private bool VerifyBatches(string path, ManifestState? state)
        {
            using var recovery = new LogRecovery(files, path);
            LogRecoveryReport report = recovery.Run((position, kind, payload) =>
            {
                var reader = new WriteBatchReader(payload);
                while (reader.MoveNext())
                {
                }

                if (kind != EngineLog.BatchKind || reader.Damaged)
                {
                    _problems.Add($"The log in {path} has a record at {position} that is no batch.");
                }
            });
            if (state is not null && state.LogFloor != 0 && report.End.Value < state.LogFloor)
            {
                throw Damage(
                    path,
                    $"the log ends at {report.End}, and the manifest says that it went on to {LogPosition.FromValue(state.LogFloor)}");
            }

            return true;
        }

        private void NoteUnlisted(TableMeta[] tables)
        {
            var listed = tables.Select(static table => table.Number).ToHashSet();
            foreach (string name in files.List(directory))
            {
                if (EngineFiles.IsTable(name, out ulong number) && !listed.Contains(number))
                {
                    _notes.Add($"{name} is not listed by the manifest. If the manifest is whole, the next start deletes it.");
                }
            }
        }

        private static HengeException Damage(string path, string what) => new(ErrorCode.Corruption, $"{path} is damaged: {what}.");
    }
}
