namespace Henge.Testing.Files;

/// <summary>What of the unsynced state a crash takes away.</summary>
public enum CrashMode
{
    /// <summary>Power loss at the worst moment: only what was synced is left.</summary>
    LoseAllUnsynced,

    /// <summary>
    /// The process dies and the machine lives: everything is still there, but what was not synced still is not, and a later power loss
    /// takes it.
    /// </summary>
    KeepAll,

    /// <summary>
    /// Power loss in the middle of write-back: of each 4 KiB page any state between the last sync and now is left (now and then mixed by
    /// 512-byte sectors), of lengths any of the past ones, and of directory operations any part, in no order.
    /// </summary>
    LoseRandomPart,
}

/// <summary>Kinds of operations that a fault can hit.</summary>
public enum FileOperationKind
{
    Open,
    Create,
    Read,
    Write,
    Sync,
    Preallocate,
    Truncate,
    Delete,
    Rename,
    Link,
    CreateDirectory,
    DeleteDirectory,
    SyncDirectory,
    List,
    Lock,
}

/// <summary>An operation that is about to happen.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Path">The file or directory; for a rename or a link the existing name.</param>
/// <param name="Offset">Where it reads or writes, or the new length; 0 for others.</param>
/// <param name="Length">How many bytes it reads or writes; 0 for others.</param>
/// <param name="Index">How many operations there have been, this one included.</param>
public readonly record struct FileOperation(FileOperationKind Kind, string Path, long Offset, int Length, long Index);

/// <summary>What a fault hook wants to happen to an operation.</summary>
public readonly record struct FaultDecision
{
    internal enum Action
    {
        None,
        Fail,
        DiskFull,
        ShortWrite,
        Crash,
    }

    private FaultDecision(Action what, int bytes, TimeSpan delay)
    {
        What = what;
        Bytes = bytes;
        Delay = delay;
    }

    internal Action What { get; }

    internal int Bytes { get; }

    internal TimeSpan Delay { get; init; }

    /// <summary>It works.</summary>
    public static FaultDecision None => default;

    /// <summary>
    /// It fails with EIO. A failed sync also forgets some of the dirty pages, as Linux does: they can still be read, and no later sync
    /// makes them durable unless they are written again.
    /// </summary>
    public static FaultDecision Fail => new(Action.Fail, 0, default);

    /// <summary>It fails with ENOSPC and changes nothing.</summary>
    public static FaultDecision DiskFull => new(Action.DiskFull, 0, default);

    /// <summary>The machine stops in the middle of it: part of it may have happened.</summary>
    public static FaultDecision Crash => new(Action.Crash, 0, default);

    /// <summary>A write that gets some bytes down and then fails with EIO.</summary>
    public static FaultDecision ShortWrite(int bytes) => new(Action.ShortWrite, bytes, default);

    /// <summary>It works, slowly: <see cref="SimulatedFileSystem.TakeDelay"/> tells the owner of virtual time.</summary>
    public static FaultDecision Slow(TimeSpan delay) => new(Action.None, 0, delay);
}

/// <summary>
/// The simulated machine is down, or the handle is from before its last crash. Nothing the code under test does now has an effect.
/// </summary>
public sealed class CrashException(string message) : IOException(message);

/// <summary>How much was asked of a file system.</summary>
public readonly record struct FileStatistics(long Reads, long Writes, long Syncs, long DirectorySyncs, long BytesRead, long BytesWritten);
