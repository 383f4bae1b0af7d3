using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Raft;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;

namespace Henge.Node.Tests.Clusters;

/// <summary>
/// Whole nodes in one thread, on time that moves by hand: the same seed and the same calls give the same run. Nodes are the real ones; only
/// what reaches the outside is replaced (clock, disk, network, threads).
/// </summary>
public sealed class ClusterHarness
{
    private readonly Func<NodeOptions, NodeOptions> _configure;
    private readonly List<HarnessNode> _nodes;
    private long _nowMs;

    public ClusterHarness(
        int nodes,
        ulong seed = 1,
        Func<NodeOptions, NodeOptions>? configure = null,
        bool start = true,
        bool useMemoryEngine = false)
    {
        UseMemoryEngine = useMemoryEngine;
        Seed = seed;
        Random = new Random((int)seed);
        Network = new HarnessNetwork(Random);
        _configure = configure ?? (static o => o);
        Members = [.. Enumerable.Range(1, nodes).Select(static i => new ClusterMember($"node{i}", $"10.0.0.{i}:7000"))];
        _nodes = [.. Members.Select((m, i) => new HarnessNode(this, m.Name, new NodeId((ulong)i + 1)))];
        if (start)
        {
            foreach (HarnessNode node in Nodes)
            {
                node.Start();
            }
        }
    }

    public ulong Seed { get; }

    public Random Random { get; }

    public HarnessNetwork Network { get; }

    public IReadOnlyList<ClusterMember> Members { get; set; }

    public IReadOnlyList<HarnessNode> Nodes => _nodes;

    /// <summary>Where nodes are that the cluster was not made of.</summary>
    public Dictionary<string, string> Joined { get; } = [];

    public bool UseMemoryEngine { get; }

    public LsmOptions EngineOptions { get; set; } = new() { Directory = "", MemTableBytes = 64 * 1024, MemoryBytes = 8 << 20 };

    public long NowMs => _nowMs;

    public IEnumerable<HarnessNode> Running => Nodes.Where(static n => n.IsRunning);

    /// <summary>Puts up a machine that the cluster was not made of. It has to join.</summary>
    public HarnessNode Add(string name, string address)
    {
        Joined[name] = address;
        var node = new HarnessNode(this, name, NodeId.None);
        node.Time.Advance(_nowMs);
        _nodes.Add(node);
        return node;
    }

    public NodeOptions OptionsOf(string name) => _configure(new NodeOptions
    {
        Name = name,
        DataDirectory = "",
        Cluster = Joined.ContainsKey(name) ? [] : Members,
        Address = Joined.GetValueOrDefault(name) ?? "",
        Shards = 4,
        Workers = 2,
        LogSegmentBytes = 256 * 1024,
        Limits = new NodeLimits { CommandBytes = 64 * 1024 },
    });

    /// <summary>Runs what waits until nothing does, without letting time pass.</summary>
    public void Settle()
    {
        bool any;
        do
        {
            any = Network.Deliver();
            foreach (HarnessNode node in Nodes)
            {
                while (node.RunOne())
                {
                    any = true;
                }
            }
        }
        while (any);
    }

    /// <summary>Lets time pass, a millisecond at a time.</summary>
    public void Run(long milliseconds)
    {
        for (long i = 0; i < milliseconds; i++)
        {
            Settle();
            _nowMs++;
            Network.NowMs = _nowMs;
            foreach (HarnessNode node in Nodes)
            {
                node.Time.Advance(1);
                if (_nowMs % 10 == 0 && !node.IsPaused)
                {
                    node.Tick();
                }
            }
        }

        Settle();
    }

    /// <summary>Lets time pass until something holds; fails when it does not within the limit.</summary>
    public void RunUntil(Func<bool> condition, long limitMs = 5_000, string? what = null)
    {
        long end = _nowMs + limitMs;
        Settle();
        while (!condition())
        {
            Assert.True(_nowMs < end, $"{what ?? "the condition"} did not come about within {limitMs} ms (seed {Seed})\n{Describe()}");
            Run(1);
        }
    }

    /// <summary>The node that leads a shard; null when there is none, or nobody is sure.</summary>
    public HarnessNode? LeaderOf(uint shard) => Running
        .Where(n => !n.IsPaused && n.Hosts(shard) && n.Replica(shard).Group.Role == RaftRole.Leader)
        .OrderByDescending(n => n.Replica(shard).Group.Term.Value)
        .FirstOrDefault();

    public void RunUntilLed(long limitMs = 5_000) =>
        RunUntil(
            () =>
                Enumerable
                    .Range(0, Running.First().Running.Parts.Context.Shards.Count)
                    .All(s => LeaderOf((uint)s) is { } l && Running.All(n => n.IsPaused || Follows(n, (uint)s, l))),
            limitMs,
            "leaders everywhere");

    private static bool Follows(HarnessNode node, uint shard, HarnessNode leader) =>
        !node.Hosts(shard) || node.Replica(shard).Group.Leader == leader.Id;

    public HarnessOperation Complete(HarnessNode node, HarnessOperation operation, long limitMs = 10_000)
    {
        node.Running.Submit(operation);
        RunUntil(() => operation.IsDone, limitMs, operation.ToString());
        return operation;
    }

    public void Put(HarnessNode node, string key, string value)
    {
        HarnessOperation put = Complete(node, HarnessOperation.Put(key, value));
        Assert.True(put.Error == ErrorCode.None, $"{put} (seed {Seed})\n{Describe()}");
    }

    public string? Get(HarnessNode node, string key, ReadConsistency consistency = ReadConsistency.Default)
    {
        HarnessOperation get = Complete(node, HarnessOperation.Get(key, consistency));
        Assert.True(get.Error == ErrorCode.None, $"{get} (seed {Seed})\n{Describe()}");
        return node.Read(get);
    }

    public string Describe() =>
        string.Join(
            '\n',
            Nodes.Select(n =>
                n.Node is null
                    ? $"{n.Name}: down {n.FatalMessage}"
                    : $"{n.Name}: {n.FatalMessage}\n  "
                        + string.Join("\n  ", n.Running.Parts.Hosted.All)
                        + "\n    "
                        + string.Join("\n    ", n.Events.TakeLast(8))));
}
