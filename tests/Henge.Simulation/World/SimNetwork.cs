using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Simulation.World;

/// <summary>What the network does to frames.</summary>
public sealed class NetworkFaults
{
    /// <summary>Frames in a thousand that are lost.</summary>
    public int LossPerMille { get; set; }

    /// <summary>Frames in a thousand that come twice.</summary>
    public int DuplicatePerMille { get; set; }

    /// <summary>Frames in a thousand that are late, and so come after later ones.</summary>
    public int ReorderPerMille { get; set; }

    /// <summary>The longest usual delay.</summary>
    public long DelayNs { get; set; } = 500_000;

    /// <summary>How late a late frame can be.</summary>
    public long LateNs { get; set; } = 300_000_000;
}

/// <summary>Carries frames between the nodes, badly.</summary>
internal sealed class SimNetwork(SimWorld world, SimStatistics statistics)
{
    private readonly List<byte[]> _heldFrames = [];
    private (SimNode From, SimNode To)? _held;
    private readonly SimRandom _random = world.Random.Fork();
    private readonly List<SimNode> _nodes = [];
    private const int FramesKept = 128;
    private readonly HashSet<(int From, int To)> _cut = [];
    private readonly Dictionary<(int From, int FromEpoch, int To, int ToEpoch), long> _greeted = [];
    private readonly Dictionary<(int From, int To), Queue<byte[]>> _old = [];
    private readonly Dictionary<(int From, int To), byte[][]> _ofEarlierLife = [];

    /// <summary>What goes wrong.</summary>
    public NetworkFaults Faults { get; } = new();

    /// <summary>True when any way is cut.</summary>
    public bool IsCut => _cut.Count > 0;

    /// <summary>True when one of the two ways between two nodes is cut.</summary>
    public bool IsCutBetween(int a, int b) => _cut.Contains((a, b)) || _cut.Contains((b, a));

    /// <summary>Adds a node.</summary>
    public void Add(SimNode node) => _nodes.Add(node);

    /// <summary>Cuts one way.</summary>
    public void Cut(int from, int to)
    {
        if (_cut.Add((from, to)))
        {
            world.Note("cut", from, (ulong)to);
        }
    }

    /// <summary>Cuts all ways of a node, in both directions.</summary>
    public void Isolate(int node)
    {
        for (int other = 0; other < _nodes.Count; other++)
        {
            if (other != node)
            {
                Cut(node, other);
                Cut(other, node);
            }
        }
    }

    /// <summary>Opens one way.</summary>
    public void Open(int from, int to) => _cut.Remove((from, to));

    /// <summary>Opens all ways.</summary>
    public void Heal()
    {
        _cut.Clear();
        world.Note("heal", -1);
    }

    /// <summary>
    /// What a node sent before it started again does not come any more: where sessions end within seconds, a write among it could come
    /// when its session has begun and ended, which is a known limit (docs/decisions/0134-sessions-that-have-ended.md).
    /// </summary>
    public bool ForgetsSent { get; set; }

    /// <summary>
    /// A node starts again: some of what it and the others had sent each other before was long on its way and comes now, cut or not.
    /// Nothing that is told or answered by it may pass for something of the new life.
    /// </summary>
    public void ReplayOld(SimNode node)
    {
        foreach (SimNode other in _nodes)
        {
            if (other != node)
            {
                _ofEarlierLife[(node.Index, other.Index)] = Sent(node, other);
                _ofEarlierLife[(other.Index, node.Index)] = Sent(other, node);
                if (!ForgetsSent)
                {
                    Replay(node, other, Sent(node, other), 3_000);
                }

                Replay(other, node, Sent(other, node), 3_000);
            }
        }
    }

    /// <summary>What was sent to a node before it last started comes again, in the next so many milliseconds.</summary>
    public void ReplayOldTo(SimNode node, long withinMs)
    {
        foreach (SimNode other in _nodes)
        {
            if (_ofEarlierLife.TryGetValue((other.Index, node.Index), out byte[][]? frames))
            {
                Replay(other, node, frames, withinMs);
            }
        }
    }

    /// <summary>From now on what one node sends to another is long on its way: it arrives when it is released.</summary>
    public void Hold(SimNode from, SimNode to) => _held = (from, to);

    /// <summary>What was held arrives, in the order in which it was sent.</summary>
    public void Release()
    {
        (SimNode From, SimNode To)? held = _held;
        _held = null;
        foreach (byte[] frame in _heldFrames)
        {
            held!.Value.To.Receive(frame);
        }

        _heldFrames.Clear();
    }

    /// <summary>The last frames that one node sent to another.</summary>
    public byte[][] Sent(SimNode from, SimNode to) =>
        _old.TryGetValue((from.Index, to.Index), out Queue<byte[]>? frames) ? [.. frames] : [];

