using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Workers;

/// <summary>
/// The heartbeats of one worker: one to each peer stands for those of all groups that the worker's shards lead, and proves their leadership
/// for all reads that came before it was sent (ReadIndex, Raft thesis, section 6.4; decision 0114). Belongs to the worker.
/// </summary>
internal sealed class SharedHeartbeats(Worker worker, NodeContext node)
{
    /// <summary>
    /// Bytes of a heartbeat's body: the start of its sender, its number, the sum of what the sender leads, and whether it is one of the
    /// steady ones.
    /// </summary>
    public const int BodyBytes = 25;

    /// <summary>
    /// Bytes of an answer's body: start and number of the heartbeat, whether it was a steady one, and whether the peer agrees.
    /// </summary>
    public const int AnswerBytes = 18;

    private readonly List<IHostedReplica> _reading = [];

    // Numbers count from 1 at each start. What tells them from those of an earlier one, whose answers may still be on their way, is this
    // random number (decision 0139).
    private readonly ulong _start = node.Options.Bugs.ForgetsStartOfHeartbeats
        ? 0 : new Henge.Raft.SplitMix64Random(node.Environment.Seed ^ ((ulong)worker.Index + 0x4EA7_BEA7_0000)).NextUInt64();

    private bool _isDue;
    private ulong _number;

    /// <summary>A steady heartbeat is due.</summary>
    public void WantHeartbeat() => _isDue = true;

    /// <summary>Reads of a shard wait for the next heartbeat.</summary>
    public void WantProof(IHostedReplica replica) => _reading.Add(replica);

    /// <summary>Sends what is wanted, with the frames of this run.</summary>
    public void Send()
    {
        if (!_isDue && _reading.Count == 0)
        {
            return;
        }

        _number++;
        foreach (IHostedReplica replica in _reading)
        {
            replica.Group.SharedHeartbeatSent(_number);
        }

        foreach (MemberInfo member in node.Members.Current)
        {
            // Only a steady one goes to all: a read asks the members of its shard, or it would cost a message for every node there is.
            ulong led = member.Id == node.Self || !(_isDue || IsAsked(member.Id)) ? 0
                : node.Leaders.LedFor(member.Id, worker.Index, node.NowTicks);
            if (led != 0 && worker.Links.Begin(member.Id, PeerRecordKind.Heartbeat, new ShardId((uint)worker.Index)) is { } frame)
            {
                Span<byte> body = frame.GetSpan(BodyBytes);
                BinaryPrimitives.WriteUInt64LittleEndian(body, _start);
                BinaryPrimitives.WriteUInt64LittleEndian(body[8..], _number);
                BinaryPrimitives.WriteUInt64LittleEndian(body[16..], led);
                body[24] = _isDue ? (byte)1 : (byte)0;
                frame.Advance(BodyBytes);
                frame.EndRecord();
            }
        }

        _reading.Clear();
        _isDue = false;
    }

    private bool IsAsked(NodeId member)
    {
        foreach (IHostedReplica replica in _reading)
        {
            if (replica.Group.Membership.IsMember(member))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Answers a peer's heartbeat, on the transport's thread: what this node follows the peer in is known without a look at the shards.
    /// False when it makes no sense.
    /// </summary>
    public static bool Answer(NodeContext node, NodeId from, uint lane, ReadOnlySpan<byte> body, PeerFrameBuilder answer)
    {
        if (body.Length != BodyBytes)
        {
            return false;
        }

        ulong now = node.NowTicks;
        bool agrees = node.Leaders.Agrees(from, BinaryPrimitives.ReadUInt64LittleEndian(body[16..]), now);
        if (agrees)
        {
            node.Leaders.Heard(from, now);
        }

        answer.BeginRecord(PeerRecordKind.HeartbeatAnswer, new ShardId(lane));
        Span<byte> bytes = answer.GetSpan(AnswerBytes);
        body[..16].CopyTo(bytes);
        bytes[16] = body[24];
        bytes[17] = agrees ? (byte)1 : (byte)0;
        answer.Advance(AnswerBytes);
        answer.EndRecord();
        return true;
    }

    /// <summary>Takes a peer's answer in.</summary>
    public void OnAnswer(NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length != AnswerBytes || BinaryPrimitives.ReadUInt64LittleEndian(body) != _start)
        {
            return;
        }

        ulong number = BinaryPrimitives.ReadUInt64LittleEndian(body[8..]);
        bool wasSteady = body[16] != 0;
        foreach (IHostedReplica replica in worker.Hosted)
        {
            replica.OnSharedHeartbeat(from, number, agrees: body[17] != 0, wasSteady);
        }
    }

    /// <summary>Tells the groups that follow a leader on another node when its last heartbeat came.</summary>
    public void TellFollowers()
    {
        foreach (IHostedReplica replica in worker.Hosted)
        {
            if (!replica.Rests)
            {
                Tell(replica);
            }
        }
    }

    /// <summary>Tells one group.</summary>
    public void Tell(IHostedReplica replica)
    {
        NodeId leader = replica.Group.Leader;
        ulong heard = leader.IsNone || leader == node.Self ? 0 : node.Leaders.HeardTick(leader);
        if (heard != 0)
        {
            replica.Group.SetClock(worker.ClockTicks);
            replica.Group.SharedHeartbeatReceived(leader, heard);
        }
    }
}
