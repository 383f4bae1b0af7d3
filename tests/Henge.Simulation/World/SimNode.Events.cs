using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Storage.Files;
using Henge.Testing.Files;

namespace Henge.Simulation.World;

/// <content>What the node says of itself, and what of its disk.</content>
internal sealed partial class SimNode
{
    void IFatalErrorHandler.Fatal(string message, Exception? cause)
    {
        _world.Say("fatal", () => $"node {Index}: {message} ({cause?.Message})");
        if (Misfit is not null && cause is null)
        {
            // It has found that the others were started with other settings.
            _statistics.MisfitsRefused++;
            Files.PowerOff();
            _crashWhenDone ??= CrashMode.KeepAll;
            return;
        }

        if (MayLeave && cause is null && message.Contains("has left its cluster", StringComparison.Ordinal))
        {
            HasLeft = true;
            Files.PowerOff();
            _crashWhenDone ??= CrashMode.KeepAll;
            return;
        }

        // A full disk is no reason: it is waited for.
        bool isOfFullDisk = cause is DiskFullException or HengeException { Code: ErrorCode.DiskFull };
        if ((isOfFullDisk || !IsOfDisk(cause)) && !Files.IsDown)
        {
            throw new SimulationException($"node {Index} ended itself: {message}", cause);
        }

        // A failed sync: the process ends, the machine lives.
        Files.PowerOff();
        _crashWhenDone ??= CrashMode.KeepAll;
    }

    private void OnEvent(string name, object?[] arguments)
    {
        switch (name)
        {
            case nameof(INodeEvents.SnapshotInstalled):
                _statistics.SnapshotsInstalled++;
                break;
            case nameof(INodeEvents.ShardDamaged) or nameof(INodeEvents.ShardDamagedEverywhere):
                _statistics.DamageMet++;
                break;
            case nameof(INodeEvents.ApplyStopped):
                _statistics.DamageMet++;
                _statistics.AppliesStopped++;
                break;
            case nameof(INodeEvents.ReplicaBegun):
                _statistics.ReplicasBegun++;
                break;
            case nameof(INodeEvents.ReplicaDropped):
                _statistics.ReplicasDropped++;
                Dropped?.Invoke((ShardId)arguments[0]!, (LogIndex)arguments[1]!);
                break;
            case nameof(INodeEvents.MemberChanged):
                MemberChanged?.Invoke((NodeId)arguments[1]!, (MemberState)arguments[2]!);
                break;
            case nameof(INodeEvents.TornLogTailCut):
                _statistics.TornTails++;
                break;
            default:
                break;
        }

        Stepped?.Invoke(name, arguments);
        _world.Say("log", () => $"node {Index} {name}({string.Join(", ", arguments)})");
    }

    // An error that the disk gave, not one of the engine's own that came out as an I/O error.
    private static bool IsOfDisk(Exception? cause)
    {
        while (cause is { InnerException: { } inner })
        {
            cause = inner;
        }

        return cause is IOException;
    }

    // Only while the nemesis holds the disk full does that explain anything.
    private bool IsOfFullDisk(Exception? e) =>
        Files.CapacityBytes != long.MaxValue && e is (DiskFullException or HengeException { Code: ErrorCode.DiskFull });

    private FaultDecision OnFileOperation(FileOperation operation)
    {
        Work.Syncs += operation.Kind == FileOperationKind.Sync ? 1 : 0;

        // A disk that fails while the node starts is only a later start; what is of interest is a failure under load.
        if (
            FailNextSync
            && Node is not null
            && operation.Kind == FileOperationKind.Sync
            && operation.Path.Contains("/log", StringComparison.Ordinal))
        {
            FailNextSync = false;
            _statistics.FailedDisks++;
            return FaultDecision.Fail;
        }

        return FaultDecision.None;
    }
}