    private void Replay(SimNode from, SimNode to, byte[][] frames, long withinMs)
    {
        world.Note("replay", from.Index, (ulong)to.Index, (ulong)frames.Length);
        foreach (byte[] frame in frames)
        {
            if (_random.PerMille(600))
            {
                statistics.Replayed++;
                world.After(_random.Between(0, withinMs * 1_000_000), () => to.Receive(frame));
            }
        }
    }

    /// <summary>The way of one incarnation of a node to the others.</summary>
    public IPeerTransport CreateTransport(SimNode node) => new Transport(this, node, node.Epoch);

    private bool Send(SimNode from, NodeId to, ReadOnlySpan<byte> frame)
    {
        int index = _nodes.FindIndex(n => n.Id == to);
        if (index < 0)
        {
            // A member that has its number, and does not know it yet.
            return to.Value <= MemberTable.MostIds ? false : throw new SimulationException($"A frame was sent to {to}, which cannot be.");
        }

        if (_cut.Contains((from.Index, index)))
        {
            statistics.Cut++;
            return true;
        }

        if (!Greet(from, _nodes[index]))
        {
            return false;
        }

        if (_random.PerMille(Faults.LossPerMille))
        {
            statistics.Lost++;
            return true;
        }

        byte[] copy = frame.ToArray();
        if (_held == (from, _nodes[index]))
        {
            _heldFrames.Add(copy);
            return true;
        }

        Keep(from.Index, index, copy);
        Deliver(from, _nodes[index], copy);
        if (_random.PerMille(Faults.DuplicatePerMille))
        {
            statistics.Duplicated++;
            Deliver(from, _nodes[index], copy);
        }

        return true;
    }

    // What a transport does when it connects: it takes both nodes, and both ways between them.
    private bool Greet(SimNode from, SimNode to)
    {
        var connection = (from.Index, from.Epoch, to.Index, to.Epoch);
        if (_greeted.TryGetValue(connection, out long retryMs))
        {
            if (world.NowMs < retryMs)
            {
                return false;
            }

            if (retryMs < 0)
            {
                return true;
            }
        }

        if (!from.CanTalk || !to.CanTalk || _cut.Contains((to.Index, from.Index)))
        {
            return false;
        }

        bool good = to.OnHello(from.HelloTo(to.Id));
        good &= to.CanTalk && from.OnHello(to.HelloTo(from.Id));
        statistics.HellosRefused += good ? 0 : 1;
        _greeted[connection] = good ? -1 : world.NowMs + 200;
        return good;
    }

    // Who has no address any more is hung up on. When it calls again, it is told why.
    private void Disconnect(SimNode node, NodeId peer)
    {
        if (_nodes.FindIndex(n => n.Id == peer) is var other and >= 0)
        {
            foreach ((int From, int FromEpoch, int To, int ToEpoch) connection in _greeted.Keys.ToArray())
            {
                if ((connection.From, connection.To) == (node.Index, other) || (connection.From, connection.To) == (other, node.Index))
                {
                    _greeted.Remove(connection);
                }
            }
        }
    }

    private void Keep(int from, int to, byte[] frame)
    {
        if (!_old.TryGetValue((from, to), out Queue<byte[]>? frames))
        {
            _old.Add((from, to), frames = new Queue<byte[]>());
        }

        if (frames.Count == FramesKept)
        {
            frames.Dequeue();
        }

        frames.Enqueue(frame);
    }

    private void Deliver(SimNode from, SimNode to, byte[] frame)
    {
        long delay = _random.Between(20_000, Math.Max(20_000, Faults.DelayNs));
        if (_random.PerMille(Faults.ReorderPerMille))
        {
            statistics.Reordered++;
            delay += _random.Between(1_000_000, Faults.LateNs);
        }

        statistics.Frames++;
        from.Work.Sent++;
        from.Work.SentBytes += frame.Length;
        to.Work.Received++;
        world.After(delay, () =>
        {
            if (!_cut.Contains((from.Index, to.Index)))
            {
                to.Receive(frame);
            }
        });
    }

    private sealed class Transport(SimNetwork network, SimNode node, int epoch) : IPeerTransport
    {
        public void Start(IPeerReceiver receiver) => node.SetReceiver(receiver);

        public void SetPeer(NodeEntry peer, string otherAddress)
        {
            if (peer.Address.Length == 0 && epoch == node.Epoch)
            {
                network.Disconnect(node, peer.Id);
            }
        }

        public bool Send(NodeId to, ReadOnlySpan<byte> frame) => epoch != node.Epoch || network.Send(node, to, frame);
    }
}
