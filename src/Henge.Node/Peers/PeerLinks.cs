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
    private readonly PeerFrameBuilder?[] _builders;

    /// <summary>Creates links to all members.</summary>
    public PeerLinks(NodeContext node)
    {
        _node = node;
        _builders = new PeerFrameBuilder?[node.Members.Count + 1];
        foreach (MemberInfo member in node.Members)
        {
            if (member.Id != node.Self)
            {
                _builders[member.Id.Value] = new PeerFrameBuilder(node.Sender, member.Id);
            }
        }
    }

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
        if (to.Value >= (ulong)_builders.Length || _builders[to.Value] is not { } builder)
        {
            return null;
        }

        MakeRoom(to);
        builder.BeginRecord(kind, shard);
        return builder;
    }

    /// <summary>Sends the open frame to a peer if it is full, so that the next record begins a new one.</summary>
    public void MakeRoom(NodeId to)
    {
        if (to.Value < (ulong)_builders.Length && _builders[to.Value] is { } builder && builder.Bytes >= _node.Options.PeerFrameBytes)
        {
            Flush(to, builder);
        }
    }

    /// <summary>Sends what was gathered.</summary>
    public void Flush()
    {
        for (int i = 1; i < _builders.Length; i++)
        {
            if (_builders[i] is { IsEmpty: false } builder)
            {
                Flush(new NodeId((ulong)i), builder);
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
