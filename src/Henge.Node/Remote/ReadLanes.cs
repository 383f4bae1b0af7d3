using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Reads;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Storage;

namespace Henge.Node.Remote;

/// <summary>The lanes on which a node reads for others: as many as it has workers. Thread-safe.</summary>
internal sealed class ReadLanes : IValueAnswers
{
    private readonly NodeContext _node;
    private readonly Func<ShardId, ShardStateMachine?> _machineOf;
    private readonly ReadLane[] _lanes;
    private readonly Worker[] _workers;
    private int _turn;

    /// <summary>Creates the lanes of a node.</summary>
    public ReadLanes(NodeContext node, Worker[] workers, Func<ShardId, ShardStateMachine?> machineOf)
    {
        _node = node;
        _workers = workers;
        _machineOf = machineOf;
        _lanes = [.. workers.Select((_, i) => new ReadLane(node, i, AnswerValue))];
    }

    /// <inheritdoc/>
    public void Answer(RemoteRead read) => _lanes[LaneOf(read.Shard)].Submit(read);

    /// <summary>Takes a job in, by turns.</summary>
    public void Submit(IReadJob job) => _lanes[(uint)Interlocked.Increment(ref _turn) % (uint)_lanes.Length].Submit(job);

    /// <summary>Reads nothing more; calls when nothing is being read any more.</summary>
    public void Stop(Action stopped)
    {
        int missing = _lanes.Length;
        foreach (ReadLane lane in _lanes)
        {
            lane.Stop(() =>
            {
                if (Interlocked.Decrement(ref missing) == 0)
                {
                    stopped();
                }
            });
        }
    }

    private int LaneOf(ShardId shard) => (int)(shard.Value % (uint)_lanes.Length);

    private void AnswerValue(RemoteRead read, ReadLane lane)
    {
        try
        {
            if (_machineOf(read.Shard) is { } machine)
            {
                bool found = NodeReads.TryRead(read, machine, _node, out PinnedValue value);
                using (value)
                {
                    Reply(read, lane, found, value);
                }
            }
            else if (_node.Options.Bugs.AnswersForForeignShards)
            {
                Reply(read, lane, found: false, default);
            }
            else
            {
                Reply(read, lane, ErrorCode.Unavailable, "This node has no replica of the shard any more.");
            }
        }
        catch (HengeException e)
        {
            Reply(read, lane, e.Code, e.Message);
        }

        _workers[read.Shard.Value % (uint)_workers.Length].Reads.Recycle(read);
    }

    private static void Reply(RemoteRead read, ReadLane lane, bool found, in PinnedValue value)
    {
        PeerFrameBuilder frame = lane.Begin(read.From, PeerRecordKind.ReadReply, read.Shard);
        if (found)
        {
            ReadReply.Write(frame, read.RequestId, read.Version, value);
        }
        else
        {
            ReadReply.Write(frame, read.RequestId, ErrorCode.None, null, read.Version);
        }

        frame.EndRecord();
    }

    private static void Reply(RemoteRead read, ReadLane lane, ErrorCode error, string message)
    {
        PeerFrameBuilder frame = lane.Begin(read.From, PeerRecordKind.ReadReply, read.Shard);
        ReadReply.Write(frame, read.RequestId, error, message, default);
        frame.EndRecord();
    }
}
