using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Replication;

// How what waits goes out: proposed here, or sent to the leader on another node.
internal sealed partial class WriteQueue
{
    /// <summary>Proposes the node's own commands. No caller waits for them.</summary>
    public bool TryPropose(EntryBuilder entry)
    {
        Core.Version version = NextVersion();
        if (
            _hold
            || _replica.Machine.IsStopped
            || !MayGiveVersions
            || version > Core.Version.LastUsable
            || !_group.Propose(entry.ToArray(version)).IsAccepted)
        {
            return false;
        }

        _lastVersion = new Core.Version(version.Value + (ulong)(entry.Count - 1));
        _replica.Worker.MarkDirty(_replica);
        return true;
    }

    // The first version of a shard is that of a moment on which the clocks agree: all later ones are above it.
    private bool MayGiveVersions =>
        _replica.Node.Clock is { IsKnown: true } clock && (!_lastVersion.IsZero || !clock.IsContested);

    private Core.Version NextVersion() => !_replica.Node.Options.Bugs.ReusesVersion
        ? _replica.Node.Clock.NextAfter(_lastVersion)
        : _replica.Node.Clock.Now;

    private bool ProposeOne()
    {
        Core.Version version = NextVersion();
        if (version > Core.Version.LastUsable)
        {
            // Here, and not where it is applied: what is in the log has to be applied by everybody.
            Fail(_waiting.TakeFirst()!, ErrorCode.Unavailable, OutOfVersions);
            return true;
        }

        // Counted first: the entry's memory is made in its size, and each command is copied into it once.
        int limit = Math.Min(_replica.Node.Options.EntryBytes, _replica.Worker.Log.MaxEntryBytes);
        int count = 0;
        int bytes = 0;
        for (Operation? o = _waiting.First; o is not null && count < CommandLimits.MaxEntryCommands; o = o.Next)
        {
            int more = EntryWriter.BytesOf(o.Command.Length);
            if (count > 0 && EntryBuilder.HeaderBytes + bytes + more > limit)
            {
                break;
            }

            bytes += more;
            count++;
        }

        EntryWriter entryWriter = new(bytes);
        Operation? next = _waiting.First;
        for (int i = 0; i < count; i++, next = next!.Next)
        {
            entryWriter.Add(next!.Command.Span);
        }

        ProposeResult result = _group.Propose(entryWriter.Finish(version, count));
        if (!result.IsAccepted)
        {
            if (result.Status == ProposeStatus.TooLarge)
            {
                Fail(_waiting.TakeFirst()!, ErrorCode.TooLarge, "The command is larger than an entry of the log may be. Split it.");
                return true;
            }

            _hold = true;
            return false;
        }

        _replica.Node.Counters.OnProposed(count);
        _replica.OnProposed(count);
        _lastVersion = new Core.Version(version.Value + (ulong)(count - 1));
        var entry = new PendingEntry
        {
            Index = result.Index,
            Term = result.Term,
            Operations = ArrayPool<Operation?>.Shared.Rent(count),
            Count = count,
            EarliestDeadlineMs = long.MaxValue,
        };
        for (int i = 0; i < count; i++)
        {
            Operation operation = _waiting.TakeFirst()!;
            entry.Operations[i] = operation;
            entry.EarliestDeadlineMs = Math.Min(entry.EarliestDeadlineMs, operation.DeadlineMs);
        }

        _pending.Add(entry);
        return true;
    }

    private void ProposeAdvance()
    {
        ProposeResult result = _group.Propose(EntryBuilder.Advance(_advanceTo));
        if (result.IsAccepted)
        {
            _lastVersion = _advanceTo;
        }
        else
        {
            _hold = true;
        }
    }

    // Deletions make room, so they are taken as long as the reserve lasts.
    private void RefuseForDisk()
    {
        OperationList kept = default;
        while (_waiting.TakeFirst() is { } operation)
        {
            if (
                !operation.Command.IsEmpty
                && (CommandKind)operation.Command.Span[0] is CommandKind.Delete or CommandKind.MultiDelete or CommandKind.DeleteExpired)
            {
                kept.Add(operation);
            }
            else
            {
                Fail(
                    operation,
                    ErrorCode.DiskFull,
                    "The disk of the shard's leader is full: writes are refused until there is room. Delete keys, shorten the history, or "
                        + "make the disk larger.");
            }
        }

        _waiting = kept;
    }

    // To wait would be to wait for somebody to mend it.
    private void RefuseForDamage(string reason)
    {
        while (_waiting.TakeFirst() is { } operation)
        {
            Fail(
                operation,
                ErrorCode.Unavailable,
                $"Nothing was done. The storage of the shard's leader cannot be tidied up, since a part of it is damaged and has not been "
                    + $"replaced, and it has grown as far as it may: writes are refused until it is whole. {reason}");
        }
    }
}
