using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Hosting;
using Henge.Node.Peers;
using Henge.Node.Replication;

namespace Henge.Node.Workers;

/// <summary>
/// The heartbeats of one worker: one to each peer stands for those of all groups that the worker's shards lead, and proves their leadership for all reads that came before it
/// was sent (ReadIndex, Raft thesis, section 6.4; decision 0114). Belongs to the worker.
/// </summary>
internal sealed class SharedHeartbeats(Worker worker, NodeContext node)
{
    /// <summary>Bytes of a heartbeat's body: its number, the sum of what the sender leads, and whether it is one of the steady ones.</summary>
    public const int BodyBytes = 17;

    /// <summary>Bytes of an answer's body: the number, whether it was a steady one, and whether the peer agrees.</summary>
    public const int AnswerBytes = 10;

    private readonly List<ShardReplica> _reading = [];
    private bool _isDue;
    private ulong _number;

    /// <summary>A steady heartbeat is due.</summary>
    public void WantHeartbeat() => _isDue = true;

    /// <summary>Reads of a shard wait for the next heartbeat.</summary>
    public void WantProof(ShardReplica replica) => _reading.Add(replica);

    /// <summary>Sends what is wanted, with the frames of this run.</summary>
    public void Send()
    {
        if (!_isDue && _reading.Count == 0)
        {
            return;
        }

        _number++;
        foreach (ShardReplica replica in _reading)
        {
            replica.Group.SharedHeartbeatSent(_number);
        }

        foreach (MemberInfo member in node.Members)
        {
            ulong led = member.Id == node.Self ? 0 : node.Leaders.LedFor(member.Id);
            if (led != 0 && worker.Links.Begin(member.Id, PeerRecordKind.Heartbeat, new ShardId((uint)worker.Index)) is { } frame)
            {
                Span<byte> body = frame.GetSpan(BodyBytes);
                BinaryPrimitives.WriteUInt64LittleEndian(body, _number);
                BinaryPrimitives.WriteUInt64LittleEndian(body[8..], led);
                body[16] = _isDue ? (byte)1 : (byte)0;
                frame.Advance(BodyBytes);
                frame.EndRecord();
            }
        }

        _reading.Clear();
        _isDue = false;
    }

    /// <summary>
    /// Answers a peer's heartbeat, on the transport's thread: what this node follows the peer in is known without a look at the shards. False when it makes no sense.
    /// </summary>
    public static bool Answer(NodeContext node, NodeId from, uint lane, ReadOnlySpan<byte> body, PeerFrameBuilder answer)
    {
        if (body.Length != BodyBytes)
        {
            return false;
        }

        bool agrees = node.Leaders.Agrees(from, BinaryPrimitives.ReadUInt64LittleEndian(body[8..]));
        if (agrees)
        {
            node.Leaders.Heard(from, node.NowTicks);
        }

        answer.BeginRecord(PeerRecordKind.HeartbeatAnswer, new ShardId(lane));
        Span<byte> bytes = answer.GetSpan(AnswerBytes);
        body[..8].CopyTo(bytes);
        bytes[8] = body[16];
        bytes[9] = agrees ? (byte)1 : (byte)0;
        answer.Advance(AnswerBytes);
        answer.EndRecord();
        return true;
    }

    /// <summary>Takes a peer's answer in.</summary>
    public void OnAnswer(NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length != AnswerBytes)
        {
            return;
        }

        ulong number = BinaryPrimitives.ReadUInt64LittleEndian(body);
        bool wasSteady = body[8] != 0;
        foreach (ShardReplica replica in worker.Replicas)
        {
            replica.OnSharedHeartbeat(from, number, agrees: body[9] != 0, wasSteady);
        }
    }

    /// <summary>Tells the groups that follow a leader on another node when its last heartbeat came.</summary>
    public void TellFollowers()
    {
        foreach (ShardReplica replica in worker.Replicas)
        {
            NodeId leader = replica.Group.Leader;
            ulong heard = leader.IsNone || leader == node.Self ? 0 : node.Leaders.HeardTick(leader);
            if (heard != 0)
            {
                replica.Group.SetClock(worker.ClockTicks);
                replica.Group.SharedHeartbeatHeard(leader, heard);
            }
        }
    }
}
