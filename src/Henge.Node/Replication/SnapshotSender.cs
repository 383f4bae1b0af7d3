using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// Sends a shard's snapshots to followers that are too far behind, a few at a time, each by a transfer of its own, so that a follower that
/// is slow or away does not hold up the others. Belongs to the shard's worker.
/// </summary>
internal sealed class SnapshotSender(ShardReplica replica, RaftGroup group, ShardStateMachine machine)
{
    internal const int ChunkHeaderBytes = 13;
    internal const int Window = 4;

    /// <summary>A transfer of which nothing has been acknowledged for so long is given up.</summary>
    internal const long StallMs = 60_000;

    private const int MostTransfers = 3;
    private readonly Queue<(NodeId To, LogIndex? Rebuilds, long EstimatedBytes)> _requested = new();
    private readonly List<SnapshotTransfer> _transfers = [];
    private ulong _count;

    /// <inheritdoc/>
    public override string ToString() =>
        _transfers.Count == 0
            ? $"idle, {_requested.Count} wait"
            : string.Join(", ", _transfers) + $", {_requested.Count} wait";

    /// <summary>How much of a snapshot that is on its way to a follower has been acknowledged, in bytes; 0 when none is.</summary>
    public long AcknowledgedBytes(NodeId to) => _transfers.Find(t => t.To == to)?.AcknowledgedBytes ?? 0;

    /// <summary>
    /// About how much of a snapshot that is on its way to a follower, or waits for its turn, is left, in bytes; 0 when none is, or that is
    /// not known.
    /// </summary>
    public long BytesLeft(NodeId to) =>
        _transfers.Find(t => t.To == to)?.BytesLeft ?? _requested.FirstOrDefault(wanted => wanted.To == to).EstimatedBytes;

    /// <summary>A follower needs a snapshot.</summary>
    public void Begin(NodeId to)
    {
        // One that is on its way already began in an earlier leadership, or for a state that is damaged.
        if (_transfers.Find(t => t.To == to) is { } before)
        {
            Remove(before);
        }

        _requested.Enqueue((to, null, EstimateBytes()));
        BeginNext();
    }

    /// <summary>
    /// A peer whose state is damaged asks for one that covers at least what it has applied. Not taken when one is on its way or waits to
    /// be; it asks again.
    /// </summary>
    public void OnRequest(NodeId to, LogIndex applied)
    {
        if (!_transfers.Exists(t => t.To == to) && _requested.All(wanted => wanted.To != to))
        {
            _requested.Enqueue((to, applied, EstimateBytes()));
            BeginNext();
        }
    }

    /// <summary>An acknowledgement has come.</summary>
    public void OnAck(NodeId from, ReadOnlySpan<byte> body)
    {
        if (
            body.Length < ChunkHeaderBytes
            || _transfers.Find(t => t.To == from) is not { } transfer
            || BinaryPrimitives.ReadUInt64LittleEndian(body) != transfer.Id)
        {
            return;
        }

        if (body[12] == 0)
        {
            End(transfer, sent: false);
            return;
        }

        transfer.OnAck(BinaryPrimitives.ReadUInt32LittleEndian(body[8..]));
        if (transfer.IsDone)
        {
            End(transfer, sent: true);
        }
        else
        {
            Pump(transfer);
        }
    }

    /// <summary>Nothing is being sent, and nothing waits for it.</summary>
    public bool IsIdle => _transfers.Count == 0 && _requested.Count == 0;

    /// <summary>Goes on with what waited for its turn, repeats what seems lost; gives up what does not get on, or is not wanted.</summary>
    public void Tick()
    {
        for (int i = _transfers.Count - 1; i >= 0; i--)
        {
            SnapshotTransfer transfer = _transfers[i];
            if (
                group.Role != RaftRole.Leader
                || !group.Membership.IsMember(transfer.To)
                || transfer.SilentForMs(replica.Worker.NowMs) > StallMs)
            {
                End(transfer, sent: false);
            }
            else
            {
                transfer.Repeat();
                Pump(transfer);
            }
        }

        if (_requested.Count > 0)
        {
            BeginNext();
        }
    }

    /// <summary>Gives up what is under way.</summary>
    public void Stop()
    {
        while (_transfers.Count > 0)
        {
            Remove(_transfers[0]);
        }

        _requested.Clear();
    }

    private void BeginNext()
    {
        while (_transfers.Count < MostTransfers && _requested.Count > 0)
        {
            (NodeId to, LogIndex? rebuilds, long estimatedBytes) = _requested.Dequeue();
            LogIndex applied = machine.AppliedIndex;
            if (rebuilds is { } least && (machine.Damage is not null || applied < least))
            {
                // Nothing to build another one from; or not yet.
                continue;
            }

            if (machine.State != MachineState.Ready || group.TermAt(applied) is not { } term)
            {
                group.SnapshotFailed(to);
                continue;
            }

            if ((rebuilds is null ? group.BeginSnapshot(to, applied) : group.DescribeSnapshot(to, applied)) is not { } header)
            {
                continue;
            }

            replica.Node.Events?.SnapshotSending(replica.Shard, replica.Node.NameOf(to) ?? to.ToString(), applied);

            // The term makes the number unique over restarts: who leads again after one has a higher term. A member without a vote is
            // being moved to, or has been; one with a vote is waited for.
            replica.Node.Counters.OnSnapshotBegun();
            _transfers.Add(new SnapshotTransfer(
                replica,
                machine.CreateSnapshot(term, header.Membership.Encode(), isMove: group.Membership.IsLearner(to)),
                header,
                (group.Term.Value << 24) | (++_count & 0xFF_FFFF),
                isThrottled: group.Membership.IsLearner(to),
                estimatedBytes));
        }
    }

    // What the engine has in memory is not counted by shard, and taken for evenly spread.
    private long EstimateBytes()
    {
        NodeContext node = replica.Node;
        int hosted = Enumerable.Range(0, node.Directory.Count).Count(s => node.Directory.PlaceOf(new ShardId((uint)s)).Has(node.Self));
        long inMemory = node.Engine.GetStatistics().MemTableBytes / Math.Max(1, hosted);
        return node.Engine.EstimateTableBytes(SystemKeys.UserKeyspace(replica.Shard))
            + node.Engine.EstimateTableBytes(SystemKeys.SystemKeyspace(replica.Shard)) + inMemory;
    }

    private void Pump(SnapshotTransfer transfer)
    {
        try
        {
            transfer.Pump();
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            // It has nothing whole to send. Another one may, once it leads.
            machine.ReportDamage(e);
            End(transfer, sent: false);
        }
    }

    private void Remove(SnapshotTransfer transfer)
    {
        _transfers.Remove(transfer);
        transfer.Dispose();
        replica.Node.Counters.OnSnapshotEnded();
    }

    private void End(SnapshotTransfer transfer, bool sent)
    {
        Remove(transfer);
        if (sent)
        {
            group.SnapshotSent(transfer.To);
        }
        else
        {
            replica.Node.Events?.SnapshotNotDelivered(replica.Shard, replica.Node.NameOf(transfer.To) ?? transfer.To.ToString());
            group.SnapshotFailed(transfer.To);
        }

        replica.Worker.MarkDirty(replica);
    }
}
