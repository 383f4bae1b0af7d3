using System.Buffers.Binary;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Clocks;

/// <summary>
/// Asks the other members for their wall clocks, answers when they ask, and tells operators whose clock is off. A question carries this
/// node's monotonic clock, which the answer brings back, so that nothing has to be remembered and an answer to a question of before a
/// restart is of no use. Thread-safe.
/// </summary>
internal sealed class ClockExchange(NodeContext node)
{
    /// <summary>Bytes of a question's body: the sender's monotonic clock, as it is.</summary>
    public const int QuestionBytes = 8;

    /// <summary>Bytes of an answer's body: the question's, then the wall clock in Unix milliseconds.</summary>
    public const int AnswerBytes = 16;

    private const long AskMs = 1_000;
    private const long AskUnknownMs = 50;
    private const long RemindMs = 600_000;
    private readonly Lock _gate = new();
    private readonly MemberMap<PeerFrameBuilder?> _builders = new();

    // One more than the moment; 0 for never.
    private readonly MemberMap<long> _askedMs = new();
    private readonly MemberMap<long> _toldMs = new();
    private readonly MemberMap<bool> _isOff = new();
    private long _leadToldMs = -RemindMs;

    /// <summary>Asks the members that have not been asked for a second. Called at each tick.</summary>
    public void Tick()
    {
        foreach (MemberInfo member in node.Members.Current)
        {
            if (member.Id != node.Self)
            {
                Ask(member.Id, node.Clock.Knows(member.Id) ? AskMs : AskUnknownMs);
                Tell(member, node.Clock.Of(member.Id).AheadMs, node.Clock.Of(member.Id).IsKnown);
            }
        }

        TellOwn();
    }

    /// <summary>A peer's frame has come. Its clock is asked for at once when it is not known: who is to lead soon needs it.</summary>
    public void OnFrame(NodeId from)
    {
        if (!node.Clock.Knows(from))
        {
            Ask(from, AskUnknownMs);
        }
    }

    /// <summary>Answers a question.</summary>
    public void OnQuestion(NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length != QuestionBytes)
        {
            return;
        }

        Span<byte> answer = stackalloc byte[AnswerBytes];
        body.CopyTo(answer);
        BinaryPrimitives.WriteInt64LittleEndian(answer[QuestionBytes..], node.Environment.Time.GetUtcNow().ToUnixTimeMilliseconds());
        Send(from, PeerRecordKind.ClockAnswer, answer);
    }

    /// <summary>Takes an answer in.</summary>
    public void OnAnswer(NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length == AnswerBytes)
        {
            node.Clock.OnAnswer(
                from,
                BinaryPrimitives.ReadInt64LittleEndian(body[QuestionBytes..]),
                BinaryPrimitives.ReadInt64LittleEndian(body));
        }
    }

    /// <summary>The clocks as operators should see them.</summary>
    public ClockStatus Read(IReadOnlyList<ShardStatus> shards)
    {
        ClusterClock clock = node.Clock;
        var peers = new List<PeerClockStatus>(node.Members.Count);
        foreach (MemberInfo member in node.Members.Current)
        {
            if (member.Id != node.Self && clock.Of(member.Id) is { IsKnown: true } peer)
            {
                peers.Add(new PeerClockStatus(member.Id, peer.AheadMs, peer.UncertaintyMs));
            }
        }

        long newest = shards.Count == 0 ? 0 : shards.Max(static s => s.LastVersion.Milliseconds);
        return new ClockStatus
        {
            IsKnown = clock.IsKnown,
            IsContested = clock.IsContested,
            SkewMs = clock.SkewMs,
            IsOverruled = clock.IsOverruled,
            VersionLeadMs = clock.IsKnown ? Math.Max(0, newest - clock.Now.Milliseconds) : 0,
            Peers = peers,
        };
    }

    /// <summary>Tells operators that a shard's versions are ahead of the clocks, now and then.</summary>
    public void OnLead(ShardId shard, TimeSpan lead)
    {
        long now = node.MonotonicMs;
        long last = Interlocked.Read(ref _leadToldMs);
        if (now - last >= RemindMs && Interlocked.CompareExchange(ref _leadToldMs, now, last) == last)
        {
            node.Events?.VersionsAheadOfClocks(shard, (long)lead.TotalMilliseconds);
        }
    }

    private void Ask(NodeId peer, long everyMs)
    {
        long now = node.MonotonicMs;
        long last = Interlocked.Read(ref _askedMs[peer]);
        if ((last != 0 && now + 1 - last < everyMs) || Interlocked.CompareExchange(ref _askedMs[peer], now + 1, last) != last)
        {
            return;
        }

        Span<byte> question = stackalloc byte[QuestionBytes];
        BinaryPrimitives.WriteInt64LittleEndian(question, node.Environment.Time.GetTimestamp());
        Send(peer, PeerRecordKind.ClockQuestion, question);
    }

    private void Send(NodeId peer, PeerRecordKind kind, ReadOnlySpan<byte> body)
    {
        lock (_gate)
        {
            PeerFrameBuilder frame = _builders[peer] ??= new PeerFrameBuilder(node.Sender, peer);
            frame.BeginRecord(kind, ShardId.Catalog);
            body.CopyTo(frame.GetSpan(body.Length));
            frame.Advance(body.Length);
            frame.EndRecord();
            node.Environment.Transport?.Send(peer, frame.Complete(node.Incarnations.Of(peer)));
            frame.Clear();
        }
    }

    // Only called by the thread that ticks.
    private void Tell(MemberInfo member, long aheadMs, bool isKnown)
    {
        if (!node.Clock.IsKnown || !isKnown)
        {
            return;
        }

        // Against the majority, not against this node, whose own clock may be the one that is wrong.
        long offsetMs = aheadMs + node.Clock.SkewMs;
        switch (Compare(member.Id, offsetMs))
        {
            case ClockChange.Off:
                node.Events?.PeerClockOff(member.Name, offsetMs);
                break;
            case ClockChange.Agrees:
                node.Events?.PeerClockAgrees(member.Name);
                break;
            default:
                break;
        }
    }

    private void TellOwn()
    {
        if (node.Clock.IsAlone || !node.Clock.IsKnown)
        {
            return;
        }

        switch (Compare(node.Self, node.Clock.SkewMs))
        {
            case ClockChange.Off:
                node.Events?.OwnClockOff(node.Clock.SkewMs);
                break;
            case ClockChange.Agrees:
                node.Events?.OwnClockAgrees();
                break;
            default:
                break;
        }
    }

    // What operators are to be told of a clock now; while it stays off they are told again now and then.
    private ClockChange Compare(NodeId whose, long offsetMs)
    {
        ref bool isOff = ref _isOff[whose];
        bool was = isOff;
        isOff = Math.Abs(offsetMs) > node.Clock.MaxSkewMs;
        if (isOff && (!was || node.MonotonicMs - _toldMs[whose] >= RemindMs))
        {
            _toldMs[whose] = node.MonotonicMs;
            return ClockChange.Off;
        }

        return was && !isOff ? ClockChange.Agrees : ClockChange.None;
    }

    private enum ClockChange
    {
        None,
        Off,
        Agrees,
    }
}
