using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// Finds out whether a replica is still a member of its shard, when its own membership does not list it or it hears no leader for long; and
/// answers others on the leader. Belongs to the shard's worker.
/// </summary>
/// <remarks>
/// A question carries a random number, and counts only until a leader says anything to the replica: from then on it may have
/// acknowledged something that an answer to it does not know of. Question: <c>number u64</c>. Answer: <c>number u64 | term u64 | index of
/// the membership u64 | membership</c>.
/// </remarks>
internal sealed class MembershipInquiry(ShardReplica replica, RaftGroup group, IRandomSource random)
{
    private const int QuestionBytes = 8;
    private const int AnswerHeaderBytes = 24;
    private const int OutsideTicks = 100;
    private const int SilentTicks = 200;
    private ulong _asked;
    private int _ticks;
    private int _nextOther;

    /// <summary>A leader has spoken: what was asked before does not count any more.</summary>
    public void OnLeader() => _asked = 0;

    /// <summary>Asks now and then, when there is a reason to.</summary>
    public void Tick()
    {
        NodeId self = replica.Node.Self;
        bool isOutside = !group.Membership.IsMember(self);
        if (replica.Shard.IsCatalog || group.Role == RaftRole.Leader || (!isOutside && group.HearsLeader))
        {
            _ticks = 0;
            return;
        }

        if (++_ticks % (isOutside ? OutsideTicks : SilentTicks) == 0)
        {
            Ask(self);
        }
    }

    /// <summary>A record of either kind has come.</summary>
    public void Take(NodeId from, PeerRecordKind kind, ReadOnlySpan<byte> body)
    {
        if (kind == PeerRecordKind.MembershipQuestion)
        {
            if (body.Length == QuestionBytes && MayAnswer(from))
            {
                Answer(from, body);
            }
        }
        else if (body.Length > AnswerHeaderBytes)
        {
            TakeAnswer(from, body);
        }
    }

    // Only one that is sure: what it says may cost the last copy of what nobody has committed, and must not cost one that counts.
    private bool MayAnswer(NodeId from)
    {
        if (replica.Node.Options.Bugs.DropsBeforeCommitted)
        {
            return group.Role == RaftRole.Leader && !group.Membership.IsIncomingVoter(from) && !group.Membership.Learners.Contains(from);
        }

        return group.IsSureOfMembership && !group.Membership.IsMember(from);
    }

    private void Ask(NodeId self)
    {
        do
        {
            _asked = random.NextUInt64();
        }
        while (_asked == 0);

        foreach (NodeId member in group.Membership.Members)
        {
            if (member != self)
            {
                Send(member);
            }
        }

        // All of those may have left the shard as well.
        IReadOnlyList<MemberInfo> others = replica.Node.Members.Current;
        for (int i = 0; i < others.Count; i++)
        {
            NodeId other = others[_nextOther++ % others.Count].Id;
            if (other != self && !group.Membership.IsMember(other))
            {
                Send(other);
                break;
            }
        }
    }

    private void Send(NodeId to)
    {
        if (replica.Worker.Links.Begin(to, PeerRecordKind.MembershipQuestion, replica.Shard) is { } frame)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(frame.GetSpan(QuestionBytes), _asked);
            frame.Advance(QuestionBytes);
            frame.EndRecord();
        }
    }

    private void Answer(NodeId to, ReadOnlySpan<byte> question)
    {
        byte[] membership = group.Membership.Encode();
        if (replica.Worker.Links.Begin(to, PeerRecordKind.MembershipAnswer, replica.Shard) is not { } frame)
        {
            return;
        }

        Span<byte> body = frame.GetSpan(AnswerHeaderBytes + membership.Length);
        question.CopyTo(body);
        BinaryPrimitives.WriteUInt64LittleEndian(body[8..], group.Term.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(body[16..], group.MembershipIndex.Value);
        membership.CopyTo(body[AnswerHeaderBytes..]);
        frame.Advance(AnswerHeaderBytes + membership.Length);
        frame.EndRecord();
    }

    private void TakeAnswer(NodeId from, ReadOnlySpan<byte> body)
    {
        var term = new Term(BinaryPrimitives.ReadUInt64LittleEndian(body[8..]));
        var index = new LogIndex(BinaryPrimitives.ReadUInt64LittleEndian(body[16..]));
        if (
            _asked == 0
            || BinaryPrimitives.ReadUInt64LittleEndian(body) != _asked
            || group.Role == RaftRole.Leader
            || term < group.Term
            || !Membership.TryDecode(body[AnswerHeaderBytes..], out Membership? membership)
            || membership.IsIncomingVoter(replica.Node.Self)
            || membership.Learners.Contains(replica.Node.Self))
        {
            // Of an earlier question, or of a leader whose term is over: another one may have taken the replica in since.
            return;
        }

        replica.Drop(from, term, index, membership);
    }
}
