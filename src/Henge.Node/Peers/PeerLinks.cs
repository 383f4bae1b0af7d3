using Henge.Core;
using Henge.Node.Context;
using Henge.Raft;

namespace Henge.Node.Peers;

/// <summary>
/// What one worker has for each peer: everything that its shards send during a run leaves as one frame (more when it grows too large).
/// Belongs to the worker.
/// </summary>
internal sealed class PeerLinks
{
    private readonly NodeContext _node;
    private readonly MemberMap<PeerFrameBuilder?> _builders = new();
    private readonly List<(NodeId To, PeerFrameBuilder Builder)> _used = [];

    /// <summary>Creates links, which open with the first record to a member.</summary>
    public PeerLinks(NodeContext node) => _node = node;

    /// <summary>Told after each frame whether the transport took it; false means that nothing of it has left.</summary>
    public Action<NodeId, bool>? Flushed { get; set; }

    /// <summary>Adds a message of a shard's group.</summary>
    public void Send(ShardId shard, RaftMessage message)
    {
        PeerFrameBuilder? builder = Begin(message.To, PeerRecordKind.Raft, shard);
        if (builder is not null)
        {
            RaftMessageCodec.Encode(message, builder);
            builder.EndRecord();
        }
    }

    /// <summary>Begins a record to a peer; null when there is no such peer. End it with <see cref="PeerFrameBuilder.EndRecord"/>.</summary>
    public PeerFrameBuilder? Begin(NodeId to, PeerRecordKind kind, ShardId shard)
    {
        if (to == _node.Self || !_node.Members.Contains(to))
        {
            return null;
        }

        ref PeerFrameBuilder? builder = ref _builders[to];
        if (builder is null)
        {
            builder = new PeerFrameBuilder(_node.Sender, to);

            // In the order of their numbers, whoever is written to first.
            int place = _used.FindIndex(used => used.To.Value > to.Value);
            _used.Insert(place < 0 ? _used.Count : place, (to, builder));
        }

        MakeRoom(to);
        builder.BeginRecord(kind, shard);
        return builder;
    }

    /// <summary>Sends the open frame to a peer if it is full, so that the next record begins a new one.</summary>
    public void MakeRoom(NodeId to)
    {
        if (to.Value <= MemberTable.MostIds && _builders[to] is { } builder && builder.Bytes >= _node.Options.PeerFrameBytes)
        {
            Flush(to, builder);
        }
    }

    /// <summary>Sends what was gathered.</summary>
    public void Flush()
    {
        foreach ((NodeId to, PeerFrameBuilder builder) in _used)
        {
            if (!builder.IsEmpty)
            {
                Flush(to, builder);
            }
        }
    }

    private void Flush(NodeId to, PeerFrameBuilder builder)
    {
        bool sent = _node.Environment.Transport?.Send(to, builder.Complete(_node.Incarnations.Of(to))) == true;
        builder.Clear();
        Flushed?.Invoke(to, sent);
    }
}
