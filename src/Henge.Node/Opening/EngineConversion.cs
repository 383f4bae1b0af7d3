using System.Globalization;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Storage;
using Henge.Storage.Files;

namespace Henge.Node.Opening;

/// <summary>How far a conversion is.</summary>
/// <param name="IsComparing">The copy is made, and compared.</param>
/// <param name="Entries">Entries that have been copied, or compared.</param>
/// <param name="Bytes">Bytes of their keys and values.</param>
/// <param name="EstimatedBytes">About how many there are, by what the engine knows of its tables; 0: not known.</param>
public readonly record struct ConversionProgress(bool IsComparing, long Entries, long Bytes, long EstimatedBytes);

/// <summary>What a conversion did.</summary>
/// <param name="Entries">Entries: versions of keys, tombstones too.</param>
/// <param name="Bytes">Bytes of their keys and values.</param>
/// <param name="OldDirectory">The files of the engine before, which are left.</param>
/// <param name="NewDirectory">The files of the engine now.</param>
public sealed record ConversionResult(long Entries, long Bytes, string OldDirectory, string NewDirectory);

/// <summary>
/// Moves the data of a node that is stopped from one engine to another: all versions of all keys of all shards, and how far each shard's log
/// is applied. The copy is made beside the original, opened again and compared, and takes its place by one write of the file that says whose
/// the directory is. So a crash at any moment leaves the node as it was, or converted; what is left over is told, and never deleted.
/// </summary>
public static class EngineConversion
{
    private const int BatchBytes = 256 * 1024;
    private const int StepEntries = 1024;

