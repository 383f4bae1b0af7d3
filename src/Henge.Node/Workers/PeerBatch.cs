using System.Collections.Concurrent;
using Henge.Core;
using Henge.Node.Peers;
using Henge.Raft;

namespace Henge.Node.Workers;

/// <summary>
/// A frame on its way to one worker, which takes what is for its shards. Its memory is used again as soon as the worker is done: what has
/// to stay (the entries of AppendEntries, pieces of snapshots, commands) is copied out of it.
/// </summary>
internal sealed class PeerBatch(PeerBatches owner) : WorkerMessage
{
    private byte[] _bytes = [];
    private int _length;
    private NodeId _from;

    /// <summary>Memory that it holds.</summary>
    public int CapacityBytes => _bytes.Length;

    /// <summary>Copies a frame in.</summary>
    public void Fill(NodeId from, ReadOnlySpan<byte> frame)
    {
        if (_bytes.Length < frame.Length)
        {
            _bytes = GC.AllocateUninitializedArray<byte>(
                (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(frame.Length, 1024)));
        }

        frame.CopyTo(_bytes);
        _length = frame.Length;
        _from = from;
    }

    /// <inheritdoc/>
    public override void Process(Worker worker)
    {
        PeerRecordReader records = PeerFrame.ReadChecked(_bytes.AsSpan(0, _length));
        while (records.MoveNext())
        {
            if (records.Kind == PeerRecordKind.HeartbeatAnswer)
            {
                if (records.Shard.Value == (uint)worker.Index)
                {
                    worker.Heartbeats.OnAnswer(_from, records.Body);
                }
            }
            else if (
                records.Kind is not (PeerRecordKind.Heartbeat or PeerRecordKind.ClockQuestion or PeerRecordKind.ClockAnswer)
                && worker.ReplicaOf(records.Shard) is { } replica)
            {
                Take(worker, replica, records.Kind, records.Body);
            }
        }

        owner.Return(this);
    }

    private void Take(Worker worker, IReplica replica, PeerRecordKind kind, ReadOnlySpan<byte> body)
    {
        switch (kind)
        {
            case PeerRecordKind.Raft:
                if (RaftMessageCodec.TryDecode(body, out RaftMessage? message, out _) && message.From == _from)
                {
                    replica.Receive(message);
                }

                break;
            case PeerRecordKind.Forward:
                worker.Forwards.OnForward(replica, _from, body);
                break;
            case PeerRecordKind.ForwardReply:
                worker.Forwards.OnReply(_from, body);
                break;
            case PeerRecordKind.ReadForward:
                worker.Reads.OnForward(replica, _from, body);
                break;
            case PeerRecordKind.ReadReply:
                worker.Reads.OnReply(_from, body);
                break;
            case PeerRecordKind.Advance:
                if (body.Length == 8)
                {
                    replica.OnAdvance(_from, new Core.Version(System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(body)));
                }

                break;
            case PeerRecordKind.AdvanceRefused:
                if (body.Length == 16)
                {
                    replica.OnAdvanceRefused(
                        _from,
                        new Core.Version(System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(body)),
                        new Core.Version(System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(body[8..])));
                }

                break;
            case PeerRecordKind.SnapshotRequest:
                if (body.Length == 8)
                {
                    replica.OnSnapshotRequest(_from, new LogIndex(System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(body)));
                }

                break;
            case PeerRecordKind.SnapshotChunk or PeerRecordKind.SnapshotAck:
                replica.ReceiveSnapshot(_from, kind, body.ToArray());
                break;
            case PeerRecordKind.MembershipQuestion or PeerRecordKind.MembershipAnswer:
                replica.OnMembership(_from, kind, body);
                break;
        }
    }
}

/// <summary>Batches that wait to be used again. Thread-safe: transports take, workers give back.</summary>
internal sealed class PeerBatches
{
    private const int MostKept = 64;
    private const int MostKeptBytes = 256 * 1024;
    private readonly ConcurrentQueue<PeerBatch> _free = new();

    /// <summary>A batch with a copy of a frame.</summary>
    public PeerBatch Rent(NodeId from, ReadOnlySpan<byte> frame)
    {
        if (!_free.TryDequeue(out PeerBatch? batch))
        {
            batch = new PeerBatch(this);
        }

        batch.Fill(from, frame);
        return batch;
    }

    /// <summary>Takes back a batch that a worker is done with. What is large or too many goes to the collector.</summary>
    public void Return(PeerBatch batch)
    {
        if (batch.CapacityBytes <= MostKeptBytes && _free.Count < MostKept)
        {
            _free.Enqueue(batch);
        }
    }
}
