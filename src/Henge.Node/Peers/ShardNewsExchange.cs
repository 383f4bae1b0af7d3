using Henge.Core;
using Henge.Node.Context;

namespace Henge.Node.Peers;

/// <summary>
/// Tells the members that have no replica of a shard who leads it and where it is: at the next tick when something has changed of a shard
/// that this node leads, and again to one member after another, so that what is lost is made good. Answers those who ask, whatever this
/// node knows. Nothing is sent about shards that all members host.
/// </summary>
internal sealed class ShardNewsExchange(NodeContext node)
{
    private const int RepeatMs = 250;
    private const int FrameBytes = 48 * 1024;
    private readonly List<ShardPlace> _changed = [];
    private long _toldMs;
    private int _turn;

    /// <summary>Tells what is due. Called at each tick, by the thread that ticks.</summary>
    public void Tick()
    {
        _changed.Clear();
        while (node.Directory.TryTakeLedChange(out ShardId shard))
        {
            ShardPlace place = node.Directory.PlaceOf(shard);
            if (place.Leader == node.Self)
            {
                _changed.Add(place);
            }
        }

        if (_changed.Count > 0)
        {
            foreach (MemberInfo member in node.Members.Current)
            {
                Tell(member.Id, _changed);
            }
        }

        long now = node.MonotonicMs;
        IReadOnlyList<MemberInfo> members = node.Members.Current;
        if (now - _toldMs < RepeatMs || members.Count == 0)
        {
            return;
        }

        _toldMs = now;
        _turn = (_turn + 1) % members.Count;
        NodeId next = members[_turn].Id;
        if (next != node.Self)
        {
            _changed.Clear();
            for (uint s = 0; s < node.Directory.Count; s++)
            {
                ShardPlace place = node.Directory.PlaceOf(new ShardId(s));
                if (place.Leader == node.Self)
                {
                    _changed.Add(place);
                }
            }

            Tell(next, _changed);
        }
    }

    /// <summary>A member tells where shards are.</summary>
    public void OnNews(ReadOnlySpan<byte> body)
    {
        while (ShardNews.TryRead(ref body, out ShardPlace told))
        {
            node.Directory.Learn(told);
        }
    }

    /// <summary>A member asks where a shard is. Thread-safe.</summary>
    public void OnQuestion(NodeId from, ShardId shard)
    {
        if (shard.Value >= (uint)node.Directory.Count)
        {
            return;
        }

        var frame = new PeerFrameBuilder(node.Sender, from);
        ShardNews.Write(frame, node.Directory.PlaceOf(shard));
        node.Environment.Transport?.Send(from, frame.Complete(node.Incarnations.Of(from)));
    }

    private void Tell(NodeId peer, List<ShardPlace> places)
    {
        PeerFrameBuilder? frame = null;
        foreach (ShardPlace place in places)
        {
            if (peer == node.Self || place.Has(peer))
            {
                continue;
            }

            if (frame is null)
            {
                frame = new PeerFrameBuilder(node.Sender, peer);
                frame.BeginRecord(PeerRecordKind.ShardNews, ShardId.Catalog);
            }

            ShardNews.Append(frame, place);
            if (frame.Bytes >= FrameBytes)
            {
                Send(peer, frame);
                frame = null;
            }
        }

        if (frame is not null)
        {
            Send(peer, frame);
        }
    }

    private void Send(NodeId peer, PeerFrameBuilder frame)
    {
        frame.EndRecord();
        node.Environment.Transport?.Send(peer, frame.Complete(node.Incarnations.Of(peer)));
    }
}
