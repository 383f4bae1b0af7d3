using System.Collections.Concurrent;
using Henge.Client.Settings;
using Henge.Client.Transport;
using Henge.Core;
using Henge.Protocol.Messages;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Routing;

/// <summary>
/// Says whom to ask: the leader of a key's shard where it is known and in health, else the nodes in turn. Remembers for a moment which
/// nodes could not be reached. Thread-safe; a choice takes no lock.
/// </summary>
internal sealed class Router
{
    private readonly HengeClientOptions _options;
    private readonly ClusterPin _pin;
    private readonly string[] _seeds;
    private readonly ConcurrentDictionary<string, NodeHealth> _health = [];
    private readonly Lock _lock = new();
    private volatile ClusterMap _map;
    private int _turn;

    public Router(HengeClientOptions options, ClusterPin? pin = null)
    {
        _pin = pin ?? new ClusterPin(options.ClusterId);
        _options = options;
        _seeds = options.Peers.Count == 0 ? [PeerAddress.Default] : [.. options.Peers.Select(PeerAddress.Parse).Distinct()];
        _map = ClusterMap.Of(_seeds);
    }

    /// <summary>
    /// Called when the list of nodes has changed, with their addresses. By whoever told; it is to return soon.
    /// </summary>
    public Action<IReadOnlyList<string>>? NodesChanged { get; set; }

    /// <summary>Called when an answer has told of a leader that no topology has named yet.</summary>
    public Action? Ahead { get; set; }

    /// <summary>What is known now.</summary>
    public ClusterMap Map => _map;

    /// <summary>Where the client began.</summary>
    public IReadOnlyList<string> Seeds => _seeds;

    /// <summary>
    /// Whom to ask for a key (empty: any node). <paramref name="avoid"/> has just failed the caller, and is chosen only when there is
    /// nobody else.
    /// </summary>
    public string Choose(ReadOnlySpan<byte> key, string? avoid)
    {
        ClusterMap map = _map;
        if (_options.RouteToLeaders && key.Length > 0 && map.Shards is { } shards && map.LeaderOf(shards.ShardOf(key)) is { } leader
            && leader != avoid && IsUp(leader))
        {
            return leader;
        }

        return NextOf(map.Addresses, avoid);
    }

    private string NextOf(string[] addresses, string? avoid)
    {
        // A program that does one thing asks the first node that it was told of; a long-lived one spreads over all, once it knows that they
        // are of one cluster.
        int turn =
            (avoid is null && !_options.RouteToLeaders) || (_pin.Id is null && ReferenceEquals(addresses, _seeds))
                ? 0
                : (Interlocked.Increment(ref _turn) & int.MaxValue) % addresses.Length;
        string? second = null;
        for (int i = 0; i < addresses.Length; i++)
        {
            string address = addresses[(turn + i) % addresses.Length];
            if (address == avoid)
            {
                continue;
            }

            if (IsUp(address))
            {
                return address;
            }

            second ??= address;
        }

        // Of those that are known none can be reached. They may have left, all of them, while the client was cut off.
        foreach (string seed in _seeds)
        {
            if (seed != avoid && IsUp(seed))
            {
                return seed;
            }
        }

        return second ?? addresses[turn];
    }

    /// <summary>Any node, with equal chances: for what is there to stay, so that clients spread over all nodes.</summary>
    public string ChooseAny(string? avoid)
    {
        string[] addresses = _map.Addresses;
        string address = addresses[Random.Shared.Next(addresses.Length)];
        return address != avoid && IsUp(address) ? address : NextOf(addresses, avoid);
    }

    /// <summary>True unless the node could not be reached a moment ago.</summary>
    public bool IsUp(string address) =>
        !_health.TryGetValue(address, out NodeHealth? health) || health.IsUp(_options.TimeProvider.GetTimestamp());

    /// <summary>The node answered.</summary>
    public void OnReached(string address)
    {
        if (_health.TryGetValue(address, out NodeHealth? health) && health.Failures > 0)
        {
            _health.TryRemove(address, out _);
        }
    }

