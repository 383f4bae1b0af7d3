using Henge.Core;

namespace Henge.Node.Subscriptions;

/// <summary>
/// What one watch gets from one other node. It is opened once: when events were lost, or the other node is not heard, another one takes its
/// place. Guarded by the lock of its <see cref="RemoteShards"/>.
/// </summary>
/// <param name="owner">The watch's remote part.</param>
/// <param name="id">Its number, used once.</param>
/// <param name="node">Who gives the events.</param>
/// <param name="window">Bytes of events that may be sent before they are read.</param>
internal sealed class Subscription(RemoteShards owner, ulong id, NodeId node, int window)
{
    /// <summary>The watch's remote part.</summary>
    public RemoteShards Owner => owner;

    /// <summary>Its number.</summary>
    public ulong Id => id;

    /// <summary>Who gives the events.</summary>
    public NodeId Node => node;

    /// <summary>The shards that it is about.</summary>
    public List<RemoteShard> Shards { get; } = [];

    /// <summary>Which serving of the other node the records are of: one that it began again would count them anew. 0: not known.</summary>
    public ulong Serving { get; set; }

    /// <summary>The number of the last record that was taken; 0: it has not been answered.</summary>
    public ulong Sequence { get; set; }

    /// <summary>When the other node was last heard.</summary>
    public long HeardMs { get; set; }

    /// <summary>When the other node was last told that this one is there.</summary>
    public long SaidMs { get; set; }

    /// <summary>Bytes of events that the other node may send, counted from the beginning.</summary>
    public ulong Granted { get; private set; } = (ulong)window;

    /// <summary>Bytes of events that were read.</summary>
    public ulong Consumed { get; private set; }

    /// <summary>Takes note of bytes that were read; true when the other node should be told that it may send more.</summary>
    public bool Consume(int bytes, int windowNow)
    {
        Consumed += (ulong)bytes;
        if (Granted >= Consumed + ((ulong)windowNow / 2))
        {
            return false;
        }

        Granted = Consumed + (ulong)windowNow;
        return true;
    }
}

/// <summary>One shard of a watch, taken from another node.</summary>
/// <param name="shard">Which.</param>
/// <param name="next">Where the watch stands in it; zero: from now on.</param>
internal sealed class RemoteShard(ShardId shard, Core.Version next)
{
    /// <summary>Which.</summary>
    public ShardId Shard => shard;

    /// <summary>Everything below this version has come here, or is not of the range.</summary>
    public Core.Version Received { get; set; } = next;

    /// <summary>Everything below this version was given to the reader, or is not of the range.</summary>
    public Core.Version Given { get; set; } = next;

    /// <summary>Who gives its events; null: nobody just now.</summary>
    public Subscription? Source { get; set; }

    /// <summary>True once some node has answered for it.</summary>
    public bool IsOpen { get; set; }

    /// <summary>True when it is to be asked for by itself.</summary>
    public bool IsAlone { get; set; }

    /// <summary>Nodes that have said that they do not have the events any more that come next.</summary>
    public List<NodeId> Gone { get; } = [];

    /// <summary>When the first of <see cref="Gone"/> said so.</summary>
    public long GoneMs { get; set; }
}
