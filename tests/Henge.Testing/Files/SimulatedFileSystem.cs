using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Testing.Files;

/// <summary>
/// A file system in memory that knows what a real one would lose: contents not synced, names in directories not synced, pages that a
/// failed sync forgot. It crashes and fails on demand, always the same way for the same seed and the same operations. Paths are rooted
/// at "/"; "." and ".." are understood. Thread-safe: one lock, held while the fault hook runs (which must not call back).
/// </summary>
/// <remarks>
/// One instance is one machine's disk. After <see cref="Crash(CrashMode, int)"/> every handle and lock of before is dead
/// (<see cref="CrashException"/>) and the disk can be opened anew. It is harsher than ext4, where names are ordered: here any part of
/// unsynced changes may survive.
/// </remarks>
public sealed partial class SimulatedFileSystem : IFileSystem
{
    private readonly Lock _gate = new();
    private readonly HashSet<string> _locks = [];
    private readonly List<NameChange> _unsyncedNames = [];
    private SimulatedDirectory _root = new();
    private int _epoch;
    private bool _down;
    private long _usedBytes;
    private TimeSpan _delay;
    private FileStatistics _statistics;

    /// <summary>Asked before each operation; null for no faults.</summary>
    public Func<FileOperation, FaultDecision>? Faults { get; set; }

    /// <summary>
    /// The machine stops in the middle of the operation with this index (see <see cref="OperationCount"/>); null for never.
    /// </summary>
    public long? CrashAt { get; set; }

    /// <summary>What fits on the disk; over it ENOSPC.</summary>
    public long CapacityBytes { get; set; } = long.MaxValue;

    /// <summary>Operations since the beginning, crashes included.</summary>
    public long OperationCount { get; private set; }

    /// <summary>
    /// True from a crash by <see cref="CrashAt"/> or <see cref="FaultDecision.Crash"/> until <see cref="Crash(CrashMode, int)"/>.
    /// </summary>
    public bool IsDown
    {
        get
        {
            lock (_gate)
            {
                return _down;
            }
        }
    }

