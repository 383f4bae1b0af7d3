using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Tests.Clusters;

/// <summary>Carries frames between the nodes of a harness, with the faults that are asked for.</summary>
public sealed class HarnessNetwork(Random random)
{
    private readonly List<(long AtMs, long Order, NodeId From, NodeId To, byte[] Frame)> _underWay = [];
    private readonly Dictionary<NodeId, IPeerReceiver> _receivers = [];
    private readonly HashSet<(IPeerReceiver From, IPeerReceiver To)> _greeted = [];
    private readonly HashSet<(NodeId From, NodeId To)> _cut = [];
    private long _order;

    public long NowMs { get; set; }

    public int DelayMinMs { get; set; }

    public int DelayMaxMs { get; set; } = 1;

    /// <summary>How long frames take between two nodes, where not all are alike.</summary>
    public Func<NodeId, NodeId, int>? Delay { get; set; }

    public double LossRate { get; set; }

    public double RepeatRate { get; set; }

    public long FramesSent { get; private set; }

    /// <summary>Asked for each frame; true loses it.</summary>
    public Func<NodeId, NodeId, byte[], bool>? Lose { get; set; }

    /// <summary>Asked for each frame; true keeps it until <see cref="LetGo"/>.</summary>
    public Func<NodeId, NodeId, byte[], bool>? Hold { get; set; }

    private readonly List<(NodeId From, NodeId To, byte[] Frame)> _held = [];

    /// <summary>How many frames are kept.</summary>
    public int Held => _held.Count;

    /// <summary>Sends the frames on that were kept.</summary>
    public void LetGo()
    {
        Hold = null;
        _held.ForEach(f => _underWay.Add((NowMs, _order++, f.From, f.To, f.Frame)));
        _held.Clear();
    }

    public IPeerTransport Attach(NodeId node) => new Port(this, node);

    public void Cut(NodeId from, NodeId to) => _cut.Add((from, to));

    public void CutBoth(NodeId a, NodeId b)
    {
        Cut(a, b);
        Cut(b, a);
    }

    public void Isolate(NodeId node, IEnumerable<NodeId> others)
    {
        foreach (NodeId other in others)
        {
            if (other != node)
            {
                CutBoth(node, other);
            }
        }
    }

    public void Heal() => _cut.Clear();

    public void Detach(NodeId node)
    {
        _receivers.Remove(node);
        _underWay.RemoveAll(f => f.To == node || f.From == node);
    }

    public bool Deliver()
    {
        bool any = false;
        while (true)
        {
            int best = -1;
            for (int i = 0; i < _underWay.Count; i++)
            {
                if (
                    _underWay[i].AtMs <= NowMs
                    && (best < 0 || (_underWay[i].AtMs, _underWay[i].Order).CompareTo((_underWay[best].AtMs, _underWay[best].Order)) < 0))
                {
                    best = i;
                }
            }

            if (best < 0)
            {
                return any;
            }

            (_, _, NodeId from, NodeId to, byte[] frame) = _underWay[best];
            _underWay.RemoveAt(best);
            any = true;
            if (!_cut.Contains((from, to)) && _receivers.TryGetValue(to, out IPeerReceiver? receiver) && Greet(from, to, receiver))
            {
                receiver.OnFrame(frame);
            }
        }
    }

    // What a transport does when it connects.
    private bool Greet(NodeId from, NodeId to, IPeerReceiver receiver)
    {
        IPeerReceiver sender = _receivers[from];
        if (_greeted.Contains((sender, receiver)))
        {
            return true;
        }

        bool good = receiver.OnHello(sender.HelloTo(to), out NodeId peer);
        good &= sender.OnHello(receiver.HelloTo(peer), out _);
        return good && _greeted.Add((sender, receiver));
    }

    private bool Send(NodeId from, NodeId to, ReadOnlySpan<byte> frame)
    {
        FramesSent++;
        byte[] copy = frame.ToArray();
        if (_cut.Contains((from, to)) || random.NextDouble() < LossRate || Lose?.Invoke(from, to, copy) == true)
        {
            return false;
        }

        if (Hold?.Invoke(from, to, copy) == true)
        {
            _held.Add((from, to, copy));
            return true;
        }

        Add();
        if (random.NextDouble() < RepeatRate)
        {
            Add();
        }

        return true;

        void Add() => _underWay.Add((
            NowMs + (Delay?.Invoke(from, to) ?? random.Next(DelayMinMs, DelayMaxMs + 1)), _order++, from, to, copy));
    }

    private sealed class Port(HarnessNetwork network, NodeId node) : IPeerTransport
    {
        public void Start(IPeerReceiver receiver) => network._receivers[node] = receiver;

        public bool Send(NodeId to, ReadOnlySpan<byte> frame) => network.Send(node, to, frame);
    }
}
