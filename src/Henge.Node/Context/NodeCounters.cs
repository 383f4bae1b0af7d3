using Henge.Node.Api;

namespace Henge.Node.Context;

/// <summary>What a node counts of its own work. Once for each entry, round or event, never for each operation. Thread-safe.</summary>
internal sealed class NodeCounters
{
    private long _electionsWon;
    private long _leaderChanges;
    private long _entriesProposed;
    private long _commandsProposed;
    private long _readRounds;
    private long _writeStalls;
    private long _advancesRefused;
    private long _snapshotBytesSent;
    private long _snapshotsSending;

    public void OnElectionWon() => Interlocked.Increment(ref _electionsWon);

    public void OnLeaderChanged() => Interlocked.Increment(ref _leaderChanges);

    public void OnProposed(int commands)
    {
        Interlocked.Increment(ref _entriesProposed);
        Interlocked.Add(ref _commandsProposed, commands);
    }

    public void OnReadRound() => Interlocked.Increment(ref _readRounds);

    public void OnWriteStall() => Interlocked.Increment(ref _writeStalls);

    public void OnAdvanceRefused() => Interlocked.Increment(ref _advancesRefused);

    public void OnSnapshotBegun() => Interlocked.Increment(ref _snapshotsSending);

    public void OnSnapshotEnded() => Interlocked.Decrement(ref _snapshotsSending);

    public void OnSnapshotSent(int bytes) => Interlocked.Add(ref _snapshotBytesSent, bytes);

    /// <summary>The counts as they are now; what else there is to tell is filled in by the node.</summary>
    public NodeActivity Read() => new()
    {
        ElectionsWon = Interlocked.Read(ref _electionsWon),
        LeaderChanges = Interlocked.Read(ref _leaderChanges),
        EntriesProposed = Interlocked.Read(ref _entriesProposed),
        CommandsProposed = Interlocked.Read(ref _commandsProposed),
        ReadRounds = Interlocked.Read(ref _readRounds),
        WriteStalls = Interlocked.Read(ref _writeStalls),
        AdvancesRefused = Interlocked.Read(ref _advancesRefused),
        SnapshotBytesSent = Interlocked.Read(ref _snapshotBytesSent),
        SnapshotsSending = Interlocked.Read(ref _snapshotsSending),
    };
}