    /// <summary>Bytes that files take, by their lengths.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_gate)
            {
                return _usedBytes;
            }
        }
    }

    /// <summary>What was asked of it since the beginning.</summary>
    public FileStatistics Statistics
    {
        get
        {
            lock (_gate)
            {
                return _statistics;
            }
        }
    }

    /// <summary>Stops the machine now: every operation throws until <see cref="Crash(CrashMode, int)"/>.</summary>
    public void PowerOff()
    {
        lock (_gate)
        {
            _down = true;
        }
    }

    /// <summary>
    /// The machine (or with <see cref="CrashMode.KeepAll"/> the process) dies and comes back: what is left depends on mode and seed.
    /// </summary>
    public void Crash(CrashMode mode, int seed)
    {
        lock (_gate)
        {
            _epoch++;
            _down = false;
            CrashAt = null;
            _locks.Clear();
            if (mode != CrashMode.KeepAll)
            {
                LosePower(mode == CrashMode.LoseRandomPart ? new Random(seed) : null);
            }

            // Handles are gone; space of files that have no name any more is free.
            _usedBytes = 0;
            var files = new HashSet<SimulatedInode>();
            ForEachFile(_root, file =>
            {
                file.References = files.Add(file) ? 1 : file.References + 1;
            });
            _usedBytes = files.Sum(static f => f.Length);
        }
    }

    /// <summary>
    /// What the disk would be after a crash now, as a disk of its own; this one goes on undisturbed. For testing every point of a long
    /// run in one go.
    /// </summary>
    public SimulatedFileSystem CrashClone(CrashMode mode, int seed)
    {
        var clone = new SimulatedFileSystem { CapacityBytes = CapacityBytes };
        lock (_gate)
        {
            var copies = new Dictionary<SimulatedNode, SimulatedNode>(ReferenceEqualityComparer.Instance);
            clone._root = _root.Clone(copies);
            clone._unsyncedNames.AddRange(_unsyncedNames.Select(c => c.CopyWith(copies)));
        }

        clone.Crash(mode, seed);
        return clone;
    }

    /// <summary>How long the operations since the last call would have taken, as the fault hook decided.</summary>
    public TimeSpan TakeDelay()
    {
        lock (_gate)
        {
            TimeSpan delay = _delay;
            _delay = default;
            return delay;
        }
    }

    /// <summary>Rots one bit of a file, on the disk and in memory. No operation is counted.</summary>
    public void FlipBit(string path, long offset, int bit)
    {
        lock (_gate)
        {
            FindFile(path).FlipBit(offset, bit);
        }
    }

    /// <summary>All bytes of a file as a reader sees them. No operation is counted.</summary>
    public byte[] ReadAllBytes(string path)
    {
        lock (_gate)
        {
            SimulatedInode file = FindFile(path);
            byte[] bytes = new byte[file.Length];
            file.Read(0, bytes);
            return bytes;
        }
    }

    /// <summary>Makes or replaces a file, durably, name and contents; its directory must be there. No operation is counted.</summary>
    public void WriteAllBytes(string path, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            (SimulatedDirectory parent, string name) = FindParent(path);
            Unlink(parent, name);
            var file = new SimulatedInode { References = 1 };
            file.Write(0, bytes);
            file.Sync();
            _usedBytes += file.Length;
            parent.Entries[name] = file;
            parent.Durable[name] = file;
        }
    }

    private void LosePower(Random? random)
    {
        foreach (NameChange change in _unsyncedNames)
        {
            if (random is not null && random.Next(2) == 0)
            {
                change.ApplyDurably();
            }
        }

        _unsyncedNames.Clear();
        var directories = new Stack<SimulatedDirectory>([_root]);
        while (directories.TryPop(out SimulatedDirectory? directory))
        {
            directory.RevertToDurable();
            foreach (SimulatedDirectory child in directory.Entries.Values.OfType<SimulatedDirectory>())
            {
                directories.Push(child);
            }
        }

        var seen = new HashSet<SimulatedInode>();
        ForEachFile(_root, file =>
        {
            if (seen.Add(file))
            {
                file.LosePower(random);
            }
        });
    }

    private static void ForEachFile(SimulatedDirectory directory, Action<SimulatedInode> action)
    {
        foreach (SimulatedNode node in directory.Entries.Values)
        {
            if (node is SimulatedDirectory child)
            {
                ForEachFile(child, action);
            }
            else
            {
                action((SimulatedInode)node);
            }
        }
    }

    /// <summary>Counts an operation and lets faults happen. True when the machine stops in the middle of it.</summary>
    private bool Enter(FileOperationKind kind, string path, long offset = 0, int length = 0)
    {
        ThrowIfDown(path);
        var operation = new FileOperation(kind, path, offset, length, ++OperationCount);
        FaultDecision decision = Faults?.Invoke(operation) ?? default;
        _delay += decision.Delay;
        _shortWriteBytes = -1;
        switch (decision.What)
        {
            case FaultDecision.Action.Fail:
                // EIO, or ERROR_IO_DEVICE.
                throw new IOException(
                    $"Simulated I/O error at {kind} of '{path}'.",
                    OperatingSystem.IsWindows() ? unchecked((int)0x8007_045D) : 5);
            case FaultDecision.Action.DiskFull:
                throw new DiskFullException($"Simulated full disk at {kind} of '{path}'.");
            case FaultDecision.Action.ShortWrite:
                _shortWriteBytes = Math.Clamp(decision.Bytes, 0, length);
                return false;
            default:
                return decision.What == FaultDecision.Action.Crash || CrashAt == operation.Index;
        }
    }

    private CrashException GoDown(string path)
    {
        _down = true;
        return new CrashException($"The simulated machine stopped at operation {OperationCount} ('{path}').");
    }

    private void ThrowIfDown(string path)
    {
        if (_down)
        {
            throw new CrashException($"The simulated machine is down ('{path}').");
        }
    }

    // What an operation that a crash interrupts has done is a matter of chance, the same for the same operation.
    private int Chance(int limit) => new Random(unchecked((int)(OperationCount * 2_654_435_761))).Next(limit);
}