    /// <summary>The node could not be reached: it is asked last for a while, longer each time, up to two seconds.</summary>
    public void OnUnreachable(string address)
    {
        // Addresses come from answers as well; what no map names any more is not worth remembering.
        if (_health.Count > 1000)
        {
            _health.Clear();
        }

        int failures = (_health.TryGetValue(address, out NodeHealth? health) ? health.Failures : 0) + 1;
        double waitSeconds = Math.Min(0.05 * (1 << Math.Min(failures - 1, 10)), 2);
        TimeProvider time = _options.TimeProvider;
        _health[address] = new NodeHealth(failures, time.GetTimestamp() + (long)(waitSeconds * time.TimestampFrequency));
    }

    /// <summary>
    /// A node that was asked does not lead a key's shard, and has named who does, in which term; 0: it did not say. Returns whom to ask
    /// now: the one that it named, or the one that is known already from a higher term; null: neither.
    /// </summary>
    public string? OnNotLeader(ReadOnlySpan<byte> key, string? leader, ulong term, string? asked)
    {
        if (key.Length == 0 || _map.Shards is not { } shards)
        {
            return leader;
        }

        ShardId shard = shards.ShardOf(key);
        bool isNews;
        lock (_lock)
        {
            ClusterMap map = _map;
            ulong known = map.TermOf(shard);
            if (leader is null ? map.LeaderOf(shard) == asked : IsNewer(map, shard, leader, term))
            {
                // Who does not lead and knows nobody who does has not said that there is a later term.
                _map = map.With(shard, leader, leader is null ? known : term);
            }
            else if (term != 0 && term < known)
            {
                leader = map.LeaderOf(shard) is { } newer && newer != asked ? newer : null;
            }

            isNews = term > known && leader is not null;
        }

        if (isNews)
        {
            Ahead?.Invoke();
        }

        return leader;
    }

    /// <summary>
    /// A node had another one do what it was asked, and names it: the leader of the key's shard in a term. Costs little when that is known.
    /// </summary>
    public void OnForwarded(ReadOnlySpan<byte> key, in TextField leader, ulong term)
    {
        ClusterMap map = _map;
        if (term == 0 || leader.IsEmpty || key.Length == 0 || !KnowsCluster || map.Shards is not { } shards)
        {
            return;
        }

        ShardId shard = shards.ShardOf(key);
        ulong known = map.TermOf(shard);
        if (
            (term > known || (term == known && map.LeaderOf(shard) is null))
            && PeerAddress.TryParse(leader.ToString(), out string address))
        {
            OnNotLeader(key, address, term, asked: null);
        }
    }

    // A hint without a term comes from an older node, which may know less than the client.
    private static bool IsNewer(ClusterMap map, ShardId shard, string leader, ulong term)
    {
        ulong known = map.TermOf(shard);
        return term > known || (term == known && map.LeaderOf(shard) != leader && (term == 0 || map.LeaderOf(shard) is null));
    }

    /// <summary>True once the client knows which cluster it belongs to.</summary>
    public bool KnowsCluster => _pin.Id is not null;

    /// <summary>A node told the topology, or what has changed of it; false when it is of another cluster than the client.</summary>
    public bool OnTopology(Wire.TopologyResponse topology)
    {
        if (!_pin.Accepts(topology.ClusterId))
        {
            return false;
        }

        bool haveChanged;
        string[] addresses;
        lock (_lock)
        {
            ClusterMap old = _map;
            _map = old.With(topology);
            addresses = _map.Addresses;
            haveChanged = !addresses.AsSpan().SequenceEqual(old.Addresses);
        }

        if (haveChanged)
        {
            NodesChanged?.Invoke(addresses);
        }

        return true;
    }

    private sealed class NodeHealth(int failures, long downUntil)
    {
        public int Failures => failures;

        public bool IsUp(long now) => now >= downUntil;
    }
}
