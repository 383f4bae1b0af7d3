using Henge.Core;
using Henge.Storage.Bitcask.Merging;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Bitcask;

/// <summary>
/// Opens an engine: takes the lock, reads the manifest, builds the index from hints and from the segment that was being written, and only
/// then clears up.
/// </summary>
internal static class BitcaskOpener
{
    public static BitcaskEngine Open(BitcaskOptions options)
    {
        options.Validate();
        IFileSystem files = options.FileSystem ?? PosixFileSystem.Instance;
        files.CreateDirectoryDurably(options.Directory);
        IDisposable directoryLock = files.Lock(Path.Combine(options.Directory, BitcaskFiles.Lock));
        IBackgroundScheduler? ownScheduler = options.Scheduler is null
            ? new ThreadScheduler("henge-" + Path.GetFileName(options.Directory))
            : null;
        try
        {
            using var run = new Run(options, files);
            return run.Open(options.Scheduler ?? ownScheduler!, directoryLock, ownScheduler);
        }
        catch
        {
            ownScheduler?.Dispose();
            directoryLock.Dispose();
            throw;
        }
    }

    private sealed class Run(BitcaskOptions options, IFileSystem files) : IDisposable
    {
        private readonly Dictionary<uint, Segment> _segments = [];
        private IndexBuilder? _index;

        public BitcaskEngine Open(IBackgroundScheduler scheduler, IDisposable directoryLock, IBackgroundScheduler? ownScheduler)
        {
            // Names that the last process saw, but did not sync, are still at risk.
            files.SyncDirectory(options.Directory);
            SegmentManifest manifest = ReadManifest(out uint nextId);
            var store = new SegmentStore(files, options.Directory, options.NewSalt, nextId);
            _index = new IndexBuilder(store, manifest.Drops, options);
            _index.Measure(manifest);
            var positions = new Dictionary<uint, ulong>(manifest.Positions);
            Segment? active = null;
            foreach (ListedSegment listed in manifest.Segments.ToArray())
            {
                Segment segment = listed.End == 0 ? OpenLast(store, listed, manifest, positions) : _index.Load(listed);
                _segments.Add(segment.Id, segment);
                active = segment.IsSealed ? active : segment;
            }

            active ??= Begin(store, manifest);
            manifest.Positions = new Dictionary<uint, ulong>(positions);
            manifest.NextId = store.NextId;
            manifest.Write(files, options.Directory);
            return Assemble(store, manifest, active, positions, scheduler, directoryLock, ownScheduler);
        }

        public void Dispose()
        {
            // What the engine has taken over is not here any more.
            _index?.Dispose();
            foreach (Segment segment in _segments.Values)
            {
                segment.File.Dispose();
            }
        }

        private BitcaskEngine Assemble(
            SegmentStore store,
            SegmentManifest manifest,
            Segment active,
            Dictionary<uint, ulong> positions,
            IBackgroundScheduler scheduler,
            IDisposable directoryLock,
            IBackgroundScheduler? ownScheduler)
        {
            var state = new BitcaskState(
                options,
                store,
                scheduler,
                manifest,
                new Dictionary<uint, Segment>(_segments),
                _index!.Clocks);
            foreach ((Segment segment, HengeException error) in _index.Damaged)
            {
                state.Damage.AddAll(segment, segment.Keyspaces.Keys, error);
            }

            _segments.Clear();
            Dictionary<uint, KeyspaceIndex> indexes = _index.TakeIndexes();
            state.PublishAll(indexes.ToDictionary(static pair => pair.Key, static pair => pair.Value.Table));
            var writer = new BatchWriter(state, active, indexes, positions);
            var work = new BitcaskWork(state, writer);
            DeleteLeftovers(state, manifest);
            var engine = new BitcaskEngine(state, writer, work, directoryLock, ownScheduler);
            work.ScheduleMerge();
            return engine;
        }

        private SegmentManifest ReadManifest(out uint nextId)
        {
            IReadOnlyList<string> names = files.List(options.Directory);
            uint highest = 0;
            foreach (string name in names)
            {
                highest = BitcaskFiles.IsSegment(name, out uint id) ? Math.Max(highest, id) : highest;
            }

            SegmentManifest manifest;
            if (names.Contains(BitcaskFiles.Manifest))
            {
                manifest = SegmentManifest.Read(files, options.Directory);
            }
            else
            {
                Refuse(names);
                manifest = new SegmentManifest();

                // Before there is a segment: one without a manifest is damage.
                manifest.Write(files, options.Directory);
            }

            nextId = Math.Max(manifest.NextId, highest + 1);
            return manifest;
        }

        private void Refuse(IReadOnlyList<string> names)
        {
            if (names.FirstOrDefault(IsOfLsm) is { } other)
            {
                throw new HengeException(
                    ErrorCode.Misconfigured,
                    $"{options.Directory} holds the files of the lsm engine ({other}), and was to be opened as one of the bitcask engine. "
                        + "Nothing was changed. Open it with the engine that it was made with, or name another directory.");
            }

            if (names.FirstOrDefault(static name => BitcaskFiles.IsSegment(name, out _)) is { } segment)
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"{Path.Combine(options.Directory, BitcaskFiles.Manifest)} is missing, and there are segments ({segment}). "
                        + "Nothing was changed. Put the file back. "
                        + DirectoryAdvice.Engine);
            }
        }

        private static bool IsOfLsm(string name) =>
            name == EngineFiles.Current || EngineFiles.IsTable(name, out _) || EngineFiles.IsManifest(name, out _);

        // The segment that was being written: sealed now, and with a crash cut where it was torn. An empty one is written on.
        private Segment OpenLast(SegmentStore store, ListedSegment listed, SegmentManifest manifest, Dictionary<uint, ulong> positions)
        {
            Segment segment = store.Open(listed.Id, forWriting: true);
            try
            {
                segment.Epoch = listed.Epoch;
                string? cut = _index!.LoadOpen(segment, positions);
                if (cut is not null)
                {
                    options.Log?.Invoke($"The end of a segment was torn by a crash and was cut: {cut}");
                }

                if (segment.End == LogFormat.SegmentHeaderBytes && cut is null)
                {
                    return segment;
                }

                segment.IsSealed = true;
                manifest.Segments.Remove(listed);
                manifest.Segments.Add(listed with { End = segment.End });
                manifest.Segments.Sort(static (a, b) => a.Id.CompareTo(b.Id));
                return segment;
            }
            catch
            {
                segment.File.Dispose();
                throw;
            }
        }

        private Segment Begin(SegmentStore store, SegmentManifest manifest)
        {
            Segment segment = store.Create();
            segment.Epoch = manifest.Epoch;
            _segments.Add(segment.Id, segment);
            manifest.Segments.Add(new ListedSegment(segment.Id, segment.Epoch, 0));
            return segment;
        }

        // The manifest was read whole, so what it does not list is what a crash left behind: outputs of merges that did not end, and files
        // that were replaced and not deleted yet.
        private void DeleteLeftovers(BitcaskState state, SegmentManifest manifest)
        {
            var listed = manifest.Segments.Select(static segment => segment.Id).ToHashSet();
            foreach (string name in files.List(options.Directory))
            {
                if ((BitcaskFiles.IsSegment(name, out uint id) || BitcaskFiles.IsHint(name, out id)) && !listed.Contains(id))
                {
                    state.Obsolete.Add(name);
                }
            }
        }
    }
}
