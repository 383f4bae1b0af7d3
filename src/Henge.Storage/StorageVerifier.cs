using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm;

namespace Henge.Storage;

/// <summary>How far a verification is.</summary>
/// <param name="File">The file that was just checked.</param>
/// <param name="FilesDone">Files checked, this one included.</param>
/// <param name="FilesTotal">Files to check.</param>
/// <param name="BytesDone">Bytes checked.</param>
/// <param name="BytesTotal">Bytes to check.</param>
public readonly record struct VerifyProgress(string File, int FilesDone, int FilesTotal, long BytesDone, long BytesTotal);

/// <summary>What a verification found.</summary>
public sealed record VerifyReport
{
    /// <summary>Damage, each with file and, where one can be named, offset; empty when all is well.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>What is no damage, but worth knowing: torn tails, files that nothing lists.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Tables checked.</summary>
    public required int Tables { get; init; }

    /// <summary>Entries in tables.</summary>
    public required long Entries { get; init; }

    /// <summary>Bytes of tables.</summary>
    public required long TableBytes { get; init; }

    /// <summary>Records in the engine's own log.</summary>
    public required long LogRecords { get; init; }
}

/// <summary>
/// Checks the directory of an engine that is not open: every checksum of every file, that levels are sorted and disjoint, that tables hold what the manifest
/// says, and that nothing is missing. Changes nothing. Behind <c>henge storage verify</c>.
/// </summary>
public static class StorageVerifier
{
    /// <summary>Checks a directory on the machine's own disk.</summary>
    public static VerifyReport Verify(string directory, Action<VerifyProgress>? progress = null) =>
        Verify(PosixFileSystem.Instance, directory, progress);

    /// <summary>Checks a directory.</summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.Locked"/>: a process has the engine open. <see cref="ErrorCode.InvalidArgument"/>: there is no such directory.</exception>
    public static VerifyReport Verify(IFileSystem files, string directory, Action<VerifyProgress>? progress = null)
    {
        if (!files.DirectoryExists(directory))
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"There is no directory {directory}. Name the directory of an engine.");
        }

        if (!files.FileExists(Path.Combine(directory, EngineFiles.Current)) && !files.List(directory).Any(static name => EngineFiles.IsTable(name, out _)))
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"{directory} holds no engine: there is no {EngineFiles.Current} in it. Name the directory of an engine.");
        }

        using IDisposable held = files.Lock(Path.Combine(directory, EngineFiles.Lock));
        return new Run(files, directory, progress).Go();
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

            Try(() => VerifyLog(state));
            NoteUnlisted(tables);
            return new VerifyReport
            {
                Problems = _problems,
                Notes = _notes,
                Tables = tables.Length,
                Entries = _entries,
                TableBytes = total,
                LogRecords = _logRecords,
            };
        }

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
            ManifestState state = ManifestFile.Read(files, directory, number, out bool torn);
            if (torn)
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
                if (!properties.SmallestKey.AsSpan().SequenceEqual(table.Smallest) || !properties.LargestKey.AsSpan().SequenceEqual(table.Largest)
                    || properties.EntryCount != table.Entries || properties.MinVersion != table.MinVersion || properties.MaxVersion != table.MaxVersion)
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

        private bool VerifyLog(ManifestState? state)
        {
            string path = Path.Combine(directory, EngineFiles.LogDirectory);
            if (!files.DirectoryExists(path))
            {
                return true;
            }

            using var recovery = new LogRecovery(files, path);
            LogRecoveryReport report = recovery.Run((position, kind, payload) =>
            {
                _logRecords++;
                var reader = new WriteBatchReader(payload);
                while (reader.MoveNext())
                {
                }

                if (kind != EngineLog.BatchKind || reader.Damaged)
                {
                    _problems.Add($"The log in {path} has a record at {position} that is no batch.");
                }
            });
            if (report.CutTail is { } cut)
            {
                _notes.Add(cut);
            }

            if (state is not null && state.LogFloor != 0 && report.End.Value < state.LogFloor)
            {
                throw Damage(path, $"the log ends at {report.End}, and the manifest says that it went on to {LogPosition.FromValue(state.LogFloor)}");
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