    /// <summary>Converts. Throws <see cref="HengeException"/>, and then nothing has changed for the node.</summary>
    /// <param name="files">The disk.</param>
    /// <param name="dataDirectory">The node's data directory.</param>
    /// <param name="from">The engine that has the data.</param>
    /// <param name="to">The engine that is to have it.</param>
    /// <param name="open">Opens an engine, by its name, in a directory, without a log of its own.</param>
    /// <param name="progress">Told every thousand entries.</param>
    /// <param name="cancellation">Ends it early, by <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="HengeException">
    /// <see cref="ErrorCode.InvalidArgument"/>: no data directory, or one that never had data. <see cref="ErrorCode.Misconfigured"/>: it was
    /// made with another engine than <paramref name="from"/>. <see cref="ErrorCode.Locked"/>: the node runs.
    /// <see cref="ErrorCode.Corruption"/>: the data is damaged, or the copy is not the same.
    /// </exception>
    public static ConversionResult Run(
        IFileSystem files,
        string dataDirectory,
        string from,
        string to,
        Func<string, string, IStorageEngine> open,
        Action<ConversionProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        if (from == to || from == "memory" || to == "memory")
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                from == to
                    ? $"The data is in the engine {from} already, if it is where you say."
                    : "The memory engine keeps nothing on disk that could be converted: what a node with it has is in its log and with the other "
                        + "nodes. Let the node join anew with an empty directory.");
        }

        int shards = IdentityFile.ReadShards(files, dataDirectory);
        using IDisposable held = files.Lock(Path.Combine(dataDirectory, "LOCK"));
        if (EngineFile.Read(files, dataDirectory) is not { } made)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"'{dataDirectory}' has no engine's data yet: start the node with --engine {to}.");
        }

        if (made.Engine != from)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The data directory '{dataDirectory}' was made with the engine {made.Engine}, not with {from}.");
        }

        string name = NewName(files, dataDirectory, to);
        (string source, string target) = (Path.Combine(dataDirectory, made.Directory), Path.Combine(dataDirectory, name));
        files.CreateDirectoryDurably(target);
        ShardId[] all = [.. Enumerable.Range(0, shards).Select(static s => new ShardId((uint)s)), ShardId.Catalog];
        var run = new Copier(all, progress, cancellation);
        using IStorageEngine original = open(from, source);
        using (IStorageEngine copy = open(to, target))
        {
            run.Copy(original, copy);
        }

        using (IStorageEngine copy = open(to, target))
        {
            run.Compare(original, copy, target);
            run.SetFloor(original, copy);
        }

        EngineFile.Write(files, dataDirectory, to, name);
        return new ConversionResult(run.Entries, run.Bytes, source, target);
    }

    // One that is there already is what a conversion left that was broken off, or the engine that the data was in before.
    private static string NewName(IFileSystem files, string dataDirectory, string engine)
    {
        for (int i = 1; ; i++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"engine-{engine}-{i}");
            if (!files.DirectoryExists(Path.Combine(dataDirectory, name)))
            {
                return name;
            }
        }
    }

    private sealed class Copier(ShardId[] shards, Action<ConversionProgress>? progress, CancellationToken cancellation)
    {
        private long _estimate;
        private bool _isComparing;

        public long Entries { get; private set; }

        public long Bytes { get; private set; }

        public void Copy(IStorageEngine original, IStorageEngine copy)
        {
            uint[] keyspaces = Keyspaces();
            copy.DeclareKeyspaces(keyspaces);
            _estimate = keyspaces.Sum(original.EstimateTableBytes);
            var batch = new WriteBatch();
            foreach (uint keyspace in keyspaces)
            {
                // Backwards, so that of each key the oldest version comes first.
                using EngineIterator entries = All(original, keyspace);
                for (entries.SeekToLast(); entries.Valid; entries.Prev())
                {
                    if (entries.Kind == EntryKind.Delete)
                    {
                        batch.Delete(keyspace, entries.Key, entries.Version);
                    }
                    else
                    {
                        batch.Put(keyspace, entries.Key, entries.Version, entries.Value, entries.ExpiresAtMs, entries.Type);
                    }

                    Count(entries);
                    if (batch.ByteCount >= BatchBytes)
                    {
                        copy.Apply(batch, sync: false);
                        batch.Clear();
                    }
                }
            }

            SetPositions(original, batch);
            copy.Apply(batch, sync: false);
            copy.Flush();
        }

        /// <summary>Lastly, since from then on the copy may forget what lies below it. An engine keeps it with what it flushes.</summary>
        public void SetFloor(IStorageEngine original, IStorageEngine copy)
        {
            copy.SetHistoryFloor(original.HistoryFloor);
            var batch = new WriteBatch();
            SetPositions(original, batch);
            copy.Apply(batch, sync: false);
            copy.Flush();
        }

        public void Compare(IStorageEngine original, IStorageEngine copy, string directory)
        {
            (long entries, long bytes) = (Entries, Bytes);
            (Entries, Bytes, _isComparing) = (0, 0, true);
            foreach (ShardId shard in shards)
            {
                uint stream = SystemKeys.Stream(shard);
                if (original.GetPosition(stream) != copy.GetDurablePosition(stream))
                {
                    throw Differs(directory, $"how far the log of {shard} is applied");
                }
            }

            foreach (uint keyspace in Keyspaces())
            {
                using EngineIterator left = All(original, keyspace);
                using EngineIterator right = All(copy, keyspace);
                left.SeekToFirst();
                for (right.SeekToFirst(); left.Valid && right.Valid && AreSame(left, right); left.Next(), right.Next())
                {
                    Count(left);
                }

                if (left.Valid || right.Valid)
                {
                    throw Differs(directory, $"an entry of keyspace {keyspace:x8}");
                }
            }

            if ((entries, bytes) != (Entries, Bytes))
            {
                throw Differs(directory, $"the number of entries, {Entries} in place of {entries}");
            }
        }

        private void SetPositions(IStorageEngine original, WriteBatch batch)
        {
            foreach (ShardId shard in shards)
            {
                batch.SetPosition(SystemKeys.Stream(shard), original.GetPosition(SystemKeys.Stream(shard)));
            }
        }

        private uint[] Keyspaces() =>
            [.. shards.SelectMany(static shard => new[] { SystemKeys.UserKeyspace(shard), SystemKeys.SystemKeyspace(shard) })];

        // Where no history is kept, an engine may have some left or not.
        private static EngineIterator All(IStorageEngine engine, uint keyspace) => engine.CreateIterator(
            new IteratorOptions
            {
                Keyspace = keyspace,
                Point = new ReadPoint(Core.Version.Max, 0),
                AllVersions = (keyspace & 0x8000_0000) == 0,
            });

        private static bool AreSame(EngineIterator left, EngineIterator right) =>
            left.Version == right.Version && left.Kind == right.Kind && left.ExpiresAtMs == right.ExpiresAtMs && left.Type == right.Type
            && left.Key.SequenceEqual(right.Key) && left.Value.SequenceEqual(right.Value);

        private static HengeException Differs(string directory, string what) => new(
            ErrorCode.Corruption,
            $"The copy in '{directory}' is not what was copied: {what} differs. The node is as it was; delete that directory, and look at the "
                + $"disk before you try again.");

        private void Count(EngineIterator entry)
        {
            Bytes += entry.Key.Length + entry.Value.Length;
            if (++Entries % StepEntries == 0)
            {
                cancellation.ThrowIfCancellationRequested();
                progress?.Invoke(new ConversionProgress(_isComparing, Entries, Bytes, _estimate));
            }
        }
    }
}
